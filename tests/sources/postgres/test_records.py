"""What a real server sent, as records."""

from __future__ import annotations

import json
from typing import Any

import pytest

from esctl.sources.postgres.pgoutput import (
    UNCHANGED,
    Begin,
    Column,
    Commit,
    DecodeError,
    Insert,
    Relation,
    Type,
    Update,
    decode,
)
from esctl.sources.postgres.records import Around, Records, descriptions_of, records_of, time_text
from tests.sources.postgres.test_pgoutput import STREAM


def written(known: Records) -> list[dict[str, Any]]:
    found: list[bytes] = []
    around = b'"lsn":"0/0"'
    for data in STREAM:
        told = decode(data)
        if isinstance(told, Type):
            known.learn(told)
        elif isinstance(told, Relation):
            known.describe(told)
        elif isinstance(told, Begin):
            around = Around(told.lsn, told.xid, told.time).start()
        elif not isinstance(told, Commit):
            found += [*descriptions_of(told, known, around), *records_of(told, known, around)]
    return [json.loads(raw) for raw in found]


def no_key(relation: Relation) -> tuple[str, ...]:
    return ("id",) if relation.table == "x" else ()


def test_records_tell_all_of_themselves() -> None:
    found = written(Records(no_key))
    t = {"relation": 16392, "schema": "public", "table": "t", "key": ["id"]}
    first = {"lsn": "0/153AD70", "xid": 737, "time": "2026-01-02T03:04:05.678901Z"}
    rest = {"m": '"so"', "d": 5, "ok": True, "js": '{"a": 1.0}', "by": "\\xde00"}
    assert [column["type"] for column in found[0].pop("columns")] == [
        "int4", "text", "numeric", "public.mood", "int4", "bool", "jsonb", "bytea",
    ]  # fmt: skip
    assert found[0] == {"action": "R", **first, **t, "replica_identity": "default"}
    assert found[1] == {"action": "I", **first, **t, "row": {"id": 1, "big": "x" * 3000, "n": 1.5, **rest}}
    row = {"id": 2, "n": "NaN", **rest}
    assert found[3] | {"lsn": "", "xid": 0, "time": ""} == {
        "action": "U", "lsn": "", "xid": 0, "time": "", **t, "row": row, "old": {"id": 1}, "unchanged": ["big"],
    }  # fmt: skip
    assert "".join(each["action"] for each in found) == "RIUUDRIUDRIIRIUUDTTMM"


def test_digits_are_kept_as_sent() -> None:
    raws = [raw for data in STREAM[2:6] for raw in _each(KNOWN, data)]
    assert b'"n":1.50,' in raws[-1]


KNOWN = Records(no_key)


def _each(known: Records, data: bytes) -> list[bytes]:
    told = decode(data)
    if isinstance(told, Type):
        known.learn(told)
    if isinstance(told, Relation):
        known.describe(told)
    return list(records_of(told, known, b'"lsn":"0/0"'))


def test_keys_of_each_replica_identity() -> None:
    found = [each for each in written(Records(no_key)) if each["action"] in "RUD"]
    by = {(each["table"], each["action"]): each for each in found}
    assert by["f%", "R"]["key"] == by["n", "R"]["key"] == []
    assert by["f%", "U"]["old"] == {"a": 1, "b": None}
    assert by["x", "R"]["key"] == ["id"]
    assert by["x", "R"]["identity"] == ["u"]
    assert by["x", "D"]["old"] == {"u": 3}


def test_a_table_that_is_gone_is_named_by_its_index() -> None:
    found = [each for each in written(Records(lambda relation: None)) if each.get("table") == "x"]
    assert {tuple(each["key"]) for each in found} == {("u",)}
    assert all("identity" not in each for each in found)


def test_a_whole_old_row_tells_what_was_not_changed() -> None:
    known = Records(no_key)
    columns = (Column("a", 23, -1, True), Column("b", 25, -1, True))
    known.describe(Relation(1, "s", "t", "full", columns))
    (raw,) = records_of(Update(1, ("2", UNCHANGED), ("1", "long"), True), known, b'"lsn":"0/0"')
    assert json.loads(raw)["row"] == {"a": 2, "b": "long"}
    assert "unchanged" not in json.loads(raw)


def test_bytes_that_are_no_text_stay_in_their_record() -> None:
    known = Records(no_key)
    known.describe(Relation(1, "s", "t", "nothing", (Column("a", 25, -1, False),)))
    (raw,) = records_of(Insert(1, (b'\xff"\\\n',)), known, b'"lsn":"0/0"')
    assert raw.endswith(b'"row":{"a":"\xff\\"\\\\\\u000a"}}')
    with pytest.raises(UnicodeDecodeError):
        json.loads(raw)


def test_a_row_of_an_unknown_table_or_of_another_width_is_refused() -> None:
    known = Records(no_key)
    with pytest.raises(DecodeError, match="the table 7, which no message describes"):
        list(records_of(Insert(7, ("1",)), known, b""))
    known.describe(Relation(7, "s", "t", "nothing", (Column("a", 25, -1, False),)))
    with pytest.raises(DecodeError, match=r"a row of 2 values, where s\.t has 1 columns"):
        list(records_of(Insert(7, ("1", "2")), known, b""))


def test_a_table_is_told_again_only_where_it_changed() -> None:
    known = Records(no_key)
    first = Relation(7, "s", "t", "nothing", (Column("a", 25, -1, False),))
    known.describe(first)
    assert known.description_if_new(7) is not None
    assert known.description_if_new(7) is None
    later = Records(no_key, known.described_digests)
    later.describe(first)
    assert later.description_if_new(7) is None
    later.describe(Relation(7, "s", "t", "nothing", (Column("a", 23, -1, False),)))
    assert later.description_if_new(7) is not None


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"), (2**63 - 1, "9223372036854775807")],
)
def test_times(micros: int, text: str) -> None:
    assert time_text(micros) == text
