"""Corners where an answer was once wrong without saying so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from esctl.api import Relation, Store
from esctl.engine.duckdb import connect, second_cursor
from esctl.engine.interrupts import interrupt_all
from esctl.errors import UsageError
from esctl.intake.batch import ingest
from esctl.intake.intake import IngestOptions, Outcome
from esctl.model import MARK
from esctl.sources.files.finding import expand
from esctl.sources.files.reading import SourceOptions, file_readers
from tests.support.cli_harness import esctl, good, refused

ENVELOPE = {"id": "i", "type": "t", "time": "at", "entity": "e", "data": "d"}
Event = Mapping[str, Any]


def event(number: int, data: object = None, **changes: object) -> Event:
    made = {"i": f"evt-{number}", "t": "Happened", "at": f"2024-01-01T00:00:{number:02d}Z", "e": "thing-1"}
    return {**made, **({} if data is None else {"d": data}), **changes}


def kept(folder: Path, events: Sequence[Event], mapping: Mapping[str, str] = ENVELOPE, toml: str = "") -> Store:
    """Ingest events, each in a commit of its own, into the store of a folder."""
    (folder / "esctl.toml").write_text(
        "[mapping]\n" + "".join(f"{key} = {json.dumps(path)}\n" for key, path in mapping.items()) + toml,
        encoding="utf-8",
    )
    for number, one in enumerate(events):
        taken(folder, f"{number:03d}.jsonl", [one])
    return Store.open(folder / ".esctl")


def taken(folder: Path, name: str, events: Sequence[Event], *, skip_duplicates: bool = False) -> Outcome:
    path = folder / name
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in events), encoding="utf-8")
    store = Store.create(folder / ".esctl", None, erasable=False)
    options = IngestOptions(SourceOptions(), skip_duplicates=skip_duplicates)
    found = file_readers(expand([str(path)]), options.source)
    return ingest(store.path, found, options, store.updater, lambda read, records: None, store.connection)


def state(relation: Relation) -> Any:
    (row,) = relation.rows()
    return row["state"]


# --- bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [{"from_": "version:2"}, {"to": "version:2"}])
def test_a_version_does_not_bound_a_trail_across_entities(tmp_path: Path, bounds: dict[str, str]) -> None:
    store = kept(tmp_path, [event(1), event(2), event(3)])
    with pytest.raises(UsageError, match="version:2"):
        store.audit(**bounds)


@pytest.mark.parametrize("point", ["version:1", "seq:1"])
def test_what_was_known_is_bounded_by_the_log_alone(tmp_path: Path, point: str) -> None:
    store = kept(tmp_path, [event(1, n=1), event(2, n=2)], {**ENVELOPE, "sequence": "n"})
    with pytest.raises(UsageError, match="--known-at"):
        store.replay(known_at=point)


def test_what_was_known_at_an_event_is_the_log_up_to_it(tmp_path: Path) -> None:
    late = event(3, {"a": "late"}, at="2023-01-01T00:00:00Z")
    store = kept(tmp_path, [event(5, {"a": "early"}), late, event(4, {"b": "after"})])
    assert state(store.replay(known_at="id:evt-3")) == {"a": "early"}
    assert state(store.replay(known_at="id:evt-5")) == {"a": "early"}
    assert [row["position"] for row in store.audit(known_at="id:evt-3").rows()] == [2, 1]


def test_events_without_a_sequence_lie_between_a_sequence_and_a_position(tmp_path: Path) -> None:
    mapping = {**ENVELOPE, "sequence": "n", "order": "position"}
    store = kept(tmp_path, [event(1, {"a": 1}, n=1), event(2, {"a": 2}), event(3, {"a": 3})], mapping)
    (row,) = store.diff("seq:1", "@2").rows()
    assert (row["before"], row["after"], row["positions"]) == (1, 2, [2])


# --- names and values that begin with the mark of exact numbers -----------------------------------------------------


@pytest.mark.parametrize("toml", ["", '[projections.p.on."*"]\nmerge_patch = "data"\n'])
@pytest.mark.parametrize("name", [f"{MARK}5", f"{MARK}{MARK}x", MARK])
def test_a_field_may_begin_with_the_mark(tmp_path: Path, name: str, toml: str) -> None:
    store = kept(tmp_path, [event(1, {name: 1.50}), event(2, {name: f"{MARK}7", "o": {name: name}})], toml=toml)
    assert state(store.replay()) == {name: f"{MARK}7", "o": {name: name}}
    fields = {row["field"]: row["after"] for row in store.diff("@0", "@1").rows()}
    assert fields == {name: Decimal("1.5")}
    changes = [row["changes"] for row in store.audit(field=name).rows()]
    assert changes == [
        [{"field": name, "after": Decimal("1.5")}],
        [{"field": name, "before": Decimal("1.5"), "after": f"{MARK}7"}],
    ]
    (kind,) = store.types().rows()
    assert set(kind["fields"]) == {name, "o"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('on."*"]\nset = { x = "data.value9" }\nwhen = "data.state = \'value7\'"', {"x": 5}),
        ('on."*"]\nset = { x = "\'it\'\'s value99\'" }\nwhen = "data.value9 = 5"', {"x": "it's value99"}),
        ('on."guard5"]\nadd = { value8 = "data.value9 + 1" }', {"value8": 6}),
    ],
)
def test_a_text_or_field_may_be_named_as_a_plan_names_its_parts(
    tmp_path: Path, rule: str, expected: dict[str, Any]
) -> None:
    toml = f"[projections.p.{rule}\n"
    found = kept(tmp_path, [event(1, {"state": "value7", "value9": 5}, t="guard5")], toml=toml)
    assert state(found.replay()) == expected
    (row,) = found.sql("select * from p()").rows()
    assert row.items() >= expected.items()


def test_a_text_of_the_envelope_may_begin_with_the_mark(tmp_path: Path) -> None:
    toml = """[projections.p.on."*"]\nset = { who = "actor", both = "{'a': actor}", last = "concat(actor, '')" }\n"""
    name = f"{MARK}42"
    store = kept(tmp_path, [event(1, who=name)], {**ENVELOPE, "actor": "who"}, toml)
    assert state(store.replay()) == {"who": name, "both": {"a": name}, "last": name}


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_a_sum_without_a_start_is_held_to_its_declared_type(tmp_path: Path) -> None:
    toml = """[projections.p]\ntypes = { total = "decimal(3,1)" }
[projections.p.on.Reset]\nset = { total = "0" }\n[projections.p.on.Happened]\nadd = { total = "data.n" }\n"""
    events = [event(1, {"n": 60}), event(2, {"n": 60}), event(3, e="thing-2", t="Reset")]
    store = kept(tmp_path, events, toml=toml)
    with pytest.raises(UsageError, match=r"total is 120"):
        store.replay("thing-1").rows()


def test_a_hugeint_holds_more_digits_than_a_bigint(tmp_path: Path) -> None:
    toml = """[projections.p]\ntypes = { total = "hugeint" }\n[projections.p.on."*"]\nset = { total = "data.n" }\n"""
    assert state(kept(tmp_path, [event(1, {"n": 10**25})], toml=toml).replay()) == {"total": 10**25}


def test_a_double_beside_a_whole_number_keeps_its_fraction(tmp_path: Path) -> None:
    each = "case when data.n > 2 then cast(data.n + 0.25 as double) else data.n end"
    toml = (
        f'[projections.p.on.Happened]\nset = {{ v = "{each}" }}\nmax = {{ m = "{each}" }}\nadd = {{ t = "{each}" }}\n'
    )
    store = kept(tmp_path, [event(1, {"n": 1}), event(2, {"n": 3})], toml=toml)
    assert state(store.replay()) == {"v": 3.25, "m": 3.25, "t": 4.25}


def test_doubles_add_up_to_what_they_show_and_exact_numbers_to_all_their_digits(tmp_path: Path) -> None:
    toml = """[projections.p.on.Happened]
add = { double = "cast(data.n as double)", exact = "data.small" }\n"""
    events = [event(number, {"n": n, "small": 1e-15}) for number, n in enumerate((0.1, 0.2, 0.6), 1)]
    found = state(kept(tmp_path, events, toml=toml).replay())
    assert {name: str(value) for name, value in found.items()} == {"double": "0.9", "exact": "3E-15"}


def test_quotients_are_of_all_digits_of_their_parts(tmp_path: Path) -> None:
    kept(tmp_path, [event(1, {"small": 2e-15, "smaller": 1e-15, "half": 0.5})])

    def last(expression: str) -> Any:
        return good("series", expression, "--every", "1d", cwd=tmp_path).rows[-1]["value"]

    assert last("sum(small) / sum(smaller)") == 2
    assert last("sum(half) / cast(4 as double)") == 0.125
    assert last("avg(cast(half as double))") == 0.5


# --- stores ----------------------------------------------------------------------------------------------------------


def test_a_reader_keeps_its_index_while_another_builds_it_anew(tmp_path: Path) -> None:
    reader = kept(tmp_path, [event(1, {"a": 1}), event(2, {"a": 2})])
    assert reader.view.manifest.files
    Store.open(tmp_path / ".esctl").rebuild_index()
    assert state(reader.replay()) == {"a": 2}


def test_an_index_built_anew_takes_nothing_from_the_old_one(tmp_path: Path) -> None:
    store = kept(tmp_path, [event(1, {"a": 1})])
    (store.view.folder / "manifest.json").write_text("no manifest", encoding="utf-8")
    Store.open(tmp_path / ".esctl").rebuild_index()
    assert state(Store.open(tmp_path / ".esctl").replay()) == {"a": 1}


def test_a_source_of_skipped_duplicates_is_recognised_by_its_own_records(tmp_path: Path) -> None:
    known = [event(number, {"x": number}) for number in range(1, 6)]
    kept(tmp_path, known)
    outcome = taken(tmp_path, "again.jsonl", [event(6), *known], skip_duplicates=True)
    assert outcome.skipped == 5
    assert [cursor.sampled for name, cursor in outcome.store_state.cursors.items() if "again" in name] == [1]


def test_a_starter_counts_events_and_not_their_roles(tmp_path: Path) -> None:
    from esctl.ask.events.starter_toml import starter

    mapping = {"id": "i", "type": "t", "time": "at", "data": "d"}
    toml = '[mapping.entities]\nfrom = "d.from"\nto = "d.to"\n'
    store = kept(tmp_path, [event(1, {"from": "account-1", "to": "account-2"})], mapping, toml)
    assert "# 1 events;" in starter(store.scope(), store.view.manifest)


# --- sql projections -------------------------------------------------------------------------------------------------


def test_a_query_reads_no_file_under_the_name_of_another_scope(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("entity\nthing-1\n", encoding="utf-8")
    hidden = f'(with "{secret}" as (select 1) select 1)'
    toml = f"""[projections.p]\nsql = '''select s.entity from "{secret}" s, {hidden} x'''\n"""
    store = kept(tmp_path, [event(1)], toml=toml)
    with pytest.raises(UsageError, match="reads"):
        store.replay(projection="p").rows()


# --- interrupts ------------------------------------------------------------------------------------------------------


def test_an_interrupt_stops_what_streams_beside_the_connection() -> None:
    import duckdb

    cursor = second_cursor(connect(threads=1))
    stopped: list[type[Exception]] = []

    def stream() -> None:
        try:
            cursor.execute("SELECT sum(hash(range)) FROM range(1000000000000)").fetchall()
        except duckdb.Error as error:
            stopped.append(type(error))

    thread = Thread(target=stream, daemon=True)
    thread.start()
    for _ in range(200):
        interrupt_all()
        thread.join(0.1)
        if not thread.is_alive():
            break
    assert stopped == [duckdb.InterruptException]


def test_a_projection_without_a_trail_says_so(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(
        '{"id":"1","type":"T","time":"2024-01-01T00:00:00Z","entity":"a-1","data":{"x":1}}\n'
    )
    text = '[projections.n]\nsql = "select entity, count(*) as n from events group by entity"\n'
    (tmp_path / "esctl.toml").write_text(text)
    for words in (["ingest", "log.jsonl", "-q"], ["audit"], ["diff", "@0", "@1"]):
        done = subprocess.run(
            [sys.executable, "-m", "esctl", *words], cwd=tmp_path, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
        assert ("projection n is an SQL query" in done.stderr) == (words[0] != "ingest")


TEXTS = (
    '{"id":"1","type":"T","time":"2024-01-01T00:00:00Z","stream":"a-1","data":"oops"}\n'
    '{"id":"2","type":"T","time":"2024-01-02T00:00:00Z","stream":"a-1","data":"later"}\n'
)
MAPPED = [
    f"--map={key}={path}" for key, path in (("data", "data"), ("entity", "stream"), ("time", "time"), ("id", "id"))
]


@pytest.mark.parametrize(
    "question",
    [
        ["replay"], ["replay", "--columns", "entity"], ["diff", "@1", "@2"], ["audit"], ["series", "count(*)"],
        ["when", "true"], ["blame", "a-1"], ["revert", "a-1", "--to", "@1"],
    ],
)  # fmt: skip
def test_no_question_passes_over_payloads_that_cannot_be_merged(tmp_path: Path, question: list[str]) -> None:
    (tmp_path / "a.jsonl").write_text(TEXTS)
    good("ingest", "a.jsonl", *MAPPED, cwd=tmp_path)
    assert "2 payloads that are no objects in scope: esctl doctor --payloads" in esctl(*question, cwd=tmp_path).err
    (tmp_path / "esctl.toml").write_text('[projections.p.on."*"]\nmerge = "data"\n')
    assert "2 payloads that are no objects in scope: esctl doctor --payloads" in esctl(*question, cwd=tmp_path).err


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["replay", "--at", ""], "--at"), (["replay", "--before="], "--before"), (["audit", "--from", ""], "--from"),
        (["replay", "--known-at", ""], "--known-at"), (["diff", "", "now"], "A"),
        (["export", "--source", ""], "--source"),
    ],
)  # fmt: skip
def test_what_is_given_and_empty_is_not_taken_for_nothing(tmp_path: Path, arguments: list[str], name: str) -> None:
    (tmp_path / "a.jsonl").write_text(TEXTS)
    good("ingest", "a.jsonl", *MAPPED, cwd=tmp_path)
    assert refused(*arguments, code=2, cwd=tmp_path) == (f"{name} is empty", "give it a value")


def test_a_year_is_no_point_in_time(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(TEXTS.replace('"oops"', "{}").replace('"later"', "{}"))
    good("ingest", "a.jsonl", *MAPPED, cwd=tmp_path)
    assert refused("replay", "--at", "2024", code=2, cwd=tmp_path)[0] == "--at '2024' is not a point in time"
    assert good("replay", "--at", "1704067200", cwd=tmp_path).row["version"] == 1


def test_what_map_says_is_told_where_it_counts(tmp_path: Path) -> None:
    event = '{"id":"%d","type":"T","time":"2024-01-01T00:00:00Z","stream":"s-%d","acct":"a-1","n":1}\n'
    (tmp_path / "a.jsonl").write_text("".join(event % (i, i) for i in range(3)))
    told = good("ingest", "a.jsonl", "--map", "entity=acct", cwd=tmp_path).err
    assert "entity  acct  (--map says so)" in told
    assert "  stream  " not in told
    (tmp_path / "esctl.toml").write_text('[mapping]\nentity = "stream"\n')
    shown = [row for row in good("config", "show", cwd=tmp_path).rows if row["setting"] == "mapping.entity"]
    assert [row["value"] for row in shown] == ["stream", "acct"]
    assert "--map" in shown[1]["origin"]
    assert good("entities", cwd=tmp_path).row["entity"] == "a-1"
    good("reindex", "--map", "", cwd=tmp_path)
    assert [row["entity"] for row in good("entities", cwd=tmp_path).rows] == ["s-0", "s-1", "s-2"]
    done = esctl("reindex", "--map", "entity=nowhere", cwd=tmp_path)
    assert (done.code, "note: 3 events of no entity: esctl doctor --homeless" in done.err) == (2, True)


def test_a_second_source_gets_its_entity_as_the_hint_says(tmp_path: Path) -> None:
    for name, entity in (("w", "wallet"), ("u", "usr")):
        event = f'{{"id":"{name}","kind":"K","at":"2024-01-01T00:00:00Z","{entity}":"{name}-1","n":1}}\n'
        (tmp_path / f"{name}.jsonl").write_text(event)
    good("ingest", "w.jsonl", cwd=tmp_path)
    hint = esctl("ingest", "-q", "u.jsonl", cwd=tmp_path).err.splitlines()[-1]
    assert hint == "hint: say which it is: esctl reindex --map u.jsonl:entity=usr"
    good("reindex", "--map", "u.jsonl:entity=usr", cwd=tmp_path)
    rows = good("log", "--columns", "id,type,time,entity", cwd=tmp_path).rows
    assert [tuple(row.values()) for row in rows] == [
        (name, "K", "2024-01-01T00:00:00Z", f"{name}-1") for name in ("w", "u")
    ]


def test_a_source_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(TEXTS)
    good("ingest", "a.jsonl", *MAPPED, cwd=tmp_path)
    for raw in ([], ["--raw"]):
        assert refused("export", *raw, "--source", "b.jsonl", code=4, cwd=tmp_path)[0] == "no source 'b.jsonl'"


def test_a_table_that_is_read_as_lines_is_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,entity,n\n1,s-1,5\n2,s-1,5,6\n")
    done = esctl("ingest", "a.csv", cwd=tmp_path)
    assert done.code == 3
    assert "--input-format csv" in done.err
    assert good("ingest", "a.csv", "--input-format", "csv", "--store", "other", cwd=tmp_path).row["invalid"] == 1
