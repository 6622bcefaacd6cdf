"""Whether two stores answer alike: every question, its rows read apart from what may differ, or an error in both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from tests.reference import FoldError, Reference
from tests.reference.values import same, to_text
from tests.support.filters import aggregates, conditions
from tests.support.ground import Bounds, Ground, Refusal, Row, Told
from tests.support.stepped import MERGE
from tests.support.unchanged import UNRELATED
from tests.support.wide_digits import MAPPING, RULES, Spread

Question = Callable[[Ground], Told]
BOUNDS: tuple[Bounds, ...] = ({"position": 2}, {"position": 4}, {"version": 2}, {"at": 1_704_412_800_000_000})
AS_ARRIVED = ("recorded_at", "source", "offset", "duplicate_of", "invalid")
"""What an event's row says of how it arrived."""


def questions(log: Spread, random: Random) -> Iterator[tuple[str, Question]]:
    """Give questions about the entities that are asked about, each named."""
    asked = [*conditions("n", "m", log.numbers, random.choice)]
    condition, bounds, entity = random.choice(asked), random.choice(BOUNDS), log.records[0]["stream"]
    aggregate = random.choice(aggregates("n", random.choice(asked))).sql
    yield "replay", lambda made: made.states()
    yield f"replay {bounds}", lambda made: made.states(bounds)
    yield f"replay --where {condition.sql}", lambda made: made.states(where=condition.sql)
    yield f"replay {bounds} --where {condition.sql}", lambda made: made.states(bounds, condition.sql)
    yield f"diff {bounds}", lambda made: made.diff(bounds)
    yield "audit", lambda made: made.audit()
    yield f"blame {entity}", lambda made: made.blame(entity)
    yield f"when {condition.sql}", lambda made: made.when(condition.sql)
    yield f"when {condition.sql} at the end", lambda made: made.when(condition.sql, each_event=False)
    yield f"series {aggregate} by entity", lambda made: made.series(aggregate, "1d", "entity")
    yield f"log --where {condition.event_sql}", lambda made: made.log(condition.event_sql)
    yield "sql states", lambda made: cells(made.sql(f"SELECT * FROM {made.name}()"))
    yield "sql history", lambda made: cells(made.sql(f"SELECT * FROM {made.name}_history()"))


class Asked:
    """A plain store and questions to it: each is asked once, about all entities and about those of its log alone."""

    def __init__(self, made: Ground, questions: Sequence[tuple[str, Question]]) -> None:
        self.made = made
        self.questions = dict(questions)
        self._answers: dict[tuple[str, tuple[str, ...]], Told] = {}

    def answer(self, what: str, entities: tuple[str, ...]) -> Told:
        if (what, entities) not in self._answers:
            self._answers[what, entities] = self.questions[what](replace(self.made, entities=entities))
        return self._answers[what, entities]


def differing(log: Spread, plain: Asked, changed: Ground, *, named: bool) -> Iterator[str]:
    """Hold the answers of a changed store to those of the plain one; `named`: about the entities of the log alone."""
    entities = tuple({record["stream"] for record in log.records}) if named else ()
    for what, question in plain.questions.items():
        if what.startswith("sql") and named:
            continue  # it is asked about all entities
        wanted, given = plain.answer(what, entities), question(replace(changed, entities=entities))
        if isinstance(given, Refusal) or isinstance(wanted, Refusal):
            if type(given) is not type(wanted):
                yield f"{what}: {_shown(wanted)} is {_shown(given)}"
            continue
        one, other = sorted_rows(wanted), sorted_rows(given)
        if not same(one, other):
            yield f"{what}: {_first_difference(one, other)}"


def _shown(told: Told) -> str:
    return f"refused ({told.message})" if isinstance(told, Refusal) else f"an answer ({len(told)} rows)"


def _first_difference(one: Sequence[Row], other: Sequence[Row]) -> str:
    if len(one) != len(other):
        return f"{len(one)} rows are {len(other)}"
    return next(f"{x} is {y}" for x, y in zip(one, other, strict=True) if not same(x, y))


def sorted_rows(rows: Sequence[Row]) -> list[Row]:
    """Leave out what does not matter, and put rows into one order."""
    names = ("kind", "entity", "group", "field", "valid_from", "start", "version", "position", "time")
    kept = (row for row in rows if UNRELATED not in (row.get("entity"), row.get("group")) and _counts(row))
    return sorted((_read(row) for row in kept), key=lambda row: [str(row.get(name, "")) for name in names])


def _counts(row: Row) -> bool:
    return row.get("duplicate_of") is None and row.get("invalid") is None


def _read(row: Row) -> Row:
    plain = {name: value for name, value in row.items() if name not in AS_ARRIVED}
    if isinstance(plain.get("data"), dict):
        plain["data"] = {name: value for name, value in plain["data"].items() if name != "unseen"}
    if isinstance(plain.get("changes"), list):
        plain["changes"] = sorted(plain["changes"], key=lambda change: change["field"])
    if "positions" in plain and plain["field"] is not None:
        plain["positions"] = None  # a set-wise diff names a deletion even where the field was not there
    return plain


def cells(told: Told) -> Told:
    """Read a table of states as text a field, whatever type a column has and whether the state is one column."""
    if isinstance(told, Refusal):
        return told
    whole = [{**row, **(row["state"] if isinstance(row.get("state"), dict) else {}), "state": None} for row in told]
    return [{name: _cell(value) for name, value in row.items() if value is not None} for row in whole]


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    return to_text(Decimal(value)) if isinstance(value, int) and not isinstance(value, bool) else to_text(value)


def error_of(log: Spread) -> FoldError | None:
    """Say at which event the reference cannot fold a log; None where it can."""
    reference = Reference(RULES[log.rules] or MERGE, MAPPING)
    reference.events(log.records)
    try:
        reference.replay()
    except FoldError as problem:
        return problem
    return None
