"""Whose ids are whose: sources with a numbering of their own are told apart, real conflicts are still told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from esctl.index.envelope.mapping import parse_mapping
from esctl.index.files.manifest import Manifest, read_manifest
from esctl.index.seen_ids.numberings import unrotated
from esctl.index.update import Updater
from esctl.log.commits import create_store, open_log
from esctl.log.store_state import StoreState
from esctl.log.writer import LogWriter, Part
from esctl.model import FileCursor
from tests.reference.mapping import Envelope, read_events
from tests.support import effort
from tests.support.cli_harness import esctl, good
from tests.support.engine_harness import session, store_folder
from tests.support.log_helpers import Unsynced, batch, clock

MAPPING = {"id": "i", "type": "t", "entity": "e", "order": "position"}
Delivery = tuple[str, Sequence[tuple[int, int]]]
"""A source and what it delivers: an id and what else the event says."""


def raw(source: str, event: tuple[int, int]) -> bytes:
    return json.dumps({"i": event[0], "t": "T", "e": "x", "n": event[1]}).encode() + b"\n"


def commit(path: Path, deliveries: Sequence[Delivery]) -> StoreState:
    with LogWriter(path, clock=clock, files=Unsynced(), connection=session().connection) as writer:
        known = dict(writer.store_state.cursors)
        parts = []
        for source, events in deliveries:
            raws = [raw(source, event) for event in events]
            before = known.get(source)
            offset, count = (before.offset, before.records) if before else (0, 0)
            cursor = FileCursor(
                offset + sum(map(len, raws)), "0" * 64, 0, "0" * 64, format="jsonl", records=count + len(raws)
            )
            known[source] = cursor
            parts.append(Part(source, [batch(raws, offset)], cursor))
        return writer.append(parts)


def made(path: Path, name: str = "one", **more: str) -> Updater:
    return Updater(session().connection, parse_mapping({**MAPPING, **more}), path / "index" / name)


def told(updater: Updater, store_state: StoreState) -> list[tuple[Any, ...]]:
    rows = updater.at(store_state).relation(["position", "source", "duplicate_of", "conflict"])
    return updater.connection.execute(f"SELECT * FROM ({rows}) ORDER BY position").fetchall()


def manifest_of(updater: Updater) -> Manifest:
    found = read_manifest(updater.folder)
    assert found is not None
    return found


def counted(commits: Sequence[Sequence[Delivery]], **more: str) -> tuple[int, int, int]:
    """Give how many events are folded, duplicates and conflicts after some commits."""
    with store_folder() as folder:
        create_store(folder / "s", files=Unsynced())
        updater = made(folder / "s", **more)
        for deliveries in commits:
            updater.run(commit(folder / "s", deliveries))
        rows = told(updater, open_log(folder / "s").read())
    conflicts = sum(conflict for *_, conflict in rows)
    repeated = sum(first is not None for _, _, first, _ in rows)
    return len(rows) - repeated, repeated - conflicts, conflicts


def numbered(first: int, last: int, system: int, *changed: int) -> list[tuple[int, int]]:
    return [(number, -number if number in changed else 1000 * system + number) for number in range(first, last + 1)]


A, B = numbered(1, 100, 1), numbered(1, 100, 2)
CASES: dict[str, tuple[list[list[Delivery]], tuple[int, int, int]]] = {
    "two systems at once": ([[("a", A), ("b", B)]], (200, 0, 0)),
    "two systems one after the other": ([[("a", A)], [("b", B)]], (200, 0, 0)),
    "three events each": ([[("a", A[:3])], [("b", B[:3])]], (6, 0, 0)),
    "two strays": ([[("a", A[:3])], [("b", B[:2])]], (3, 0, 2)),
    "one stray among new ids": ([[("a", A)], [("b", numbered(100, 200, 1, 100))]], (200, 0, 1)),
    "two of two, against two": ([[("a", A[:2])], [("b", B[:2])]], (4, 0, 0)),
    "a hundredth are strays": (
        [[("a", numbered(1, 400, 0))], [("b", numbered(397, 796, 1, *range(397, 401)))]], (796, 0, 4),
    ),
    "five of a hundred are not": ([[("a", A)], [("b", numbered(96, 195, 1, *range(96, 101)))]], (200, 0, 0)),
    "one more is a numbering": ([[("a", A)], [("b", numbered(95, 194, 1, *range(95, 101)))]], (200, 0, 0)),
    "few of few": ([[("a", A[:3])], [("b", numbered(1, 400, 2))]], (403, 0, 0)),
    "overlapping exports": ([[("a", A)], [("b", numbered(51, 150, 1))]], (150, 50, 0)),
    "exports partly corrected": ([[("a", A)], [("b", numbered(51, 150, 1, *range(51, 91)))]], (150, 10, 40)),
    "noticed later": ([[("a", A)], [("b", B[:2])], [("b", B[2:])]], (200, 0, 0)),
    "the first source grows into the ids of the second": (
        [[("a", A[:10])], [("b", numbered(50, 99, 2))], [("a", A[10:])]], (150, 0, 0)
    ),
    "a third that overlaps the second": ([[("a", A)], [("b", B)], [("c", numbered(51, 150, 2, 60))]], (250, 49, 1)),
    "a third that overlaps the second, at once": (
        [[("a", A), ("b", B), ("c", numbered(51, 150, 2, 60))]], (250, 49, 1)
    ),
    "rotated files": (
        [[("web", A)], [("app.log.1", B)], [("app.log", numbered(101, 200, 2))]], (300, 0, 0)
    ),
    "rotated files that overlap beyond the others' ids": (
        [[("web", A[:50])], [("app.log.1", B)], [("app.log", numbered(51, 150, 2, 70))]], (200, 49, 1)
    ),
    "exports that overlap beyond the others' ids": (
        [[("web", A[:50])], [("jan", B)], [("feb", numbered(51, 150, 2))]], (200, 50, 0)
    ),
    "rotated files that count anew": ([[("app.log.1", A), ("app.log", B)]], (200, 0, 0)),
    "rotated files that count anew, one after the other": ([[("app.log.1", A)], [("app.log", B)]], (200, 0, 0)),
    "generations that count anew": ([[("-", A)], [("-#2", B)], [("-#3", numbered(1, 50, 3))]], (250, 0, 0)),
    "generations of two systems in turn": ([[("-", A)], [("-#2", B)], [("-#3", A)], [("-#4", B)]], (200, 200, 0)),
    "many generations that count anew": (
        [[(f"app.log.{n}", numbered(1, 50, n)) for n in range(6)]], (300, 0, 0)
    ),
    "generations that count anew beside another system": (
        [[("web", A)], [("app.log.2", B)], [("app.log.1", numbered(1, 90, 3))], [("app.log", numbered(1, 80, 4))]],
        (370, 0, 0)
    ),
    "generations that count anew beside another system, at once": (
        [[("web", A), ("app.log.2", B), ("app.log.1", numbered(1, 90, 3)), ("app.log", numbered(1, 80, 4))]],
        (370, 0, 0)
    ),
    "generations that go on, then count anew": (
        [[("web", numbered(201, 300, 1)), ("app.log.2", A), ("app.log.1", numbered(101, 250, 1, *range(201, 251)))],
         [("app.log", numbered(1, 60, 4))]],
        (410, 0, 0)
    ),
    "partitions": ([[(f"topic/{n}", numbered(1, 50, n)) for n in range(9)]], (450, 0, 0)),
    "an id given again in its own source": ([[("a", [*A, *B])]], (100, 0, 100)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_becomes_of_ids_that_are_given_twice(name: str) -> None:
    commits, expected = CASES[name]
    assert counted(commits) == expected


def test_the_scope_of_ids_can_be_said() -> None:
    assert counted([[("a", A)], [("b", B)]], scope="store") == (100, 0, 100)
    assert counted([[("a", A)], [("b", A[:5])]], scope="source") == (105, 0, 0)
    assert counted([[("a", A)], [("a#2", numbered(1, 100, 1, 7))]], scope="source") == (100, 99, 1)


def test_a_scope_of_the_store_reaches_over_mappings(tmp_path: Path) -> None:
    create_store(tmp_path / "s", files=Unsynced())
    own = {**MAPPING, "scope": "store"}
    config = parse_mapping({"sources": {"a": own, "b": {**own, "actor": "n"}}})
    updater = Updater(session().connection, config, tmp_path / "s" / "index" / "one")
    store_state = commit(tmp_path / "s", [("a", A), ("b", numbered(91, 110, 1, 95))])
    updater.run(store_state)
    repeated = [(first, conflict) for _, _, first, conflict in told(updater, store_state) if first]
    assert repeated == [(number, number == 95) for number in range(91, 101)]


events = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), min_size=1, max_size=8)
deliveries = st.lists(st.tuples(st.sampled_from(["a", "b", "c.log", "c.log.1"]), events), min_size=1, max_size=4)


@settings(max_examples=effort.examples(25, 3), derandomize=True, deadline=None, phases=[Phase.generate])
@given(commits=st.lists(deliveries, min_size=1, max_size=5), size=st.sampled_from([1, 3, 7, 100]))
def test_the_log_alone_decides(commits: list[list[Delivery]], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch, store_folder() as folder:
        patch.setattr("esctl.index.chunks.CHUNK_ROWS", size)
        path = folder / "s"
        create_store(path, files=Unsynced())
        updater, then = made(path), []
        for each in commits:
            store_state = commit(path, each)
            updater.run(store_state)
            then.append((store_state, told(updater, store_state)))
        again = made(path, "again")
        again.rebuild(store_state)
        assert told(again, store_state) == then[-1][1]
        assert manifest_of(again).moves == manifest_of(updater).moves
        for before, answer in then:  # on an earlier basis all is as it was
            assert told(updater, before) == answer
        manifest = manifest_of(updater)
        flat = [(source, event) for each in commits for source, events in each for event in events]
        numbers = [manifest.sources[source] for source, _ in flat]
        rows = read_events(Envelope(MAPPING), [raw(*each) for each in flat], [0] * len(flat), numbers)
        assert [(row.duplicate_of, row.conflict) for row in rows] == [row[2:] for row in then[-1][1]]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("app.log", "app.log"), ("app.log.1", "app.log"), ("logs/app.log.12.gz", "logs/app.log"),
        ("app.log#2", "app.log"),
        ("app.log-20240131", "app.log"), ("app-2024-01-31.log", "app.log"), ("a1.jsonl", "a1.jsonl"), ("9", "9"),
    ],
)  # fmt: skip
def test_what_rotation_puts_into_a_name(name: str, stem: str) -> None:
    assert unrotated(name) == stem


def lines(path: Path, entity: str, first: int, last: int, factor: int) -> None:
    """Write events of an entity that count from `first`, each caused by the one before."""
    path.write_text(
        "".join(
            json.dumps({
                "id": n, "type": "T", "time": f"2024-01-{n:02d}T00:00:00Z", "stream": entity, "data": {"n": n * factor},
                "causation_id": n - 1 or None,
            }) + "\n"
            for n in range(first, last + 1)
        )
    )  # fmt: skip


@pytest.fixture
def two(tmp_path: Path) -> Path:
    lines(tmp_path / "a.jsonl", "a-1", 1, 9, 1)
    lines(tmp_path / "b.jsonl", "b-1", 1, 9, 10)
    return tmp_path


def test_it_is_said_at_ingest_and_kept(two: Path) -> None:
    done = esctl("ingest", "a.jsonl", "b.jsonl", cwd=two)
    assert (done.code, done.rows[0]["conflicts"]) == (0, 0)
    assert (
        "note: b.jsonl has a numbering of its own: 9 of its ids are known from a.jsonl with other content" in done.err
    )
    assert '  [mapping.sources."b.jsonl"]\n  scope = "source"\n' in done.err
    assert {row["entity"]: row["version"] for row in good("replay", cwd=two).rows} == {"a-1": 9, "b-1": 9}
    shown = {row["setting"]: row for row in good("config", "show", cwd=two).rows}['mapping.sources."b.jsonl".scope']
    assert shown["value"] == "source"
    assert "kept in the store" in shown["origin"]
    found = esctl("doctor", "--numberings", cwd=two)
    assert (found.code, [row["position"] for row in found.rows]) == (1, [10])
    assert "numbering of its own" in esctl("reindex", cwd=two).err
    assert [row["result"] for row in good("verify", "--full", cwd=two).rows if row["check"] == "index"] == ["ok"]


def test_the_line_that_is_printed_can_be_pasted(two: Path) -> None:
    esctl("ingest", "a.jsonl", "b.jsonl", cwd=two)
    answer = good("replay", cwd=two).rows
    (two / "esctl.toml").write_text('[mapping.sources."b.jsonl"]\nscope = "source"\n')
    done = esctl("reindex", cwd=two)
    assert (done.code, "numbering of its own" in done.err) == (0, False)
    assert good("replay", cwd=two).rows == answer
    assert not esctl("doctor", "--numberings", cwd=two).rows
    (two / "esctl.toml").write_text('[mapping]\nscope = "store"\n')
    assert [row["entity"] for row in good("replay", cwd=two).rows] == ["a-1"]
    assert len(esctl("doctor", "--conflicts", cwd=two).rows) == 9


def test_an_id_that_names_two_events_is_told(two: Path) -> None:
    good("ingest", "a.jsonl", "b.jsonl", cwd=two)
    both = "2 events have the id '5': @5 of a.jsonl, @14 of b.jsonl"
    shown = esctl("show", "5", cwd=two)
    assert ([row["position"] for row in shown.rows], both in shown.err) == ([5, 14], True)
    for command in (["replay", "--at", "id:5"], ["replay", "--known-at", "id:5"], ["replay", "--without", "5"],
                    ["replay", "--without", "id:5"], ["show", "--raw", "5"]):  # fmt: skip
        done = esctl(*command, cwd=two)
        assert (done.code, both in done.err, "@5" in done.err.splitlines()[-1]) == (2, True, True)
    assert both in esctl("trace", "5", cwd=two).err
    tree = good("trace", "@14", cwd=two).rows
    assert {row["source"] for row in tree} == {"b.jsonl"}  # a cause is sought in its own numbering


def test_what_was_found_outlives_the_records_it_was_found_from(two: Path) -> None:
    good("ingest", "--erasable", "a.jsonl", "b.jsonl", cwd=two)
    good("redact", *(f"@{position}" for position in range(1, 9)), "--reason", "r", "--yes", cwd=two)
    assert {row["entity"]: row["version"] for row in good("replay", cwd=two).rows} == {"a-1": 1, "b-1": 9}
