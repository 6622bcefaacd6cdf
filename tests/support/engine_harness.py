"""The engine in one process on small drawn logs: records -> log -> index -> answers, as plain values to compare.

One DuckDB connection serves all examples; stores live in memory where there is a RAM disk, and nothing is synced.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from esctl.ask.changes.audit import audit
from esctl.ask.changes.diff import Side, compare, diff
from esctl.ask.scope.scope import Scope
from esctl.ask.scope.what_if import without_events
from esctl.ask.states.replay import replay
from esctl.ask.states.save import save_snapshots
from esctl.engine.duckdb import Session, explained, open_session
from esctl.errors import EsctlError, UsageError
from esctl.index.envelope.mapping import parse_mapping
from esctl.index.scan import IndexView, Read
from esctl.index.update import Updater
from esctl.log.commits import create_store
from esctl.log.store_state import StoreState
from esctl.log.writer import LogWriter, Part
from esctl.model import MARK, Answer, AsOf, FileCursor
from esctl.output import Target, write
from esctl.projection.spec import Projection, parse_projection
from esctl.saved_states.files import Shelf
from tests.reference import MISSING, AuditRow, FoldError, Reference, same
from tests.reference import State as ReferenceState
from tests.reference.mapping import Record, dump
from tests.support.drawn_values import Log
from tests.support.log_helpers import Unsynced
from tests.support.told_errors import error_differs

SOURCE = "drawn.jsonl"
PROJECTION = "p"
Bounds = Mapping[str, Any]
Entity = tuple[str, str]
"""(kind, entity)"""


@cache
def session() -> Session:
    """Give the one session of this process."""
    return open_session(threads=1)


@contextmanager
def store_folder() -> Iterator[Path]:
    """Give a new folder, in memory where the machine has a RAM disk."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="esctl-test-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class State:
    """One row of replay; `state` None: deleted."""

    state: Any
    version: int
    position: int
    time: int


@dataclass(frozen=True)
class Row:
    """One row of audit."""

    position: int
    time: int
    recorded_at: int
    role: str
    type: str | None
    actor: str | None
    id: str | None
    correlation: str | None
    version: int
    changes: list[dict[str, Any]]


@dataclass(frozen=True)
class Engine:
    """A store's index and the projection to ask with."""

    view: IndexView
    store_state: StoreState
    updater: Updater
    projection: Projection | None
    config: Path | None = None  # the esctl.toml, were there one: python projections lie beside it
    without: tuple[str, ...] = ()  # events supposed away
    shelf: Shelf | None = None  # snapshots of states to go on from

    def rebuilt(self) -> Engine:
        """Give the engine with its index deleted and built again."""
        shutil.rmtree(self.view.folder)
        return replace(self, view=self.updater.run(self.store_state))

    def scope(self, known_at: int | None = None) -> Scope:
        """Give the ground of a question: this projection, all entities."""
        own = (self.projection,) if self.projection else ()
        known = None if known_at is None else AsOf("known", "time", instant=known_at)
        name = PROJECTION if self.projection else ""
        scope = Scope(session(), self.view, own, name, known_at=known, config=self.config, shelf=self.shelf)
        return without_events(scope, self.without)

    def replay(self, bounds: Bounds, where: str = "") -> dict[tuple[str, str], State]:
        """Give the states by (kind, entity), deleted ones too."""
        scope = self.scope(bounds.get("known_at"))
        rows = fetch(replay(scope, as_of(bounds), where, deleted=not where))
        found = {}
        for entity, kind, state, version, position, time in rows:
            assert (kind, entity) not in found
            found[kind, entity] = State(exact(state), version, position, micros(time))
        return found

    def audit(self, bounds: Bounds) -> dict[tuple[str, str], list[Row]]:
        """Give the trails by (kind, entity)."""
        trails: dict[tuple[str, str], list[Row]] = {}
        for row in fetch(audit(self.scope(bounds.get("known_at")), as_of(bounds))):
            position, time, recorded_at, entity, kind, role, *rest, changes = row
            made = Row(position, micros(time), micros(recorded_at), role or "", *rest, changes=exact(changes))
            trails.setdefault((kind, entity), []).append(made)
        return trails

    def diff(self, a: Bounds, b: Bounds) -> list[tuple[Any, ...]]:
        """Give the rows of diff as (kind, entity, change, field, before, after, positions)."""
        scope = self.scope(a.get("known_at"))
        return _differences(diff(scope, self._point(a), self._point(b)))

    def diff_known(self, a: Bounds, b: Bounds) -> list[tuple[Any, ...]]:
        """Give what differs between the same point as known at two times, in rows as those of `diff`."""
        sides = [Side(self.scope(bounds.get("known_at")), as_of(bounds)) for bounds in (a, b)]
        return _differences(compare(*sides))

    def diff_without(self, bounds: Bounds, without: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """Give what differs between what is and what would be without some events, in rows as those of `diff`."""
        made = replace(self, without=without)
        known, point = bounds.get("known_at"), as_of(bounds)
        return _differences(compare(Side(self.scope(known), point), Side(made.scope(known), point)))

    def payloads(self) -> dict[int, Any]:
        """Give each valid event's payload by position, put together from the index; Ellipsis where it is missing."""
        rows = self.view.relation(["position", "invalid"], {"j": Read((), "json")})
        found = (
            session().connection.execute(f"SELECT DISTINCT position, j FROM ({rows}) WHERE invalid IS NULL").fetchall()
        )
        assert len(dict(found)) == len(found)
        return {position: exact(text, ...) for position, text in found}

    def _point(self, bounds: Bounds) -> AsOf:
        return as_of(bounds) or AsOf("all", "position", number=self.store_state.head)


def _differences(answer: Answer) -> list[tuple[Any, ...]]:
    return [
        (kind, entity, change, field, exact(before, ...), exact(after, ...), tuple(exact(positions)))
        for entity, kind, change, field, before, after, positions in fetch(answer)
    ]


def as_of(bounds: Bounds) -> AsOf | None:
    """Turn the reference's bounds into the engine's, all but known_at."""
    for name, value in bounds.items():
        match name:
            case "at" | "before":
                return AsOf(name, "time", inclusive=name == "at", instant=value)
            case "position" | "version":
                return AsOf(name, name, number=value)
            case "sequence":
                return AsOf(name, "sequence", value=value)
    return None


def fetch(answer: Answer) -> list[tuple[Any, ...]]:
    """Run an answer as the printers do: errors about the data become ours."""
    with explained():
        return session().connection.execute(answer.sql).fetchall()


def micros(time: datetime) -> int:
    """Give a naive UTC time in microseconds since the epoch."""
    delta = time.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def exact(text: str | None, absent: Any = None) -> Any:
    """Read JSON text as answers have it, marked numbers as numbers."""
    return absent if text is None else _unmarked(json.loads(text, parse_float=Decimal))


def _unmarked(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(MARK):
        return value[1:] if value.startswith(MARK * 2) else Decimal(value[1:])
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if isinstance(value, dict):
        return {key.removeprefix(MARK): _unmarked(item) for key, item in value.items()}
    return value


@contextmanager
def engine(log: Log, *, eager: bool = False, after: Callable[[int, Engine], None] | None = None) -> Iterator[Engine]:
    """Ingest a log in batches and index it at the end, or after each batch.

    `after` is called with the number of each batch and the engine as it is then, which has a shelf for snapshots.
    """
    if os.environ.get("ESCTL_SNAPSHOTS") == "always":
        after = after or snapshot_at_head
    with store_folder() as folder:
        path = folder / "store"
        files = Unsynced()
        create_store(path, False, files=files)
        # Few records fall in time by chance; that such a source is read backwards has tests of its own.
        config = parse_mapping({**log.mapping, "newest_first": False})
        updater = Updater(session().connection, config, path / "index" / "test")
        start, offset = 0, 0
        clock = _Clock()
        with LogWriter(path, clock=clock, files=files, connection=session().connection) as writer:
            for number, size in enumerate(log.batches):
                records = log.records[start : start + size]
                clock.now = log.recorded_at[start]
                part = _part(records, offset, start + size)
                writer.append([part])
                if after is not None:
                    after(number, _engine(updater, writer.store_state, log))
                elif eager:
                    updater.run(writer.store_state)
                start, offset = start + size, part.cursor.offset
            store_state = writer.store_state
        made = _engine(updater, store_state, log)
        yield made if after is not None else replace(made, shelf=None)


def snapshot_at_head(batch: int, made: Engine) -> None:
    """Make a snapshot, as every ingest does where they are always made."""
    with suppress(EsctlError):
        save_snapshots(made.scope(), None, "ingest", render)


def render(answer: Answer, path: Path) -> None:
    """Write an answer as snapshots keep it."""
    write(answer, Target("jsonl", path))


def _engine(updater: Updater, store_state: StoreState, log: Log) -> Engine:
    shelf = Shelf(store_state.path, "test", store_state, always=True)
    return Engine(updater.run(store_state), store_state, updater, projection_of(log), shelf=shelf)


class _Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


def _part(records: Sequence[Record], offset: int, total: int) -> Part:
    raws = [dump(record) + b"\n" for record in records]
    offsets = [offset + sum(map(len, raws[:i])) for i in range(len(raws) + 1)]
    batch = pa.record_batch(
        {"offset": pa.array(offsets[:-1], pa.int64()), "raw": pa.array(raws, pa.large_binary())},
    )
    return Part(SOURCE, [batch], FileCursor(offsets[-1], "0" * 64, 0, "0" * 64, format="jsonl", records=total))


def projection_of(log: Log) -> Projection | None:
    """Read a drawn projection as esctl.toml's would be."""
    return None if log.projection is None else parse_projection(PROJECTION, dict(log.projection), "esctl.toml")


def disagreements(log: Log, made: Engine, ask: Sequence[str] = ("replay", "audit", "diff")) -> list[str]:
    """Hold every answer to the reference's; give what differs, in words."""
    reference = Reference(log.projection, log.mapping)
    reference.events(log.records, log.recorded_at)
    found: list[str] = []
    for b in log.bounds if "replay" in ask else ():
        found += judged(
            reference, f"replay {b}", partial(reference.replay, **b), partial(made.replay, b), states_differ
        )
    for b in log.bounds if "audit" in ask else ():
        found += judged(reference, f"audit {b}", partial(_trails, reference, b), partial(made.audit, b), _trails_differ)
    for a, b in _pairs(log.bounds) if "diff" in ask else ():
        differ = partial(diffs_differ, reference)
        found += judged(
            reference, f"diff {a} {b}", partial(_changes, reference, a, b), partial(made.diff, a, b), differ
        )
    return found


class UnknownFieldError(Exception):
    """The engine refuses a projection that names a field no event has had; the reference just finds it missing."""


def judged(
    reference: Reference,
    what: str,
    expected: Callable[[], Any],
    given: Callable[[], Any],
    differ: Callable[[Any, Any], list[str]],
) -> list[str]:
    given = partial(_answered, reference, given)
    try:
        wanted = expected()
    except FoldError as problem:
        return [f"{what}: {line}" for line in _error_differs(problem, given)]
    try:
        return [f"{what}: {line}" for line in differ(wanted, given())]
    except UnknownFieldError:
        return []
    except EsctlError as problem:
        return [f"{what}: an error where there is an answer: {problem.message}"]


def _answered(reference: Reference, given: Callable[[], Any]) -> Any:
    try:
        return given()
    except UsageError as error:
        named = re.search(r"no event has ever had the field data\.(.*)", error.message, re.DOTALL)
        fields = {name for row in reference.rows if isinstance(row.data, dict) for name in row.data}
        if named and named[1] not in fields:
            raise UnknownFieldError from error
        raise


def _error_differs(problem: FoldError, given: Callable[[], Any]) -> list[str]:
    try:
        given()
    except UnknownFieldError:
        return []
    except UsageError as error:
        return error_differs(problem, error.message)
    return [] if problem.shadowed else [f"an answer where there is an error: {problem}"]


def states_differ(wanted: Mapping[Entity, ReferenceState], given: Mapping[Entity, State]) -> list[str]:
    found = [f"{entity}: {'missing' if entity in wanted else 'unexpected'}" for entity in wanted.keys() ^ given.keys()]
    for entity in wanted.keys() & given.keys():
        x, y = wanted[entity], given[entity]
        if (x.version, x.position, x.time) != (y.version, y.position, y.time):
            found.append(f"{entity}: {(x.version, x.position, x.time)} is {(y.version, y.position, y.time)}")
        if not same(None if x.deleted else x.state, y.state):
            found.append(f"{entity}: {None if x.deleted else x.state} is {y.state}")
    return found


def _changes(whole: Reference, a: Bounds, b: Bounds) -> tuple[Any, Any]:
    """Give the diff of the entities with events in between: the engine looks at no others, nor at their errors."""
    chosen = {entity for entity, _ in whole._included(a) ^ whole._included(b)}
    reference = copy(whole)
    reference.rows = [row for row in whole.rows if (row.kind, row.entity) in chosen]
    return reference.diff(a, b), reference.changes(a, b)


def _trails(reference: Reference, bounds: Bounds) -> dict[Entity, list[AuditRow]]:
    trails: dict[Entity, list[AuditRow]] = {}
    for entity in dict.fromkeys(row.entity for row in reference.rows if row.folded and row.entity is not None):
        for row in reference.audit(entity, **bounds):
            trails.setdefault((row.kind, row.entity), []).append(row)
    return trails


_ENVELOPE = ("position", "time", "recorded_at", "role", "type", "actor", "id", "correlation", "version")


def _trails_differ(wanted: Mapping[Entity, list[AuditRow]], given: Mapping[Entity, list[Row]]) -> list[str]:
    found = [f"{entity}: {'missing' if entity in wanted else 'unexpected'}" for entity in wanted.keys() ^ given.keys()]
    for entity in wanted.keys() & given.keys():
        xs, ys = (
            [[getattr(row, name) for name in _ENVELOPE] for row in rows] for rows in (wanted[entity], given[entity])
        )
        if xs != ys:
            found.append(f"{entity}: {xs} is {ys}")
            continue
        for x, y in zip(wanted[entity], given[entity], strict=True):
            if not same(list(x.changes), sorted(y.changes, key=lambda change: change["field"])):
                found.append(f"{entity} @{x.position}: {x.changes} is {y.changes}")
    return found


def _pairs(bounds: Sequence[Bounds]) -> Iterator[tuple[Bounds, Bounds]]:
    """Pair bounds that share what was known, as the two sides of a diff do."""
    for bound in bounds[1:]:
        known = {"known_at": bound["known_at"]} if "known_at" in bound else {}
        yield bound, known
        yield known, bound
    for a, b in pairwise(bounds[1:]):
        if "known_at" not in a and "known_at" not in b:
            yield a, b


def _clears(reference: Reference, position: int, field: str) -> bool:
    """Say whether an event may remove a field: the engine's diff names it even where the field was not there."""
    rows = [row for row in reference.rows if row.position == position]
    rules = [rule for rule in reference.projection.rules if any(rule.matches(row) for row in rows)]
    operations = [operation for rule in rules for operation in rule.operations]
    whole = ("delete", "replace", "merge_patch")
    return any(op.name in whole or (op.name == "unset" and op.field == field) for op in operations)


def diffs_differ(reference: Reference, wanted: tuple[Any, Any], given: list[tuple[Any, ...]]) -> list[str]:
    fields, changes = wanted
    told = {(row[0], row[1]): row[2] for row in given}
    found = [] if told == changes else [f"changes {changes} are {told}"]
    rows = {(entity, field): rest for _, entity, change, field, *rest in given if field is not None}
    found += [f"{key}: {'missing' if key in fields else 'unexpected'}" for key in fields.keys() ^ rows.keys()]
    for key in fields.keys() & rows.keys():
        x, (before, after, positions) = fields[key], rows[key]
        sides = [... if side is MISSING else side for side in (x.before, x.after)]
        if not all(a is b or same(a, b) for a, b in zip(sides, (before, after), strict=True)):
            found.append(f"{key}: {sides} is {[before, after]}")
        extra = set(positions) - set(x.positions)
        if set(x.positions) - set(positions) or not all(_clears(reference, position, key[1]) for position in extra):
            found.append(f"{key}: positions {x.positions} are {positions}")
    return found
