"""The fold itself: Reference, and what it gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, NamedTuple

from .evaluation import evaluate, truth
from .mapping import Envelope, Event, Record, read_events, sequence_key
from .operations import apply
from .rules import FAMILIES, WHOLE, Operation, Rule, parse_projection
from .times import read_bound
from .values import MISSING, FoldError, Problem, UnreadableError, same, to_text

Entity = tuple[str, str]
"""(kind, entity)"""
Chosen = set[tuple[Entity, int]]
"""Events by entity and position."""

RECORDED = 1_893_456_000_000_000
"""2030-01-01T00:00:00Z: when records came in if the caller does not say."""


@dataclass(frozen=True)
class State:
    """An entity's state; version, position and time are of its last event in fold order."""

    state: dict[str, Any]
    kind: str
    version: int
    position: int
    time: int
    deleted: bool
    undated: bool = False  # `time` is not the event's own


@dataclass(frozen=True)
class AuditRow:
    """One event of an entity and what it changed; `roles` are all its roles in the event, `role` the first."""

    position: int
    time: int
    recorded_at: int
    entity: str
    kind: str
    role: str
    roles: tuple[str, ...]
    type: str | None
    actor: str | None
    id: str | None
    correlation: str | None
    version: int
    changes: tuple[dict[str, Any], ...]  # {field, before, after} by field; no key where the field was absent
    deletes: bool


class FieldDiff(NamedTuple):
    """One field's difference; before and after are MISSING where the field was absent.

    `positions`: events in between with an operation on the field (a deletion that took it away counts);
    `changing`: those of them after which its value was another.
    """

    change: str  # of the entity: created, changed or deleted
    before: Any
    after: Any
    positions: tuple[int, ...]
    changing: tuple[int, ...]


@dataclass
class _Life:
    """An entity while it is folded; `lost` are fields, or "" for the whole, that an error left unknown."""

    state: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    deleted: bool = False
    lost: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    onto: dict[str, Problem] = field(default_factory=dict)  # by field, what nothing can be added to since it was set


@dataclass(frozen=True)
class Step:
    """One event applied: its role rows, the states around it, the fields it touched."""

    rows: tuple[Event, ...]
    before: dict[str, Any]
    after: dict[str, Any]
    touched: frozenset[str]
    version: int
    deletes: bool


class Reference:
    """Fold records by a projection's table (None: merge of data) and a [mapping] table; ConfigError where wrong."""

    def __init__(self, projection: Mapping[str, Any] | None, mapping: Mapping[str, Any]) -> None:
        self.projection = parse_projection(projection)
        self.envelope = Envelope(mapping)
        self.rows: list[Event] = []

    def events(self, records: Sequence[Record], recorded_at: Sequence[int] | None = None) -> list[Event]:
        """Read records (positions from 1) as the log to answer from; `recorded_at` in microseconds, one per record."""
        at = [RECORDED] * len(records) if recorded_at is None else recorded_at
        self.rows = read_events(self.envelope, records, at)
        return self.rows

    def replay(self, **bounds: Any) -> dict[Entity, State]:
        """Give each entity's state, deleted ones (marked) too.

        Bounds, all optional, all must hold: at, before, known_at (microseconds, time text or datetime), position,
        version (of each entity), sequence ("9", "5,2" or a tuple; compared as far as it goes). FoldError where an event
        cannot be applied.
        """
        states: dict[Entity, State] = {}
        for entity, steps in self._folds(self._included(bounds)):
            last = steps[-1]
            row = last.rows[0]
            states[entity] = State(
                last.after, row.kind, last.version, row.position, row.time, last.deletes, row.undated
            )
        return states

    def audit(self, entity: str, **bounds: Any) -> list[AuditRow]:
        """Give the entity's trail in fold order, one row per event."""
        folds = self._folds(self._included(bounds))
        return [_audit_row(step) for (_, name), steps in folds if name == entity for step in steps]

    def steps(self, **bounds: Any) -> dict[Entity, list[Step]]:
        """Give what each event of each entity left it in, in fold order."""
        return dict(self._folds(self._included(bounds)))

    def _sides(self, *sides: Mapping[str, Any]) -> list[dict[Entity, State]]:
        """Give the states of both sides; an error may name what is wrong in either."""
        found, failed = [], []
        for bounds in sides:
            try:
                found.append(self.replay(**bounds))
            except FoldError as error:
                failed.append(error)
        if failed:
            first, problems = failed[0], [problem for error in failed for problem in error.problems]
            shadowed = all(error.shadowed for error in failed)
            raise FoldError(first.position, first.entity, first.message, shadowed, problems)
        return found

    def diff(self, a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[tuple[str, str], FieldDiff]:
        """Give what differs from bounds `a` to bounds `b`, per entity and field of its live states."""
        before, after = self._sides(a, b)
        one, other = self._included(a), self._included(b)
        trails = {
            entity: [step for step in steps if (entity, step.rows[0].position) in one ^ other]
            for entity, steps in self._folds(one | other)
        }
        found: dict[tuple[str, str], FieldDiff] = {}
        for entity, change in entity_changes(before, after).items():
            old, new = _live(before.get(entity)), _live(after.get(entity))
            for name in sorted({**(old or {}), **(new or {})}):
                x, y = (old or {}).get(name, MISSING), (new or {}).get(name, MISSING)
                if not same(x, y):
                    found[entity[1], name] = FieldDiff(change, x, y, *_touching(trails.get(entity, []), name))
        return found

    def changes(self, a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[Entity, str]:
        """Give the entities that differ from `a` to `b`: created, changed or deleted."""
        return entity_changes(self.replay(**a), self.replay(**b))

    def _key(self, row: Event) -> tuple[Any, ...]:
        if self.envelope.order == "position":
            return (row.position,)
        if self.envelope.order == "time":
            return (row.time, row.position)
        if row.sequence is None:
            raise FoldError(row.position, row.entity or "", "no sequence, and order is by sequence", shadowed=False)
        return (sequence_key(row.sequence), row.position)

    def _histories(self) -> Iterator[tuple[Entity, list[tuple[Event, ...]]]]:
        """Give each entity's events in fold order, an event as its role rows."""
        entities: dict[Entity, list[Event]] = {}
        for row in self.rows:
            if row.folded and self.projection.concerns(row):
                entities.setdefault((row.kind, row.entity or ""), []).append(row)
        for entity, rows in entities.items():
            rows.sort(key=self._key)  # stable: role rows stay in the mapping's order
            yield entity, [tuple(group) for _, group in groupby(rows, key=lambda row: row.position)]

    def _included(self, bounds: Mapping[str, Any]) -> Chosen:
        unknown = set(bounds) - {"at", "before", "known_at", "position", "version", "sequence"}
        if unknown:
            raise TypeError(f"unknown bound {sorted(unknown)[0]}")
        chosen: set[tuple[Entity, int]] = set()
        for entity, events in self._histories():
            kept = [rows[0].position for rows in events if _within(rows[0], bounds)]
            chosen |= {(entity, position) for position in kept[: bounds.get("version", len(kept))]}
        return chosen

    def _folds(self, chosen: Chosen) -> Iterator[tuple[Entity, list[Step]]]:
        """Fold each entity that has one of the chosen events over just these."""
        failed: list[_Life] = []
        folded: list[tuple[Entity, list[Step]]] = []
        for entity, events in self._histories():
            life = _Life()
            steps = [self._step(life, rows) for rows in events if (entity, rows[0].position) in chosen]
            failed += [life] if life.problems else []
            folded += [(entity, steps)] if steps else []
        if failed:
            problems = [problem for life in failed for problem in life.problems]
            first, lost = problems[0], any(life.lost for life in failed)
            raise FoldError(first.position, first.entity, first.message, not lost, problems)
        return iter(folded)

    def _step(self, life: _Life, rows: tuple[Event, ...]) -> Step:
        if life.deleted:
            life.state, life.deleted, life.lost, life.onto = {}, False, set(), {}
        before = dict(life.state)
        touched: set[str] = set()
        deletes = False
        for row in rows:
            for rule in self.projection.rules:
                if rule.matches(row) and self._applies(rule, row, life):
                    deletes |= self._run(rule, row, life, touched)
        life.version += 1
        if deletes:
            touched |= set(life.state)
            life.state, life.deleted, life.lost = {}, True, set()
        return Step(rows, before, dict(life.state), frozenset(touched), life.version, deletes)

    def _applies(self, rule: Rule, row: Event, life: _Life) -> bool:
        try:
            return truth(rule.when, row) is True
        except UnreadableError as problem:
            life.problems.append(_problem(row, problem))
            life.lost |= {operation.field for operation in rule.operations if self._matters(operation)}
            return False

    def _matters(self, operation: Operation) -> bool:
        """Say whether a state may depend on an operation: to unset what no rule ever gives is nothing."""
        others = [other for rule in self.projection.rules for other in rule.operations if other.name != "unset"]
        return operation.name != "unset" or any(o.field == operation.field or o.name in WHOLE for o in others)

    def _run(self, rule: Rule, row: Event, life: _Life, touched: set[str]) -> bool:
        for operation in filter(None, (_settled(each, row) for each in rule.operations)):
            try:
                done = apply(operation, life.state, row, self.projection.types)
            except UnreadableError as problem:
                life.problems.append(_problem(row, problem, operation.field))
                if problem.wanted in ("sum", "list"):
                    life.onto[operation.field] = life.problems[-1]
                life.lost.add(operation.field)
                life.state.pop(operation.field, None)  # so that what follows is judged by itself
                continue
            touched |= done
            _also_met(life.onto, operation, done, row.position)
            if operation.name in ("set", "merge"):
                life.lost -= done
            elif operation.name == "unset":
                life.lost.discard(operation.field)
            elif operation.name == "replace" and done:
                life.lost.clear()
        return any(operation.name == "delete" for operation in rule.operations)


def _settled(operation: Operation, row: Event) -> Operation | None:
    """Give an operation with the field's name that the event tells; None where it tells none."""
    if not operation.named:
        return operation
    parts = [part if isinstance(part, str) else to_text(evaluate(part, row)) for part in operation.named]
    return None if None in parts else replace(operation, field="".join(map(str, parts)))


def _problem(row: Event, error: UnreadableError, name: str = "") -> Problem:
    return Problem(row.position, row.entity or "", str(error), name, error.wanted, error.value, row.position)


def _also_met(onto: dict[str, Problem], operation: Operation, done: set[str], position: int) -> None:
    """Note that an event accumulates to what an earlier one could not; to set or remove the field ends that."""
    if operation.name not in FAMILIES:
        gone = set(onto) if operation.name == "replace" and done else {*done, operation.field}
        for name in gone & onto.keys():
            del onto[name]
    elif done and operation.field in onto:
        onto[operation.field].earliest = min(onto[operation.field].earliest, position)


def _within(row: Event, bounds: Mapping[str, Any]) -> bool:
    return (
        ("at" not in bounds or row.time <= read_bound(bounds["at"]))
        and ("before" not in bounds or row.time < read_bound(bounds["before"]))
        and ("known_at" not in bounds or row.recorded_at <= read_bound(bounds["known_at"]))
        and ("position" not in bounds or row.position <= bounds["position"])
        and ("sequence" not in bounds or _until(row, bounds["sequence"]))
    )


def _until(row: Event, bound: Any) -> bool:
    parts = tuple(bound.split(",")) if isinstance(bound, str) else bound if isinstance(bound, tuple) else (bound,)
    return row.sequence is not None and sequence_key(row.sequence)[: len(parts)] <= sequence_key(parts)


def _live(state: State | None) -> dict[str, Any] | None:
    return None if state is None or state.deleted else state.state


def entity_changes(before: Mapping[Entity, State], after: Mapping[Entity, State]) -> dict[Entity, str]:
    """Give the entities whose live state is not the same in both: created, changed or deleted."""
    changes: dict[Entity, str] = {}
    for entity in {**before, **after}:
        old, new = _live(before.get(entity)), _live(after.get(entity))
        if old is None and new is not None:
            changes[entity] = "created"
        elif old is not None and new is None:
            changes[entity] = "deleted"
        elif old is not None and not same(old, new):
            changes[entity] = "changed"
    return changes


def _touching(steps: Iterable[Step], name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    touching = [step for step in steps if name in step.touched]
    changing = [s for s in touching if not same(s.before.get(name, MISSING), s.after.get(name, MISSING))]
    return tuple(sorted(s.rows[0].position for s in touching)), tuple(sorted(s.rows[0].position for s in changing))


def _audit_row(step: Step) -> AuditRow:
    changes = []
    for name in sorted({**step.before, **step.after}):
        x, y = step.before.get(name, MISSING), step.after.get(name, MISSING)
        if not same(x, y):
            sides = {"before": x, "after": y}
            changes.append({"field": name, **{side: v for side, v in sides.items() if v is not MISSING}})
    row = step.rows[0]
    return AuditRow(
        row.position,
        row.time,
        row.recorded_at,
        row.entity or "",
        row.kind,
        row.role,
        tuple(each.role for each in step.rows),
        row.type,
        row.actor,
        row.id,
        row.correlation,
        step.version,
        tuple(changes),
        step.deletes,
    )
