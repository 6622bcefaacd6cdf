"""doctor's counts are those of a plain walk over the events, on drawn logs full of collisions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from msgspec.structs import replace

from esctl.api import Store
from esctl.ask.health.check_sequences import LEAST_SHARE, MOST_REPEATED
from esctl.ask.health.doctor import CHECKS, examine, occurrences
from esctl.ask.scope.filters import Filters
from esctl.ask.scope.notes import findings_note
from tests.ask.states.test_review import event, kept
from tests.reference import Reference
from tests.reference.mapping import Event
from tests.reference.values import rfc3339
from tests.support import effort
from tests.support.cli_harness import esctl, good, write_lines
from tests.support.drawn_values import HOUR, JANUARY, Log
from tests.support.engine_harness import Engine, engine, fetch
from tests.support.strategies import logs

NAMES = tuple(check.name for check in CHECKS)
Found = set[tuple[int, str | None]]
"""Positions, each with the entities concerned."""

quick = settings(max_examples=60, phases=effort.PHASES)


def listed(made: Engine, *names: str, known_at: int | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """List what some checks find, all entities being in scope."""
    scope = replace(made.scope(known_at), projection="")
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in names}
    for row in fetch(occurrences(scope, Filters(), names)):
        found[row[0]].append(row)
    return found


def told_by(rows: Iterable[tuple[Any, ...]]) -> Found:
    return {(row[1], row[6]) for row in rows}


def positions(rows: Iterable[tuple[Any, ...]]) -> set[int]:
    return {row[1] for row in rows}


def rows_known(log: Log, known_at: int | None) -> list[Event]:
    rows = Reference(None, log.mapping).events(log.records, log.recorded_at)
    return [row for row in rows if known_at is None or row.recorded_at <= known_at]


def told(rows: Iterable[Event]) -> Found:
    return {(row.position, row.entity) for row in rows}


def valid(rows: Sequence[Event]) -> list[Event]:
    return [row for row in rows if row.invalid is None and row.duplicate_of is None]


def dated(rows: Sequence[Event]) -> list[Event]:
    return [row for row in valid(rows) if not row.undated]


def late(rows: Sequence[Event]) -> Found:
    found = []
    for row in (row for row in rows if row.folded and not row.undated):
        earlier = [
            other.time
            for other in rows
            if other.folded
            and not other.undated
            and (other.kind, other.entity) == (row.kind, row.entity)
            and other.recorded_at < row.recorded_at
        ]
        found += [row] if earlier and row.time < max(earlier) else []
    return told(found)


def clock(rows: Sequence[Event]) -> Found:
    by_position = {row.position: row for row in reversed(valid(rows)) if not row.undated}
    order = sorted(by_position)
    back = [here for before, here in pairwise(order) if by_position[here].time < by_position[before].time]
    return told(by_position[position] for position in back)


def mixed(rows: Sequence[Event]) -> Found:
    seen: dict[tuple[str | None, str], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in valid(rows):
        for name, value in row.data.items() if isinstance(row.data, dict) else ():
            if value is not None:
                seen[row.type, name][json_type(value)].add(row.position)
    odd = {
        position
        for kinds in seen.values()
        for positions in sorted(kinds.values(), key=len, reverse=True)[1:]
        for position in positions
    }
    return {(position, None) for position in odd}


def has_ties(rows: Sequence[Event]) -> bool:
    """Say whether two JSON types of a field are equally frequent: which is the odd one is then a matter of names."""
    seen: dict[tuple[str | None, str], Counter[str]] = defaultdict(Counter)
    for row in {row.position: row for row in valid(rows)}.values():
        for name, value in row.data.items() if isinstance(row.data, dict) else ():
            if value is not None:
                seen[row.type, name][json_type(value)] += 1
    return any(
        len(counts) > 1 and counts.most_common(2)[0][1] == counts.most_common(2)[1][1] for counts in seen.values()
    )


def json_type(value: Any) -> str:
    names = ((bool, "BOOLEAN"), (int, "NUMBER"), (Decimal, "NUMBER"), (str, "STRING"), (list, "ARRAY"))
    return next((name for kind, name in names if isinstance(value, kind)), "OBJECT")


PLAIN: dict[str, Callable[[Sequence[Event]], Found]] = {
    "duplicates": lambda rows: told(row for row in rows if row.duplicate_of and not row.conflict),
    "conflicts": lambda rows: told(row for row in rows if row.conflict),
    "homeless": lambda rows: told(row for row in rows if row.invalid is None and row.entity is None),
    "undated": lambda rows: told(row for row in rows if row.invalid is None and row.undated),
    "future": lambda rows: told(row for row in dated(rows) if row.time - row.recorded_at > 300_000_000),
    "late": late,
}


def test_what_is_listed_is_what_a_plain_walk_finds() -> None:
    seen: Counter[str] = Counter()

    @settings(quick, max_examples=effort.examples(60, 14))
    @seed(5)
    @given(logs())
    def check(log: Log) -> None:
        known_at = log.bounds[-1].get("known_at")
        rows = rows_known(log, known_at)
        with engine(log) as made:
            found = listed(made, *NAMES, known_at=known_at)
        for name, plain in PLAIN.items():
            assert told_by(found[name]) == plain(rows), name
        assert positions(found["clock"]) == {position for position, _ in clock(rows)}
        assert positions(found["invalid"]) == {row.position for row in rows if row.invalid}
        if not has_ties(rows):
            assert positions(found["mixed-types"]) == {position for position, _ in mixed(rows)}
        seen.update(name for name, rows_found in found.items() if rows_found)

    check()
    # Some take several sources, `recording` a clock that jumped, `clock-change` a zone.
    rare = {"no-creation", "numberings", "read-twice", "repeats", "recording", "clock-change", "gaps"}
    assert set(NAMES) - rare <= seen.keys()


@pytest.mark.thorough
@seed(1)
@settings(quick, max_examples=20)
@given(logs())
def test_the_summary_counts_what_is_listed(log: Log) -> None:
    with engine(log) as made:
        found = listed(made, *NAMES)
        results = examine(replace(made.scope(), projection=""), Filters())
    for result in results:
        rows = found[result.check.name]
        where = sorted(positions(rows))
        assert (result.count, list(result.examples)) == (len(where), where[:5]), result.check.name
        assert result.entities == len({(row[5], row[6]) for row in rows if row[6] is not None})
        assert (result.worst is None) == (not rows)
        assert result.worst is None or any(result.worst == f"@{row[1]}: {row[-1]}" for row in rows)


@pytest.mark.thorough
@seed(2)
@quick
@given(logs())
def test_the_note_of_every_answer_says_what_doctor_counts(log: Log) -> None:
    known_at = log.bounds[-1].get("known_at")
    with engine(log) as made:
        note = findings_note(replace(made.scope(known_at), projection=""))
        found = listed(made, "conflicts", "invalid", "duplicates", "payloads", "undated", known_at=known_at)
    words = {"conflict": "conflicts", "invalid": "invalid", "duplicate": "duplicates", "payload": "payloads"}
    words |= {"undated": "undated"}
    said = {words[word]: int(count) for count, word in re.findall(rf"(\d+) ({'|'.join(words)})", note)}
    expected = {name: len(positions(rows)) for name, rows in found.items() if rows}
    assert said == expected
    assert note.endswith(f" --{next(iter(expected))}" if len(expected) == 1 else "esctl doctor" if expected else "")


# --- sequences -------------------------------------------------------------------------------------------------------

SEQUENCED = {"id": "id", "type": "type", "time": "time", "entity": "stream", "sequence": "seq", "data": "data"}


def log_of(records: Sequence[dict[str, Any]], mapping: dict[str, Any]) -> Log:
    count = len(records)
    return Log(tuple(records), mapping, None, ({},), (count,), (JANUARY + HOUR,) * count)


@st.composite
def sequences(draw: DrawFn) -> list[dict[str, Any]]:
    """Draw a log whose sequence counts per entity, or all events, densely or not, with numbers left out."""
    per_entity, step = draw(st.booleans()), draw(st.sampled_from([1, 1, 1, 7]))
    counters: Counter[str] = Counter()
    records = []
    for number in range(draw(st.integers(1, 25))):
        entity = draw(st.sampled_from(["thing-1", "thing-2", "thing-3"]))
        owner = entity if per_entity else ""
        counters[owner] += step + draw(st.sampled_from([0, 0, 0, 0, 1, 3]))
        record = {"id": str(number), "type": "T", "time": rfc3339(JANUARY), "seq": counters[owner], "stream": entity}
        records.append(record)
    return draw(st.permutations(records)) if draw(st.booleans()) else records


def missing(rows: Sequence[Event]) -> set[int]:
    """Walk the numbers of the widest counter that is dense and gives no number twice."""
    for owner in (lambda row: "", lambda row: row.entity):
        groups: dict[Any, list[tuple[int, int]]] = defaultdict(list)
        for row in rows:
            assert row.sequence is not None
            groups[owner(row)].append((row.sequence[0], row.position))
        counted = [sorted(group) for group in groups.values() if len(group) > 1]
        events = sum(map(len, counted))
        numbers = sum(len({number for number, _ in group}) for group in counted)
        reach = sum(group[-1][0] - group[0][0] + 1 for group in counted)
        if counted and events - numbers <= MOST_REPEATED * events and numbers >= LEAST_SHARE * reach:
            return {
                position
                for group in counted
                for (before, _), (number, position) in pairwise(group)
                if number > before + 1
            }
    return set()


def test_gaps_are_told_where_a_counter_leaves_none() -> None:
    seen: Counter[bool] = Counter()

    @settings(quick, max_examples=effort.examples(60, 14))
    @seed(3)
    @given(sequences())
    def check(records: list[dict[str, Any]]) -> None:
        log = log_of(records, SEQUENCED)
        expected = missing(rows_known(log, None))
        with engine(log) as made:
            assert positions(listed(made, "gaps")["gaps"]) == expected
        seen[bool(expected)] += 1

    check()
    assert seen[True] > 5
    assert seen[False] > 5


def test_sparse_numbers_and_those_that_are_none_have_no_gaps(tmp_path: Path) -> None:
    mapping = {"type": "t", "time": "at", "entity": "e", "sequence": "n"}
    for number, values in enumerate(([10, 2500, 9000], ["a", "b", "d"], ["1.5", "2.5"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        store = kept(folder, [event(i, n=value) for i, value in enumerate(values)], mapping)
        assert counts(store)["gaps"] == 0


def test_each_source_may_count_for_itself(tmp_path: Path) -> None:
    mapping = {"type": "t", "time": "at", "entity": "e", "sequence": "n", "id": "i"}
    events = [event(i, n=n, e=f"thing-{i}") for i, n in enumerate([1, 2, 4])]
    store = kept(tmp_path, events, mapping)
    assert counts(store)["gaps"] == 1
    (detail,) = [
        row[-1] for row in store.connection.execute(occurrences(store.scope(), Filters(), ["gaps"]).sql).fetchall()
    ]
    assert detail == "3 is missing from the sequence of the log, after 2 (@2)"


def counts(store: Store, *entities: str, **options: Any) -> dict[str, int]:
    return {result.check.name: result.count for result in examine(store.scope(entities, **options), Filters())}


# --- creations, rules ------------------------------------------------------------------------------------------------


@seed(4)
@quick
@given(st.lists(st.sampled_from(["Opened"] * 12 + ["Paid", None]), min_size=1, max_size=24), st.booleans())
def test_an_entity_that_begins_otherwise_than_its_kind_is_told(firsts: list[str | None], other: bool) -> None:
    records = []
    for number, first in enumerate(firsts):
        kind = "thing" if other and number % 2 else "account"
        shared = {"stream": f"{kind}-{number}", "time": rfc3339(JANUARY + HOUR)}
        records += [{**shared, "type": "Paid", "time": rfc3339(JANUARY + 2 * HOUR)}, {**shared, "type": first}]
    log = log_of(records, {"type": "type", "time": "time", "entity": "stream", "data": "data"})
    expected = set()
    for kind in ("thing", "account"):
        rows = [(i, first) for i, first in enumerate(firsts) if ("thing" if other and i % 2 else "account") == kind]
        usual, beginning = (
            Counter(first for _, first in rows if first).most_common(1)[0] if any(f for _, f in rows) else ("", 0)
        )
        if rows and beginning >= 0.9 * len(rows):
            expected |= {2 * i + 2 for i, first in rows if first != usual}
    with engine(log) as made:
        assert positions(listed(made, "no-creation")["no-creation"]) == expected


RULES = """
[projections.account]
entities = "account-*"
[projections.account.on.Opened]
set = { owner = "data.a" }
[projections.account.on."Paid*"]
set = { paid = "data.a" }
[projections.other.on."Moved[from]"]
set = { moved = "data.a" }
"""


def test_types_without_a_rule_are_told_per_projection(tmp_path: Path) -> None:
    kinds = ["Opened", "PaidIn", "Closed", "Moved"]
    events = [
        event(i, {"a": 1}, e=e, t=kind)
        for i, (e, kind) in enumerate((e, k) for e in ("account-1", "x-1") for k in kinds)
    ]
    store = kept(tmp_path, events, toml=RULES)
    assert counts(store)["unhandled"] == 2 + 4  # a rule for a role is none for what has no role
    assert counts(store, "account-1")["unhandled"] == 2
    assert counts(store, projection="account")["unhandled"] == 2
    assert counts(store, projection="other")["unhandled"] == 8


def test_types_without_a_rule_for_a_role_are_told_with_it(tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text(
        '[mapping]\nentity = "at"\n[mapping.entities]\nfrom = "data.a"\nto = "data.b"\n'
        '[projections.p.on."Moved[from]"]\ncount = "out"\n[projections.p.on."Seen[]"]\ncount = "seen"\n'
        '[projections.p.on.Opened]\ncount = "opened"\n[projections.q.on."*[to]"]\ncount = "came"\n'
    )
    types = ["Moved", "Opened", "Seen", "Closed"]
    events = [{"id": f"e{n}", "type": kind, "data": {"a": "x", "b": "y"}} for n, kind in enumerate(types)]
    write_lines(tmp_path / "a.jsonl", [*events, {"id": "e9", "type": "Seen", "at": "x", "data": {}}])
    good("ingest", "a.jsonl", "--map", "type=type", cwd=tmp_path)

    def told(projection: str) -> list[tuple[str, str, str]]:
        begin, found = "has no rule for this type", esctl("doctor", "--unhandled", "-p", projection, cwd=tmp_path)
        assert found.code == 1, found.err
        return sorted((row["type"], row["entity"], row["detail"].partition(begin)[2]) for row in found.rows)

    seen = [("Seen", entity, f' in the role "{role}"') for entity, role in (("x", "from"), ("y", "to"))]
    assert told("p") == [("Closed", "x", ""), ("Closed", "y", ""), ("Moved", "y", ' in the role "to"'), *seen]
    came = [(kind, "x", ' in the role "from"') for kind in sorted(types)]
    assert told("q") == sorted([*came, ("Seen", "x", " without a role")])


def test_a_default_projection_and_queries_have_a_rule_for_everything(tmp_path: Path) -> None:
    toml = '\n[projections.q]\nentities = "thing-*"\nsql = "select entity, count(*) n from events group by entity"\n'
    store = kept(tmp_path, [event(1), event(2, e="other-1")], toml=toml)
    assert counts(store)["unhandled"] == 0


def test_an_empty_store_is_clean(tmp_path: Path) -> None:
    store = kept(tmp_path, [event(1)])
    assert set(counts(store, known_at="2000-01-01").values()) == {0}
    assert [check.name for check in CHECKS] == list(counts(store))
