"""CSV as people have it: what stands before the header, other quotes, delimiters at the ends, decimal commas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from esctl.index.decode.exact_json import judge_records
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions, read
from esctl.sources.formats.detect import sniff
from esctl.sources.formats.tables import Dialect, find_dialect
from tests.support.cli_harness import good, refused

ROWS = [{"id": "1", "type": "A", "amount": "1,5"}, {"id": "2", "type": "B", "amount": "2,5"}]
PLAIN = "id;type;amount\r\n1;A;1,5\r\n2;B;2,5\r\n"


def rows_of(folder: Path, data: bytes, size: int = 1 << 20, **options: Any) -> list[Any]:
    """Return the rows of a table, or why one is none."""
    path = folder / "file"
    path.write_bytes(data)
    found: list[Any] = []
    header = b""
    for delivery in read(Source(str(path), path), SourceOptions(batch_bytes=size, **options), {}):
        if not delivery.batch.num_rows:
            continue
        judged = judge_records(delivery.batch["raw"], delivery.cursor)
        texts, reasons = judged.text.to_pylist(), judged.invalid.to_pylist()
        found += [reason if text is None else json.loads(text) for text, reason in zip(texts, reasons, strict=True)]
        header = delivery.cursor.header.encode()
    assert header or options.get("header") is False
    return found


@pytest.mark.parametrize("size", [1, 9, 1 << 20])
@pytest.mark.parametrize(
    "before",
    [
        "",
        "sep=;\r\n",
        '"sep=;"\r\n',
        "SEP=;\n",
        "#TYPE Selected.System.Management.Automation.PSCustomObject\r\n",
        "# made by hand\n# on a Monday; as always\n",
        "Audit report for ACME\r\nGenerated: 2024-03-05\r\n\r\n",
        "Report\n;;\n\n",
        '"Audit report"\r\n"Generated: 2024-03-05"\r\n\r\n',
        "\n\n",
    ],
)
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_what_stands_before_the_header_is_passed_over(bom: str, before: str, size: int, tmp_path: Path) -> None:
    assert rows_of(tmp_path, (bom + before + PLAIN).encode(), size) == ROWS


def test_what_stands_behind_the_rows_says_so(tmp_path: Path) -> None:
    data = b"Report\r\n\r\nid,type\r\n1,A\r\n2,B\r\n\r\nTotal rows: 2\r\n"
    assert rows_of(tmp_path, data) == [
        {"id": "1", "type": "A"},
        {"id": "2", "type": "B"},
        "1 cells where the header has 2",
    ]


@pytest.mark.parametrize("data", ["a,b\n1,2,\n3,4,\n", "a,b,\n1,2,\n3,4,\n", "a,b\n1,2,,\n3,4\n"])
def test_delimiters_at_the_ends_of_rows_are_no_cells(data: str, tmp_path: Path) -> None:
    assert rows_of(tmp_path, data.encode()) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    many = data + "5,6,\n" * 600 + "7,8,9\n"
    assert rows_of(tmp_path, many.encode())[-2:] == [
        {"a": "5", "b": "6"},
        "3 cells where the header has 2" if "b,\n" not in many else {"a": "7", "b": "8", "column_3": "9"},
    ]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_slash_before_a_quote_is_found(size: int, tmp_path: Path) -> None:
    data = rb"""id,text
1,"he said \"a, b\""
2,"C:\\"
3,"two
lines, \"and\" more"
4,plain
"""
    assert rows_of(tmp_path, data, size) == [
        {"id": "1", "text": 'he said "a, b"'},
        {"id": "2", "text": "C:\\"},
        {"id": "3", "text": 'two\nlines, "and" more'},
        {"id": "4", "text": "plain"},
    ]


def test_doubled_quotes_around_json_with_slashes_stay_so(tmp_path: Path) -> None:
    text = json.dumps({"a": 'x"y', "b": "C:\\"})
    quoted = text.replace('"', '""')
    assert rows_of(tmp_path, f'id,data\n1,"{quoted}"\n2,""\n'.encode())[0] == {"id": "1", "data": text}


@pytest.mark.parametrize("odd", ["", 'x"y;;\n'])
def test_a_decimal_comma_becomes_a_point(odd: str, tmp_path: Path) -> None:
    numbers = ["1.234,56", "99,90", "-1.000.000", "1234", "01.03.2024", "10.100.200.250", "a,b", "1,2,3"]
    data = "n;m;\n" + "".join(f"{number};x;\n" for number in numbers) + odd
    found = [row["n"] for row in rows_of(tmp_path, data.encode(), decimal=",")]
    assert found[:8] == ["1234.56", "99.90", "-1000000", "1234", "01.03.2024", "10.100.200.250", "a,b", "1,2,3"]


def test_a_header_can_be_declared(tmp_path: Path) -> None:
    assert rows_of(tmp_path, b"1,2\n3,4\n", header=False) == [
        {"column_1": "1", "column_2": "2"},
        {"column_1": "3", "column_2": "4"},
    ]
    assert rows_of(tmp_path, b"a,b\n3,4", header=False) == [
        {"column_1": "a", "column_2": "b"},
        {"column_1": "3", "column_2": "4"},
    ]
    assert rows_of(tmp_path, b"1st,2nd\n3,4\n", header=True) == [{"1st": "3", "2nd": "4"}]


@pytest.mark.parametrize(
    "text",
    [
        "Dear all,\nplease find attached,\nwith regards,\nA\n",
        "first line\nsecond, line\nthird\n",
        "2024-01-01 10:00:00 INFO a, b\n2024-01-01 10:00:01 INFO c, d\n",
        "# Export\nFor audit.\n",
        "abc  part-0\ndef  part-1\n",
    ],
)
def test_prose_is_no_table(text: str) -> None:
    assert sniff(text.encode()) == "text"


def test_a_dialect_is_found() -> None:
    assert find_dialect(b"a,b\n1,2\n", True) == Dialect(",")
    assert find_dialect(b"sep=|\na|b\n1|2\n", True) == Dialect("|", skip=1)
    assert find_dialect(b"1,2\n3,4\n", True) is None
    assert find_dialect(b"1,2\n3,4\n", True, named=False) == Dialect(",")


def test_the_bytes_come_back(tmp_path: Path) -> None:
    data = ("\ufeffsep=;\r\n" + PLAIN + "\r\nTotal;;\r\n").encode()
    (tmp_path / "a.csv").write_bytes(data)
    good("ingest", "a.csv", "--map", "entity=type", "--decimal", ",", cwd=tmp_path)
    assert good("export", "--raw", "--source", "a.csv", cwd=tmp_path).out == data
    assert good("log", "--columns", "data", cwd=tmp_path).rows[0]["data"] == {"amount": "1.5"}
    assert good("verify", "--full", cwd=tmp_path).code == 0
    message, _ = refused("ingest", "a.csv", "--decimal", "x", code=2, cwd=tmp_path)
    assert "--decimal 'x'" in message


@pytest.mark.parametrize(
    ("name", "count"), [("sep.csv", 2), ("ps.csv", 1), ("preamble.csv", 3)]
)  # of a preamble the last is a total
def test_what_people_have(name: str, count: int, real_logs: Path, tmp_path: Path) -> None:
    found = rows_of(tmp_path, (real_logs / "cases" / "22-excel-sep-line" / name).read_bytes())
    assert len(found) == count
    assert all("id" in row or "Identity" in row for row in found[:2])


ZEEK = r"""#separator \x09
#set_separator	,
#empty_field	(empty)
#unset_field	-
#path	dns
#open	2024-03-01-10-00-00
#fields	ts	uid	id.orig_h	id.resp_h	query
#types	time	string	addr	addr	string
1709287200.000000	C1	192.0.2.1	192.0.2.2	"x"	y
1709287201.000000	C2	192.0.2.1	192.0.2.2	-
1709287202.000000	C3	192.0.2.1	192.0.2.2	"z
#close	2024-03-01-11-00-00
""".replace('"x"	y', '"x" y')


@pytest.mark.parametrize("size", [1, 40, 1 << 20])
def test_a_log_of_zeek_says_itself_how_it_is_written(size: int, tmp_path: Path) -> None:
    rows = [
        {"ts": f"170928720{n}.000000", "uid": f"C{n + 1}", "id.orig_h": "192.0.2.1", "id.resp_h": "192.0.2.2"}
        | {"query": query, "_path": "dns"}
        for n, query in enumerate(('"x" y', None, '"z'))
    ]
    assert sniff(ZEEK.encode()) == "tsv"
    assert rows_of(tmp_path, ZEEK.encode(), size) == rows
    assert rows_of(tmp_path, ZEEK.encode() * 2, size) == rows * 2
    assert rows_of(tmp_path, ZEEK.replace("\n", "\r\n").encode(), size) == rows
    assert rows_of(tmp_path, ZEEK.rpartition("#close")[0].encode(), size) == rows


def test_a_log_of_zeek_is_read_as_its_events(tmp_path: Path) -> None:
    (tmp_path / "dns.log").write_text(ZEEK)
    good("ingest", "dns.log", cwd=tmp_path)
    rows = good("log", "--columns", "time,type,entity", cwd=tmp_path).rows
    assert rows == [{"time": f"2024-03-01T10:00:0{n}Z", "type": "dns", "entity": "192.0.2.1"} for n in range(3)]
    assert good("ingest", "dns.log", cwd=tmp_path).rows[0]["new"] == 0


def test_slashes_before_the_quotes_of_each_row_are_found(tmp_path: Path) -> None:
    rows = "".join(f'"{n}","A","she said \\"a, b\\" to {n}, twice"\n' for n in range(9))
    assert rows_of(tmp_path, ('"id","type","text"\n' + rows).encode())[3]["text"] == 'she said "a, b" to 3, twice'


@pytest.mark.parametrize("size", [9, 1 << 20])
def test_blanks_behind_each_delimiter_are_in_no_cell(size: int, tmp_path: Path) -> None:
    assert rows_of(tmp_path, b"id, type, note\n1, A, x y\n2, B, \n", size) == [
        {"id": "1", "type": "A", "note": "x y"},
        {"id": "2", "type": "B"},
    ]
    assert rows_of(tmp_path, b"id, type\n1, A\n2,B\n", size)[0] == {"id": "1", "type": " A"}


FLOWS = """\
version account-id interface-id srcaddr dstaddr start end action log-status\r
2 111122223333 eni-1 192.0.2.7 10.0.0.5 1709632800 1709632860 ACCEPT OK\r
2 111122223333 eni-1 - - 1709632801 1709632861 - NODATA\r
"""


@pytest.mark.parametrize("size", [7, 1 << 20])
def test_a_flow_log_is_separated_by_blanks_as_its_header_tells(size: int, tmp_path: Path) -> None:
    names = FLOWS.splitlines()[0].split(" ")
    cells = [line.split(" ") for line in FLOWS.splitlines()[1:]]
    rows = [{name: None if cell == "-" else cell for name, cell in zip(names, row, strict=True)} for row in cells]
    assert sniff(FLOWS.encode()) == "csv"
    assert rows_of(tmp_path, FLOWS.encode(), size) == rows


@pytest.mark.parametrize(
    "text",
    ["it is the end of it\nand so on and on and\n", "action start end it\na b c d\n", "srcaddr dstaddr start\n1 2 3\n"],
)
def test_a_text_that_begins_with_words_is_no_flow_log(text: str) -> None:
    found = find_dialect(text.encode(), whole=True)
    assert found is None or found.delimiter != " "
