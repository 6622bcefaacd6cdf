"""What stands around the records of a wrapped document goes with them, however the document is cut."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from esctl.engine.duckdb import connect
from esctl.index.decode.surrounded import surround, surrounded
from esctl.model import Cursor
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions, read
from tests.support.cli_harness import esctl, good

EVENTS = [{"n": number, "eventTime": f"2024-03-0{number}"} for number in (1, 2)]
NESTED = {
    "total": 2,
    "groups": [
        {"group": {"a": "x,}y"}, "parts": [{"part": name, "list": EVENTS}], "later": None} for name in ("p", 'q"]')
    ],
    "next": "n",
}


def rows_of(folder: Path, document: Any, size: int, indent: int | None = None, count: int = 1) -> list[Any]:
    path = folder / "a.json"
    path.write_text((json.dumps(document, indent=indent) + "\n") * count)
    found: list[Any] = []
    options = SourceOptions(batch_bytes=size, records_path="groups[].parts[].list[]" if document is NESTED else None)
    for delivery in read(Source(str(path), path), options, {}):
        raws, headers = (delivery.batch[name].to_pylist() for name in ("raw", "headers"))
        found += [surrounded(json.loads(raw), each) for raw, each in zip(raws, headers, strict=True)]
    return found


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("size", [1, 17, 1 << 20])
def test_members_of_all_objects_around_are_told(size: int, indent: int | None, tmp_path: Path) -> None:
    rows = rows_of(tmp_path, NESTED, size, indent, 2)
    assert [row["n"] for row in rows] == [1, 2] * 4
    told = [{"total": 2, "group": {"a": "x,}y"}, "part": name} for name in ("p", "p", 'q"]', 'q"]')] * 2
    # What follows on the records is known where it is at hand.
    assert [{**row["wrapper"], "next": "n"} for row in rows] == [{**each, "next": "n"} for each in told]
    assert size < 100 or all(row["wrapper"]["next"] == "n" for row in rows)


@pytest.mark.parametrize("document", [{"Records": EVENTS}, EVENTS, {"e1": EVENTS[0], "e2": EVENTS[1]}])
def test_where_nothing_is_around_nothing_is_told(document: Any, tmp_path: Path) -> None:
    assert rows_of(tmp_path, document, 1 << 20) == EVENTS


def test_of_a_large_object_the_small_members_are_told(tmp_path: Path) -> None:
    document = {"key": "k-1", "text": "x" * 50_000, "events": EVENTS}
    assert {row["wrapper"]["key"] for row in rows_of(tmp_path, document, 1 << 20)} == {"k-1"}
    assert {len(row["wrapper"]) for row in rows_of(tmp_path, document, 1 << 20)} == {1}


def test_a_mapping_looks_around(tmp_path: Path) -> None:
    pages = [
        {
            "logGroup": name,
            "big": 12345678901234567890.5,
            "logEvents": [{"id": f"{name}{n}", "timestamp": 1709287200000 + n} for n in (1, 2)],
        }
        for name in ("a", "b")
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    (tmp_path / "esctl.toml").write_text('[mapping]\nid = "id"\ntime = "timestamp"\nentity = "wrapper.logGroup"\n')
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["entity"] for row in good("log", "--columns", "entity", cwd=tmp_path).rows] == ["a", "a", "b", "b"]
    good("verify", cwd=tmp_path)
    (tmp_path / "esctl.toml").unlink()
    esctl("reindex", cwd=tmp_path)
    (row, *_) = good("log", "--columns", "data", cwd=tmp_path).rows
    assert "wrapper" not in row["data"]  # nothing asks for it


def test_an_alias_looks_around(tmp_path: Path) -> None:
    pages = [
        {"requestId": f"r-{page}", "events": [{"id": f"{page}{n}", "type": "T", "on": f"x-{n}"} for n in (1, 2)]}
        for page in ("a", "b")
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    options = ["--map", "entity=on", "--map", "aliases.request=wrapper.requestId"]
    good("ingest", "a.jsonl", *options, cwd=tmp_path)
    assert [row["id"] for row in good("trace", "r-b", "--columns", "id", cwd=tmp_path).rows] == ["b1", "b2"]
    good("verify", cwd=tmp_path)


def test_a_member_of_the_record_itself_stays(tmp_path: Path) -> None:
    document = {"page": 1, "events": [{**EVENTS[0], "wrapper": {"page": "own"}}]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    (tmp_path / "esctl.toml").write_text('[mapping]\ntime = "eventTime"\nentity = "wrapper.page"\n')
    good("ingest", "a.json", cwd=tmp_path)
    assert good("log", "--columns", "entity", cwd=tmp_path).rows == [{"entity": "own"}]


def test_what_names_the_thing_around_its_history_is_offered(tmp_path: Path) -> None:
    def order(number: int) -> dict[str, Any]:
        steps = [{"status": step, "at": f"2024-05-0{day}T00:00:00Z"} for day, step in enumerate(("placed", "sent"), 1)]
        return {"orderNo": f"o-{number}", "page": 1, "history": steps}

    (tmp_path / "orders.jsonl").write_text("".join(json.dumps(order(number)) + "\n" for number in range(4)))
    done = esctl("ingest", "orders.jsonl", cwd=tmp_path)
    assert done.code == 2
    assert "candidates: wrapper.orderNo (4 values: o-0, o-1, o-2)" in done.err
    line = next(line for line in done.err.splitlines() if line.startswith("hint: say which it is: esctl "))
    esctl(*shlex.split(line.partition("esctl ")[2]), cwd=tmp_path)
    assert [row["entity"] for row in esctl("replay", cwd=tmp_path).rows] == ["o-0", "o-1", "o-2", "o-3"]


@pytest.mark.parametrize(
    "around",
    [
        [{"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}],
        [{"a": {"x": 1}, "b": 1}, {"a": [1, None], "b": {"c": None}}],
        [{"a": 1, "b": {"c": None, "d": {"e": None}}}, {"a": None}],
    ],
)
def test_detection_sees_what_the_index_has(around: list[Any]) -> None:
    header = [{"name": "wrapper", "value": json.dumps(around).encode()}]
    kind = pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))
    texts, marked = pa.array(['{"id":1}'], pa.large_string()), pa.array([False])
    found, _ = surround(connect(), texts, marked, pa.array([header], kind), Cursor(format="json"))
    assert surrounded({"id": 1}, header) == json.loads(found[0].as_py())
