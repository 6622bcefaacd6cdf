"""The reference's own reading of records, by cases written out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.reference import MISSING, ConfigError, Event, Reference
from tests.reference.mapping import FIRST, kind_of, parse_path
from tests.reference.times import read_time

MAPPING = {"id": "id", "type": "type", "time": "time", "entity": "stream", "data": "data"}
JANUARY = 1_704_067_200_000_000


def read(mapping: dict[str, Any], *records: Any) -> list[Event]:
    return Reference(None, mapping).events(records, [10 * n for n in range(1, len(records) + 1)])


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        ("2024-01-01T00:00:00Z", 0), ("2024-01-01T00:00:00.1234567Z", 123_456),
        ("2024-01-01T00:00:00.999999999Z", 999_999),
        ("2024-01-01 02:30:00+0230", 0), ("2023-12-31T19:00:00-05", 0), ("2024-01-01t00:00:00z", 0),
        ("2024-01-01", 0), ("20240101", 0), (20240101, 0), ("2024-01-01 00:00:01", 1_000_000),
        (1704067200, 0), (1704067200123, 123_000), (1704067200123456, 123_456), (1704067200123456789, 123_456),
        (Decimal("1704067200.1234567"), 123_456), ("1704067200.5", 500_000),
    ],
)  # fmt: skip
def test_times(value: Any, micros: int) -> None:
    assert read_time(value) == JANUARY + micros


@pytest.mark.parametrize("value", ["", "yesterday", "2024-13-01", "2024-01-01T25:00:00Z", True, [], {}])
def test_no_time(value: Any) -> None:
    with pytest.raises(ValueError, match=r"not a time|neither text nor number|must be in"):
        read_time(value)


def test_an_event_without_a_time_stands_at_the_one_before_it() -> None:
    rows = read(MAPPING, {"id": "a"}, {"time": "2024-01-01"}, {"time": None})
    assert [row.time for row in rows] == [FIRST, JANUARY, JANUARY]
    assert [row.undated for row in rows] == [True, False, True]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nope",
        b'{"a": 1,}',
        b'{"a": NaN}',
        b'{"a": 01}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a": "\t"}',
        b"{} {}",
    ],
)
def test_what_is_no_json_is_invalid(line: bytes) -> None:
    (row,) = read(MAPPING, line)
    assert row.invalid
    assert not row.folded


def test_a_time_that_cannot_be_read_is_none() -> None:
    (row,) = read(MAPPING, {"time": "soon", "stream": "x-1"})
    assert row.undated
    assert not row.invalid


def test_duplicates_and_conflicts() -> None:
    one, other = b'{"id": 1, "stream": "x-1"}', b'{"id": "1", "stream": "x-1"}'
    rows = read(MAPPING, one, b"\xef\xbb\xbf " + one + b"\r", other, one)
    assert [(row.duplicate_of, row.conflict, row.folded) for row in rows] == [
        (None, False, True),
        (1, False, False),
        (1, True, False),
        (1, False, False),
    ]
    assert all(row.folded for row in read({"entity": "stream"}, one, one))


def test_an_id_of_several_parts() -> None:
    parts = {"id": ["source", "id"], "entity": "source"}
    rows = read(parts, {"source": "a", "id": 1}, {"source": "b", "id": 1}, {"source": "a", "id": 1, "x": 0}, {"id": 1})
    assert [row.duplicate_of for row in rows] == [None, None, 1, None]


@pytest.mark.parametrize(
    ("value", "record", "entity"),
    [
        ("a.b", {"a": {"b": "x"}}, "x"),
        ('a."b c"[1]', {"a": {"b c": [0, "x"]}}, "x"),
        ("record.a", {"a": 1}, "1"),
        ("a", {"a": Decimal("1.50")}, "1.5"),
        ("a", {"a": True}, "true"),
        ("a", {"a": None}, None),
        ("{t}/{k.id}", {"t": "row", "k": {"id": 7}}, "row/7"),
        ("{t}/{k.id}", {"t": "row"}, None),
        (["a", "b"], {"a": None, "b": "x"}, "x"),
        ({"const": "file"}, {}, "file"),
    ],
)
def test_where_the_entity_is(value: Any, record: Any, entity: str | None) -> None:
    (row,) = read({"entity": value}, record)
    assert row.entity == entity


def test_roles_in_the_order_of_the_mapping() -> None:
    mapping = {"entity": "stream", "entities": {"to": "to", "from": "from"}}
    rows = read(mapping, {"stream": "s-1", "from": "a-1", "to": "a-1"}, {"from": "a-2"}, {"n": 1})
    assert [(row.position, row.role, row.entity) for row in rows] == [
        (1, "", "s-1"),
        (1, "to", "a-1"),
        (1, "from", "a-1"),
        (2, "from", "a-2"),
        (3, "", None),
    ]


def test_data() -> None:
    record = {"id": "a", "stream": "x", "meta": {"lsn": 1}, "n": 1}
    mapping = {"id": "id", "entity": "stream", "sequence": ["meta.lsn"]}
    assert read(mapping, record)[0].data == {"meta": {"lsn": 1}, "n": 1}
    assert read({**mapping, "data": "meta"}, record)[0].data == {"lsn": 1}
    assert read({**mapping, "data": "none"}, record)[0].data is MISSING
    assert read({**mapping, "data": "record"}, record)[0].data == record


@pytest.mark.parametrize(
    ("entity", "kind"),
    [
        ("account-42", "account"), ("order/0b4f8a1e-9d3c-4e57-8a55-0c1d2e3f4a5b", "order"), ("alice", "entity"),
        ("42", "entity"), ("ünïcödé", "entity"),
    ],
)  # fmt: skip
def test_kind(entity: str, kind: str) -> None:
    assert kind_of(entity) == kind


@pytest.mark.parametrize("text", [".a", "a..b", "a[x]", 'a."b'])
def test_no_path(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_path(text)


def test_an_order_that_is_none() -> None:
    with pytest.raises(ConfigError):
        Reference(None, {"order": "arrival"})
