"""What became of rows at a point, where a log is folded by sequences and its times go back: each question as replay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esctl import Store
from tests.support.cli_harness import good

INSTANTS = range(1, 12)


def change(op: str, lsn: int, second: int, before: Any = None, after: Any = None) -> str:
    source = {"connector": "postgresql", "schema": "public", "table": "t", "lsn": lsn}
    source["ts_ms"] = 1_700_000_000_000 + 1000 * second  # the second is that of 22:13:20 + so many
    key = {"id": (after or before)["id"]} if before or after else None
    value = {"before": before, "after": after, "source": source, "op": op, "ts_ms": 1}
    return json.dumps({"topic": "s.public.t", "key": key, "value": value, "headers": {}})


def at(second: int) -> str:
    return f"2023-11-14T22:13:{20 + second}Z"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("points")
    lines = [
        change("c", 10, 1, None, {"id": 1, "v": 1}),
        change("c", 11, 1, None, {"id": 2, "v": 2}),
        change("c", 12, 8, None, {"id": 3, "v": 3}),
        change("d", 15, 9, {"id": 1, "v": 1}),  # told of a later time than the truncation that it comes before
        change("t", 20, 5),
        change("c", 30, 6, None, {"id": 2, "v": 20}),
        change("u", 40, 10, {"id": 2, "v": 20}, {"id": 2, "v": 21}),
    ]
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    good("ingest", "a.jsonl", "--preset", "debezium", "-q", cwd=folder)
    with Store.open(folder / ".esctl") as opened:
        yield opened


def replayed(store: Store, time: str) -> dict[str, Any]:
    return {row["entity"]: row["state"] for row in store.replay(at=time).rows()}


def test_there_is_a_point_at_which_the_whole_log_would_mislead(store: Store) -> None:
    found = [sorted(replayed(store, at(second))) for second in (1, 5, 6)]
    assert found == [["public.t/1", "public.t/2"], [], ["public.t/2"]]


def test_the_states_of_a_query_are_those_of_replay(store: Store) -> None:
    parts = [f"select {second} as second, entity, state from states('{at(second)}')" for second in INSTANTS]
    found: dict[int, dict[str, Any]] = {second: {} for second in INSTANTS}
    for row in store.sql(" union all ".join(parts)).rows():
        found[row["second"]][row["entity"]] = row["state"]
    assert found == {second: replayed(store, at(second)) for second in INSTANTS}
    query = f"select v, (select count(*) from merge('{at(5)}')) as n from merge('{at(6)}')"
    query += " union all select v, 0 from merge()"
    assert store.sql(f"{query} order by v").rows() == [{"v": 20, "n": 0}, {"v": 21, "n": 0}]


@pytest.mark.parametrize(("every", "engine"), [("1s", "off"), ("5s", "off"), ("5s", "local:2")])
def test_the_values_of_a_series_are_those_of_replay(store: Store, every: str, engine: str) -> None:
    asked = store.in_parts(engine)
    rows = asked.series("sum(v) + count(*) * 1000", every=every, from_=at(1), to=at(11)).rows()
    assert len(rows) >= 2
    held = {row["time"]: replayed(store, row["time"]) for row in rows}
    for row in rows:
        states = held[row["time"]].values()
        assert row["value"] == (sum(each["v"] + 1000 for each in states) if states else None), row["time"]
    for row in asked.series("count(*)", every=every, by="entity", from_=at(1), to=at(11)).rows():
        assert row["value"] == (row["group"] in held[row["time"]]), row


def document(kind: str, number: int, key: int, **more: Any) -> str:
    """Write an event of a change stream of MongoDB."""
    told = {"_id": {"_data": f"{number:032X}"}, "operationType": kind, "ns": {"db": "d", "coll": "t"}, **more}
    stamp = {"$timestamp": {"t": 1_700_000_000 + number, "i": 1}}
    return json.dumps({**told, "clusterTime": stamp, "documentKey": {"_id": key}})


@pytest.mark.parametrize("files", [1, 3])
def test_what_became_of_rows_is_found_however_many_files_the_index_has(files: int, tmp_path: Path) -> None:
    """Of some rows nothing is left as it is stored: they are named, and listed, as if it were."""

    def update(number: int, key: int, fields: dict[str, int]) -> str:
        return document("update", number, key, updateDescription={"updatedFields": fields, "removedFields": []})

    lines = [
        document("insert", 1, 0, fullDocument={"_id": 0, "n": 1}),
        update(2, 1, {"a.b": 7}),
        update(3, 2, {"a.b": 8, "n": 3}),
    ]
    for number in range(files):
        text = "\n".join(lines[number:] if number == files - 1 else lines[number : number + 1])
        (tmp_path / f"{number}.jsonl").write_text(f"{text}\n")
        good("ingest", f"{number}.jsonl", "--preset", "mongodb", "-q", cwd=tmp_path)
    with Store.open(tmp_path / ".esctl") as store:
        whole = store.replay().rows()
        assert [row["entity"] for row in whole] == ["d.t/0", "d.t/1", "d.t/2"]
        assert [row for each in whole for row in store.replay(each["entity"]).rows()] == whole
        assert [row["position"] for row in store.audit("d.t/2").rows()] == [3]
        for name, asked in (("types", store.types()), ("entities", store.entities())):
            assert store.sql(f"select * from {name} order by 1").rows() == asked.rows()
