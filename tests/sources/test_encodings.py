"""Text that is not UTF-8 is read, and its bytes are kept as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esctl.sources.files.reading import SourceOptions
from esctl.sources.formats.encodings import WINDOWS, encoding_of, parse_encoding
from tests.sources.test_values import Given
from tests.support.cli_harness import esctl, good, refused

EVENTS = [
    {"id": f"e{n}", "type": "T", "time": f"2024-03-0{n}T00:00:00Z", "entity": "x-1", "data": {"who": who, "n": n}}
    for n, who in ((1, "Jürgen Müller"), (2, "Zoë"), (3, "plain"))
]
LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=9)
TABLE = 'id;type;time;entity;größe\r\n1;Ä;2024-03-01T00:00:00Z;x-1;10\r\n2;"B\r\nß";2024-03-02T00:00:00Z;x-1;\r\n'
WRITTEN = {
    "lines": "\n".join(json.dumps(event, ensure_ascii=False) for event in EVENTS) + "\r\n",
    "no last line end": "\n".join(json.dumps(event, ensure_ascii=False) for event in EVENTS),
    "over several lines": json.dumps({"größe": 3, "events": EVENTS}, ensure_ascii=False, indent=1),
    "an array": json.dumps(EVENTS, ensure_ascii=False),
}


def ingested(folder: Path, data: bytes, name: str, *options: str) -> list[dict[str, Any]]:
    (folder / name).write_bytes(data)
    assert good("ingest", name, *options, cwd=folder).row["invalid"] == 0
    return good("log", "--columns", "entity,type,data", cwd=folder).rows


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "cp1252"])
def test_json_is_read_in_any_encoding(encoding: str, kind: str, tmp_path: Path) -> None:
    data = WRITTEN[kind].encode(encoding)
    rows = ingested(tmp_path, data, "a.json")
    assert [row["data"] for row in rows] == [event["data"] for event in EVENTS]
    if "line" in kind and "several" not in kind:
        assert good("export", "--raw", "--source", "a.json", cwd=tmp_path).out == data
    assert good("verify", "--full", cwd=tmp_path).code == 0


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "cp1252", "utf-8-sig"])
def test_tables_are_read_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    data = TABLE.encode(encoding)
    rows = ingested(tmp_path, data, "a.csv")
    assert [(row["type"], row["data"]) for row in rows] == [("Ä", {"größe": "10"}), ("B\r\nß", {})]
    assert good("export", "--raw", "--source", "a.csv", cwd=tmp_path).out == data


def test_an_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(WRITTEN["lines"].encode("cp1252"))
    assert "a.jsonl: no UTF-8: read as Windows-1252 (cp1252)" in good("ingest", "a.jsonl", cwd=tmp_path).err
    (tmp_path / "b.jsonl").write_bytes(WRITTEN["lines"].encode("utf-16"))
    assert "b.jsonl: read as UTF-16" in good("ingest", "b.jsonl", cwd=tmp_path).err


def test_an_encoding_can_be_declared(tmp_path: Path) -> None:
    rows = ingested(
        tmp_path, '{"id":"1","entity":"x","data":{"a":"Łódź"}}\n'.encode("cp1250"), "a.jsonl", "--encoding", "cp1250"
    )
    assert rows[0]["data"] == {"a": "Łódź"}
    message, hint = refused("ingest", "a.jsonl", "--encoding", "cp037", code=2, cwd=tmp_path)
    assert "--encoding 'cp037'" in message
    assert "cp1252" in hint


def test_an_encoding_that_is_declared_holds_for_what_is_followed(tmp_path: Path) -> None:
    data = '{"id":"1","entity":"x","data":{"a":"Łódź"}}\n'.encode("cp1250")
    good("ingest", "--follow", "-", "--encoding", "cp1250", "-q", cwd=tmp_path, stdin=data)
    assert good("log", cwd=tmp_path).row["data"] == {"a": "Łódź"}
    message, _ = refused("ingest", "--follow", "-", "--encoding", "utf-16", code=2, cwd=tmp_path, stdin=data)
    assert "UTF-16, which cannot be followed" in message


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_a_source_is_known_again_if_the_mark_it_begins_with_says_which_encoding(encoding: str, tmp_path: Path) -> None:
    data = ("\ufeff" + WRITTEN["lines"]).encode(encoding)
    for new in (len(EVENTS), 0):
        (tmp_path / "a.jsonl").write_bytes(data)
        assert good("ingest", "a.jsonl", "--encoding", "utf-16", cwd=tmp_path).row["new"] == new
    (tmp_path / "a.jsonl").write_bytes(data + '{"id":"more","entity":"x"}\n'.encode(encoding))
    assert good("ingest", "a.jsonl", "--encoding", "utf-16", cwd=tmp_path).row["new"] == 1
    assert {row["source"] for row in good("log", "--columns", "source", cwd=tmp_path).rows} == {"a.jsonl"}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@given(
    lines=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=9)),
    size=st.integers(1, 40),
)
def test_any_text_of_wide_units_gives_its_bytes_back(
    encoding: str, lines: list[str], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = ("\ufeff" + "\n".join(lines)).encode(encoding)
    path = tmp_path_factory.mktemp("wide") / "file"
    path.write_bytes(data)
    got = Given(path, SourceOptions(input_format="jsonl", batch_bytes=size, final=True))
    assert b"".join(got.raws) + data[sum(map(len, got.raws)) :] == data
    assert len(got.raws) == sum(bool(line.strip(" \t\r\ufeff")) for line in lines)
    assert Given(path, SourceOptions(input_format="jsonl", final=True), got.cursors).raws == []


def test_what_grows_goes_on(tmp_path: Path) -> None:
    data = WRITTEN["lines"].encode("utf-16-le")
    cut = len(data) // 2 - len(data) // 2 % 2
    path = tmp_path / "a"
    path.write_bytes(b"\xff\xfe" + data[:cut])
    first = Given(path, SourceOptions())
    path.write_bytes(b"\xff\xfe" + data)
    rest = Given(path, SourceOptions(), first.cursors)
    assert b"".join(first.raws + rest.raws) == b"\xff\xfe" + data
    assert [bool(first.raws), bool(rest.raws)] == [True, True]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"", ""),
        (b'{"a":1}\n', ""),
        ('{"a":"é"}\n'.encode(), ""),
        ('{"a":"é'.encode()[:-1], ""),
        ('{"a":"é"}\n'.encode("cp1252"), WINDOWS),
        ('{"a":"é"}{"b":"ü"}\n'.encode("cp1252") + "ü\n".encode(), ""),
        (b'{"id":"x\xff\xfe"}\n', ""),
        (b"\0\0\0\0{}\n", ""),
        (b"\x89PNG\r\n\x1a\n\0\0", ""),
        (b"\xff\xfe{\0", "utf-16-le"),
        (b"\xfe\xff\0{", "utf-16-be"),
        (b'{\0"\0a\0"\0', "utf-16-le"),
    ],
)
def test_an_encoding_is_found(head: bytes, expected: str) -> None:
    assert encoding_of(head, None) == expected


def test_names_of_encodings() -> None:
    assert [parse_encoding(name) for name in ("UTF8", "utf-16", "latin1", "cp1252")] == [
        "",
        "utf-16-le",
        "iso8859-1",
        "cp1252",
    ]


@pytest.mark.parametrize(
    ("name", "count"),
    [("20-utf16-jsonl/le.jsonl", 3), ("20-utf16-jsonl/u.csv", 2), ("21-latin1-semicolon-german/semi.csv", 2)],
)
def test_what_people_have(name: str, count: int, real_logs: Path, tmp_path: Path) -> None:
    path = tmp_path / Path(name).name
    path.write_bytes((real_logs / "cases" / name).read_bytes())
    assert esctl("ingest", path.name, cwd=tmp_path).row["records"] == count
    for row in good("log", "--columns", "data,invalid", cwd=tmp_path).rows:
        assert row["data"]
        assert "UTF" not in (row["invalid"] or "")
