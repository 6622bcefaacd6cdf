"""What stands before the JSON of a line, and between records, is in no event, and stays in the evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from esctl.sources.formats.detect import line_prefix, sniff
from esctl.sources.formats.prefixes import times_before
from tests.support.cli_harness import esctl, good

EVENTS = [
    {"id": f"e{number}", "type": "T", "time": f"2024-03-0{number}T00:00:00Z", "entity": "x-1", "data": {"n": number}}
    for number in (1, 2, 3)
]
UNTIMED = [{"id": f"e{number}", "type": "T", "entity": "x-1", "data": {"n": number}} for number in (1, 2, 3)]

PREFIXES = {
    "containers": "2024-03-0{n}T00:00:00.123456789Z stdout F ",
    "an export": "2024-03-0{n}T00:00:00.123Z ",
    "an offset": "2024-03-0{n}T02:00:00+02:00 app: ",
    "syslog": "<134>Mar  {n} 00:00:00 host app[12]: ",
    "cee": "<134>1 2024-03-0{n}T00:00:00Z host app 12 - - @cee: ",
    "a level": "[INFO] 2024-03-0{n} 00:00:00,123 audit - ",
    "a word": "AUDIT ",
}


def taken(folder: Path, data: bytes, name: str = "a.log") -> list[dict[str, Any]]:
    (folder / name).write_bytes(data)
    good("ingest", name, cwd=folder)
    assert good("export", "--raw", "--source", name, cwd=folder).out == data
    return list(good("log", "--columns", "time,type,entity,data,invalid", cwd=folder).rows)


def lines(before: str, events: Sequence[Any] = EVENTS) -> bytes:
    return "".join(
        before.format(n=number) + json.dumps(event) + "\n" for number, event in enumerate(events, 1)
    ).encode()


@pytest.mark.parametrize("name", PREFIXES)
def test_a_prefix_is_cut_off_in_the_reading(name: str, tmp_path: Path) -> None:
    rows = taken(tmp_path, lines(PREFIXES[name]).rstrip(b"\n"))
    assert [(row["entity"], row["data"], row["invalid"]) for row in rows] == [
        ("x-1", {"n": number}, None) for number in (1, 2, 3)
    ]
    assert [row["time"][:10] for row in rows] == ["2024-03-01", "2024-03-02", "2024-03-03"]


@pytest.mark.parametrize("name", ["containers", "an export", "an offset"])
def test_a_time_before_an_event_without_one_is_its_time(name: str, tmp_path: Path) -> None:
    rows = taken(tmp_path, lines(PREFIXES[name], UNTIMED))
    assert [row["time"][:19] for row in rows] == [f"2024-03-0{number}T00:00:00" for number in (1, 2, 3)]


def test_a_time_of_no_calendar_takes_no_other_time_away(tmp_path: Path) -> None:
    times = ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5+01:00", "2017-02-30T00:00:00Z", "2017-03-01T00:00:00.5Z")
    data = "".join(f'{time} {{"id":"{n}","type":"T","entity":"x-1"}}\n' for n, time in enumerate(times)).encode()
    rows = taken(tmp_path, data + b"AUDIT " + data.partition(b" ")[2].partition(b"\n")[0] + b"\n")
    assert [row["time"] for row in rows][:2] == ["2017-01-01T00:00:00Z", "2016-12-31T23:00:00Z"]
    assert rows[3]["time"] == "2017-03-01T00:00:00.500000Z"
    found = times_before(pa.array(data.splitlines(), pa.large_binary()))
    assert found.is_valid().to_pylist() == [True, True, False, True]


def test_a_line_without_json_says_so(tmp_path: Path) -> None:
    data = lines("AUDIT ", EVENTS + EVENTS) + b"something else\n"
    rows = taken(tmp_path, data)
    assert [row["invalid"] for row in rows] == [None] * 6 + ["no JSON behind what begins the line"]


def test_the_key_of_a_record_is_kept_and_its_end_is_one(tmp_path: Path) -> None:
    rows = taken(tmp_path, b'cust-1\t{"n":1}\ncust-2\t{"n":2}\ncust-1\t\n')
    assert [(row["entity"], row["data"], row["invalid"]) for row in rows] == [
        ("cust-1", {"n": 1}, None),
        ("cust-2", {"n": 2}, None),
        ("cust-1", None, None),
    ]


@pytest.mark.parametrize(
    "head",
    [b"plain text\nof lines\n", b'id,data\n1,"{""a"":1}"\n', b'{"a":1}\nx {"b":1}\n', b"a {b} c\nd {e} f\n", b"x {\n"],
)
def test_text_has_no_prefix(head: bytes) -> None:
    assert line_prefix(head) is None


@pytest.mark.parametrize("between", [b"\n\x1e", b"\n\0\0\0\0", b"\n\0\x1e \n"])
def test_marks_and_nul_bytes_are_no_part_of_a_record(between: bytes, tmp_path: Path) -> None:
    data = between[1:] + between.join(json.dumps(event).encode() for event in EVENTS) + b"\n"
    rows = [row for row in taken(tmp_path, data, "a.json") if row["entity"]]
    assert [(row["data"], row["invalid"]) for row in rows] == [({"n": number}, None) for number in (1, 2, 3)]


def test_sequences_over_several_lines_are_read(tmp_path: Path) -> None:
    data = b"".join(b"\x1e" + json.dumps(event, indent=2).encode() + b"\n" for event in EVENTS)
    assert sniff(data) == "json"
    (tmp_path / "a.json").write_bytes(data)
    assert good("ingest", "a.json", cwd=tmp_path).row["records"] == 3


def test_lines_between_records_are_records_of_their_own(tmp_path: Path) -> None:
    data = b"".join(
        b"Record %d\n" % number + json.dumps(event, indent=1).encode() + b"\n" for number, event in enumerate(EVENTS)
    )
    assert sniff(data) == "json"
    (tmp_path / "a.json").write_bytes(data)
    row = good("ingest", "a.json", cwd=tmp_path).row
    assert (row["records"], row["invalid"]) == (6, 3)


@pytest.mark.parametrize(
    ("name", "count", "invalid"),
    [
        ("30-line-prefix/cri.log", 3, 0),
        ("30-line-prefix/cw.log", 3, 0),
        ("30-line-prefix/kv.tsv", 4, 0),
        ("52-json-seq/seq.json-seq", 3, 0),
        ("29-nul-block/nul.jsonl", 2, 0),
        ("28-evtx-record-lines/evtx.json", 4, 2),
    ],
)
def test_what_people_have(name: str, count: int, invalid: int, real_logs: Path, tmp_path: Path) -> None:
    path = tmp_path / Path(name).name
    path.write_bytes((real_logs / "cases" / name).read_bytes())
    row = esctl("ingest", path.name, cwd=tmp_path).row
    assert (row["records"], row["invalid"]) == (count, invalid)
