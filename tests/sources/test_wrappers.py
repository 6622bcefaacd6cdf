"""What wraps events is opened, whatever its key, its depth and its lines; what is an event stays whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions, read
from esctl.sources.formats.shape import EACH, MEMBERS, format_records_path, parse_records_path
from esctl.sources.formats.wrappers import path_to_records, values_at
from tests.support.cli_harness import esctl, good

EVENTS = [{"id": f"e{number}", "type": "T", "time": f"2024-03-0{number}T00:00:00Z"} for number in (1, 2, 3)]
BARE = [{"n": number, "eventTime": f"2024-03-0{number}"} for number in (1, 2, 3)]
NODES = [{"cursor": "x", "node": event} for event in EVENTS]
HITS = [{"_index": "i", "_id": event["id"], "_source": event} for event in EVENTS]
OTLP = {
    "resourceLogs": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeLogs": [{"scope": {"name": name}, "logRecords": [{"timeUnixNano": "17", "body": name}] * 2}],
        }
        for name in "ab"
    ]
}
OTLP_RECORDS = [{"timeUnixNano": "17", "body": name} for name in "aabb"]

WRAPPED: dict[str, tuple[Any, list[Any]]] = {
    "a customary key": ({"Records": EVENTS}, EVENTS),
    "any key": ({"what I found": EVENTS}, EVENTS),
    "beside counts and pages": ({"start": 0, "total": 3, "next": None, "value": EVENTS}, EVENTS),
    "a list of kubernetes": ({"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": EVENTS}, EVENTS),
    "beside when it was made": ({"generatedAt": "2024-03-01T00:00:00Z", "events": BARE}, BARE),
    "further in": ({"data": {"page": 1, "audit": {"rows": BARE}}}, BARE),
    "edges of a graph": ({"data": {"org": {"auditLog": {"edges": NODES, "pageInfo": {"hasNext": False}}}}}, EVENTS),
    "hits of a search": ({"took": 3, "hits": {"total": {"value": 3}, "hits": HITS}}, EVENTS),
    "logs of a collector": (OTLP, OTLP_RECORDS),
    "by id": ({event["id"]: event for event in EVENTS}, EVENTS),
    "by id, further in": ({"log": {event["id"]: event for event in EVENTS}}, EVENTS),
    "beside an array of other things": ({"users": [{"id": 1, "name": "n"}], "audit_logs": EVENTS}, EVENTS),
    "a page of a feed": (
        {"title": "s", "id": "u", "updated": "2024-03-01T00:00:00Z", "links": [{"uri": "u"}], "entries": EVENTS},
        EVENTS,
    ),
    "a delivery of events": ({"eventType": "hook", "eventId": "h", "data": {"events": EVENTS}}, EVENTS),
    "an array": (EVENTS, EVENTS),
    "an array of pages": ([{"Records": EVENTS[:1]}, {"Records": EVENTS[1:]}], EVENTS),
}
WHOLE: dict[str, Any] = {
    "an order": {"id": "7", "type": "OrderPlaced", "lines": [{"sku": "a", "addedAt": "2024-01-01"}]},
    "an order that names no type": {"order": "o-1", "placedAt": "2024-01-01T00:00:00Z", "lines": [{"sku": "a"}]},
    "before and after": {"before": {"n": 1, "updated_at": "2024-01-01"}, "after": {"n": 2, "updated_at": "2024-01-02"}},
    "a Windows event": {"Event": {"System": {"EventID": 1}, "EventData": {"Data": [{"#text": "x"}]}}},
    "a push": {"ref": "x", "repository": {"name": "r"}, "after": "c1", "timestamp": "2024-01-01", "commits": EVENTS},
    "two arrays": {"a": BARE, "b": BARE},
    "text alone": {"names": ["a", "b"]},
}


def records(folder: Path, data: bytes, **options: Any) -> list[Any]:
    path = folder / "file"
    path.write_bytes(data)
    found: list[Any] = []
    for delivery in read(Source(str(path), path), SourceOptions(**options), {}):
        found += [json.loads(raw) for raw in delivery.batch["raw"].to_pylist()]
    return found


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapper_is_opened(name: str, indent: int | None, tmp_path: Path) -> None:
    document, expected = WRAPPED[name]
    data = json.dumps(document, indent=indent).encode()
    for size in (1, 17, 1 << 20):
        assert records(tmp_path, data, batch_bytes=size) == expected
    assert records(tmp_path, b"\xef\xbb\xbf" + data + b"\n") == expected


@pytest.mark.parametrize("name", WRAPPED)
def test_pages_on_lines_are_opened(name: str, tmp_path: Path) -> None:
    document, expected = WRAPPED[name]
    data = (json.dumps(document) + "\n").encode() * 3
    for size in (40, 1 << 20):
        assert records(tmp_path, data, batch_bytes=size) == expected * 3


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", WHOLE)
def test_an_event_stays_whole(name: str, indent: int | None, tmp_path: Path) -> None:
    data = (json.dumps(WHOLE[name], indent=indent) + "\n").encode()
    assert records(tmp_path, data) == [WHOLE[name]]
    assert records(tmp_path, data * 3) == [WHOLE[name]] * 3


def test_events_that_hold_arrays_are_no_pages(tmp_path: Path) -> None:
    events = [{"number": number, "lines": [{"sku": "a"}, {"sku": "b"}]} for number in range(5)]
    assert records(tmp_path, "\n".join(map(json.dumps, events)).encode()) == events


def test_a_line_that_is_no_page_is_kept(tmp_path: Path) -> None:
    data = json.dumps({"events": EVENTS}) + "\n" + json.dumps({"events": []}) + "\n"
    assert records(tmp_path, data.encode()) == EVENTS
    assert records(tmp_path, (data + '{"done": true}\n').encode(), input_format="json", records_path="events") == [
        *EVENTS,
        {"done": True},
    ]


def test_a_wrapper_longer_than_what_is_looked_at_is_opened(tmp_path: Path) -> None:
    events = [{**BARE[0], "text": "x" * 100_000}] * 15
    assert records(tmp_path, json.dumps({"a": {"b": events}}).encode()) == events


@pytest.mark.parametrize(
    ("path", "document", "expected"),
    [
        ("a.b", {"a": {"b": [1, {"c": 2}]}}, [1, {"c": 2}]),
        ("a[].b[]", {"a": [{"b": [{"x": 1}]}, {"y": [{"x": 9}]}, {"b": [{"x": 2}, 3]}]}, [{"x": 1}, {"x": 2}, 3]),
        ("[].b[]", [{"b": [{"x": 1}]}, {"b": [{"x": 2}]}], [{"x": 1}, {"x": 2}]),
        ("a[].b", {"a": [{"b": {"x": 1}, "c": {"b": {}}}, {"b": {"x": 2}}]}, [{"x": 1}, {"x": 2}]),
        ("a.*", {"a": {"p": {"x": 1}, "q": 2, "r": {"x": 3}}, "z": {"x": 9}}, [{"x": 1}, 2, {"x": 3}]),
        ("*.b[]", {"p": {"b": [{"x": 1}]}, "q": {"b": [{"x": 2}]}}, [{"x": 1}, {"x": 2}]),
    ],
)
@pytest.mark.parametrize("size", [1, 13, 1 << 20])
def test_a_path_leads_through_arrays(path: str, document: Any, expected: list[Any], size: int, tmp_path: Path) -> None:
    for indent in (None, 2):
        data = json.dumps(document, indent=indent).encode()
        assert records(tmp_path, data, records_path=path, batch_bytes=size) == expected
        assert records(tmp_path, data + b"\n" + data, records_path=path, batch_bytes=size) == expected * 2


@pytest.mark.parametrize("name", ['a"b', "a\\b", '"', 'x"y\\z.[]', "ends\\", ""])
def test_a_wrapper_of_any_name_is_opened(name: str, tmp_path: Path) -> None:
    assert records(tmp_path, json.dumps({name: EVENTS, "n": 1}).encode()) == EVENTS
    assert records(tmp_path, json.dumps({"p": {name: EVENTS, "n": 1}}).encode()) == EVENTS


@given(st.lists(st.one_of(st.just(EACH), st.just(MEMBERS), st.text('ab."[]* \\{}'))))
def test_a_path_is_read_as_it_is_written(steps: list[Any]) -> None:
    path = tuple(steps)
    assert parse_records_path(format_records_path(path)) == path


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("14-k8s-eventlist/list.json", 2),
        ("16-wrapped-array-on-one-line/old.json", 2),
        ("16-wrapped-array-on-one-line/items.json", 3),
        ("16-wrapped-array-on-one-line/items.pretty.json", 3),
        ("19-arrays-per-line/two_arrays.json", 3),
    ],
)
def test_what_people_have(name: str, count: int, real_logs: Path, tmp_path: Path) -> None:
    assert len(records(tmp_path, (real_logs / "cases" / name).read_bytes())) == count


@pytest.mark.parametrize("lines", [HITS, [{"preview": False, "result": event} for event in EVENTS]])
def test_lines_that_each_wrap_an_object_are_opened(lines: list[Any], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    esctl("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["id"] for row in good("log", cwd=tmp_path).rows] == ["e1", "e2", "e3"]


def dated(number: int) -> dict[str, Any]:
    return {"type": "paid", "account": f"a-{number % 2}", "at": f"2024-03-05T10:0{number}:00Z"}


@pytest.mark.parametrize(
    "document",
    [
        {f"e{n}": dated(n) for n in range(4)},
        {
            "took": 3,
            "hits": {"total": 4, "hits": [{"_index": "i", "_id": f"x{n}", "_source": dated(n)} for n in range(4)]},
        },
    ],
)
def test_events_are_told_by_times_whatever_these_are_called(document: dict[str, Any]) -> None:
    path = path_to_records(document)
    assert [*values_at(document, path)] == [dated(n) for n in range(4)]


def test_an_array_that_a_path_names_is_known_again(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"id": "1", "entity": "x"}, {"id": "2", "entity": "x"}]')
    for new in (2, 0):
        assert good("ingest", "a.json", "--records-path", "[]", cwd=tmp_path).row["new"] == new
