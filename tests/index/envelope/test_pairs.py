"""Lists of pairs, and hstore, are opened as the objects that they stand for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from esctl.engine.duckdb import connect
from esctl.index.decode.opened import open_texts
from esctl.index.decode.rebuilt import Path as JsonPath

OTLP = [
    {"key": "a.b", "value": {"stringValue": 'x "y"'}},
    {"key": "n", "value": {"intValue": "9007199254740993"}},
    {"key": "big", "value": {"intValue": "123456789012345678901234567890"}},
    {"key": "t", "value": {"boolValue": True}},
    {"key": "d", "value": {"doubleValue": 1.5}},
    {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": "z"}]}}},
    {"key": "o", "value": {"own": 1}},
    {"key": "none"},
]
OPENED = {
    "a.b": 'x "y"',
    "n": 9007199254740993,
    "big": "123456789012345678901234567890",
    "t": True,
    "d": 1.5,
    "l": [{"stringValue": "z"}],
    "o": {"own": 1},
    "none": None,
}


def opened(record: Any, path: JsonPath, encoding: str) -> Any:
    texts = pa.array([json.dumps(record, separators=(",", ":"))], pa.large_string())
    found, _ = open_texts(connect(), texts, pa.array([False]), [(path, encoding)])
    return json.loads(found[0].as_py())


@pytest.mark.parametrize(
    ("record", "path", "expected"),
    [
        ({"attributes": OTLP, "x": 1}, ("attributes",), {"attributes": OPENED, "x": 1}),
        ({"a": {"b": OTLP}}, ("a", "b"), {"a": {"b": OPENED}}),
        ({"events": [0, {"p": OTLP[:1]}, 2]}, ("events", 1, "p"), {"events": [0, {"p": {"a.b": 'x "y"'}}, 2]}),
        (
            {"p": [{"name": "n", "value": "v"}, {"name": "m", "multiValue": ["a"]}]},
            ("p",),
            {"p": {"n": "v", "m": ["a"]}},
        ),
        ({"p": [{"Name": "n", "Value": 1}]}, ("p",), {"p": {"n": 1}}),
        ({"p": []}, ("p",), {"p": {}}),
    ],
)
def test_a_list_of_pairs_is_an_object(record: Any, path: JsonPath, expected: Any) -> None:
    assert opened(record, path, "pairs") == expected


@pytest.mark.parametrize(
    "record",
    [
        {"p": [{"name": "n", "value": 1}, {"name": "n", "value": 2}]},
        {"p": [{"value": 1}]},
        {"p": [1, 2]},
        {"p": {"name": "n"}},
        {"p": "text"},
        {"q": []},
        [],
    ],
)
def test_what_is_no_list_of_pairs_stays(record: Any) -> None:
    assert opened(record, ("p",), "pairs") == record
    assert opened(record, ("p", 0, "x"), "pairs") == record


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"id"=>"1", "n"=>NULL', {"id": "1", "n": None}),
        (r'"a"=>"x\"=>\"y", "b"=>"\\"', {"a": 'x"=>"y', "b": "\\"}),
        ('"id"=>"1" and more', '"id"=>"1" and more'),
        ("plain", "plain"),
    ],
)
def test_hstore_is_an_object(text: str, expected: Any) -> None:
    assert opened({"h": text}, ("h",), "hstore") == {"h": expected}


def test_pairs_can_be_declared(tmp_path: Path) -> None:
    from tests.support.cli_harness import good

    record = {"id": "1", "type": "T", "time": "2024-03-01", "tags": [{"key": "who", "value": "user-1"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n")
    (tmp_path / "esctl.toml").write_text(
        '[mapping]\nid = "id"\ntype = "type"\ntime = "time"\nentity = "tags.who"\nencoding = { tags = "pairs" }\n'
    )
    good("ingest", "a.jsonl", cwd=tmp_path)
    (row,) = good("log", "--columns", "entity,data", cwd=tmp_path).rows
    assert row["entity"] == "user-1"
    assert row["data"]["tags"] == {"who": "user-1"}


def test_case_makes_no_difference_where_a_mapping_says_so(tmp_path: Path) -> None:
    from tests.support.cli_harness import good

    lines = [
        {"id": f"{n}", "type": "T", "time": f"2024-03-0{n}", "entity": name} for n, name in ((1, "/A/b"), (2, "/a/B"))
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "esctl.toml").write_text(
        '[mapping]\nid = "id"\ntype = "type"\ntime = "time"\nentity = "entity"\nignore_case = true\n'
    )
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["entity"] for row in good("entities", cwd=tmp_path).rows] == ["/a/b"]


def test_nor_does_case_among_the_elements_of_an_array(tmp_path: Path) -> None:
    from tests.support.cli_harness import good

    record = {
        "id": "1",
        "type": "T",
        "time": "2024-03-01",
        "of": [{"k": "A", "n": "x"}, {"k": "a", "n": "X"}, {"k": "", "n": "y"}],
    }
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n")
    (tmp_path / "esctl.toml").write_text(
        '[mapping]\nid = "id"\ntype = "type"\ntime = "time"\nignore_case = true\n'
        '[mapping.entities]\nthing = "{of[*].k}/{of[*].n}"\n'
    )
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert {row["entity"] for row in good("log", "--columns", "entity", cwd=tmp_path).rows} == {"a/x"}
