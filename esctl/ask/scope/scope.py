"""What a question is asked of: an index at a head, the projections, the bounds, the entities."""

from __future__ import annotations

import difflib
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.ask.scope.bounds import Bound, bound, entity_conditions, is_glob, known_conditions
from esctl.ask.scope.lookups import DIRECT, Lookups
from esctl.ask.scope.named_values import nearest, unmatched_notes
from esctl.engine.duckdb import Session, explained, single_row
from esctl.engine.quoting import like_pattern, literal
from esctl.errors import NotFoundError, UsageError, did_you_mean
from esctl.index.envelope.paths import format_path
from esctl.index.pruning import ALWAYS, Predicate, Test, any_of
from esctl.index.scan import FOLDABLE, IndexView
from esctl.model import AsOf, Basis, MappingConfig
from esctl.projection.fold import Plan
from esctl.projection.query_reads import Reads
from esctl.projection.row_changes.rules import adapt_projection, default_projection
from esctl.projection.spec import Projection
from esctl.projection.sql import EventRows, cells_sql

if TYPE_CHECKING:
    import duckdb

    from esctl.log.store_state import StoreState
    from esctl.saved_states.files import Shelf


class Skipped(Struct, frozen=True):
    """Events excluded by a what-if: how they were asked for, the condition that excludes them, and their number."""

    text: str
    condition: str
    count: int


class Scope(Struct, frozen=True):
    """What a question counts. `entities` are names or globs; empty: all."""

    session: Session
    view: IndexView
    projections: tuple[Projection, ...] = ()
    projection: str = ""  # -p: only this one
    entities: tuple[str, ...] = ()
    known_at: AsOf | None = None
    tz: str = "UTC"
    config: Path | None = None  # the esctl.toml, next to which a python projection may be
    without: tuple[Skipped, ...] = ()
    shelf: Shelf | None = None  # the snapshots that may be used
    records: StoreState | None = None  # the evidence, for questions about records as received
    mapping: MappingConfig | None = None  # that the records are read under
    bound_to: Basis | None = None  # that the answer must rest on
    lookups: Lookups = DIRECT  # for what compiling a question needs to know

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return the connection that the question runs on."""
        return self.session.connection


class Claim(Struct, frozen=True):
    """A projection and the SQL condition on (kind, entity) of the entities it folds."""

    projection: Projection
    condition: str


def counted(scope: Scope) -> list[Test]:
    """Write the conditions for the events that a question counts.

    They are valid, no duplicates, of the scope's entities, known by its `known_at`, and not excluded by a what-if.
    """
    known = known_limits(scope)
    supposed = [skipped.condition for skipped in scope.without]
    tests: list[Test] = [FOLDABLE, entity_conditions(scope.entities), *known, *supposed]
    return [test for test in tests if test != ALWAYS]


def limit(scope: Scope, at: AsOf | None) -> Bound:
    """Return the bound at a point. Raises as `bounds.bound` does."""
    return scope.lookups.once(lambda: bound(scope.connection, scope.view, at))


def known_limits(scope: Scope) -> tuple[Predicate, ...]:
    """Return the conditions on what the log held at the scope's `known_at`. Raises as `known_conditions` does."""
    return scope.lookups.once(lambda: known_conditions(scope.connection, scope.view, scope.known_at))


def claims(scope: Scope) -> list[Claim]:
    """Assign each entity to a projection: the one asked for, else the first that claims it, else the default."""
    if scope.projection:
        return [claim_of(adapt_projection(find_projection(scope.projections, scope.projection), scope.view))]
    shared: list[Claim] = []
    taken: list[str] = []
    for projection in (*scope.projections, default_projection(scope.view)):
        own = _claim_condition(projection)
        folded = adapt_projection(projection, scope.view)
        shared.append(Claim(folded, " AND ".join([own, *(f"NOT {other}" for other in taken)])))
        if projection.claims_all:
            break
        taken.append(own)
    return scope.lookups.once(lambda: _claims_with_entities(scope, shared)) if len(shared) > 1 else shared


def claim_of(projection: Projection) -> Claim:
    """Return a claim of a projection to all the entities it matches, whatever others claim."""
    return Claim(projection, _claim_condition(projection))


def _claims_with_entities(scope: Scope, shared: list[Claim]) -> list[Claim]:
    """Return the claims that have an entity of the scope; if none has any, the last one."""
    known = scope.view.relation(["kind", "entity"], None, [FOLDABLE, entity_conditions(scope.entities)])
    tests = ", ".join(f"bool_or({claim.condition})" for claim in shared)
    with explained():
        row = single_row(scope.connection, f"SELECT {tests} FROM (SELECT DISTINCT kind, entity FROM ({known}))")
    assert row is not None
    return [claim for claim, found in zip(shared, row, strict=True) if found] or shared[-1:]


def trailless_notes(scope: Scope) -> tuple[str, ...]:
    """Return a note for each projection of the scope that has states but no changes per event."""
    if not any(projection.sql for projection in scope.projections):
        return ()  # which of them have entities need not be looked up
    names = [claim.projection.name for claim in claims(scope) if claim.projection.sql]
    return tuple(
        f"note: projection {name} is an SQL query: it gives states, not what each event changed" for name in names
    )


def projection_notes(scope: Scope) -> tuple[str, ...]:
    """Return notes on the projections of a question that needs what each event changed."""
    return (*trailless_notes(scope), *unheard_notes(scope))


def unheard_notes(scope: Scope) -> tuple[str, ...]:
    """Return notes on what does not exist: payload fields in rules that no event has had yet, and entities."""
    return scope.lookups.once(lambda: _unheard_notes(scope))


def _unheard_notes(scope: Scope) -> tuple[str, ...]:
    fields = scope.view.fields
    asked = find_projection(scope.projections, scope.projection) if scope.projection else None
    notes = [
        *unmatched_notes(scope, scope.projection, "" if asked is None or asked.claims_all else _claim_condition(asked))
    ]
    for projection in scope.projections if fields else ():
        if scope.projection in ("", projection.name) and (unheard := _list_unheard(projection, frozenset(fields))):
            listed = ", ".join(unheard[:5]) + (f" and {len(unheard) - 5} more" if len(unheard) > 5 else "")
            near = difflib.get_close_matches(unheard[0].removeprefix("data."), fields, 1)
            meant = f" (did you mean {format_path(('data', near[0]))}?)" if near else ""
            notes.append(f"note: projection {projection.name} asks for {listed}, which no event has had yet{meant}")
    return tuple(notes)


def _list_unheard(projection: Projection, fields: Set[str]) -> list[str]:
    """List the payload fields that a projection's expressions ask for and that are not in `fields`."""
    found = [
        format_path(("data", path[1]))
        for rule in projection.rules
        for expression in (rule.when, *(each for one in rule.operations for each in (one.named, one.value)))
        for path in (expression.paths() if expression is not None else ())
        if path[0] == "data" and len(path) > 1 and isinstance(path[1], str) and path[1] not in fields
    ]
    return list(dict.fromkeys(found))


def find_projection(projections: Sequence[Projection], name: str) -> Projection:
    """Find a projection by name. Raises UsageError if there is none."""
    for projection in projections:
        if projection.name == name:
            return projection
    near = difflib.get_close_matches(name, [projection.name for projection in projections], 1)
    known = ", ".join(projection.name for projection in projections) or "none; write one with: esctl init"
    raise UsageError(f"no projection {name!r}", did_you_mean(near, f"known: {known}"))


def _claim_condition(projection: Projection) -> str:
    tests = [f"entity LIKE {like_pattern(projection.entities)}"] if projection.entities else []
    if projection.kinds:
        tests.append(f"kind IN ({', '.join(literal(kind) for kind in projection.kinds)})")
    return "(" + (" AND ".join(tests) or "true") + ")"


def check_entities(scope: Scope) -> None:
    """Check that every entity named (not by a glob) exists. Raises NotFoundError with the nearest names."""
    names = [name for name in scope.entities if not is_glob(name)]
    if names:
        scope.lookups.once(lambda: _check_names(scope, names))


def _check_names(scope: Scope, names: list[str]) -> None:
    missing = names
    for view in scope.view.split():
        missing = _list_missing(scope, view, missing)
        if not missing:
            return
    hint = nearest(scope, "entity", missing[0], "nothing is named like it: esctl entities")
    raise NotFoundError(
        f"no entity {missing[0]!r}", hint or "no event of the store has an entity: esctl doctor --homeless"
    )


def _list_missing(scope: Scope, view: IndexView, names: list[str]) -> list[str]:
    known = view.relation(["entity"], None, [entity_conditions(names), "invalid IS NULL"])
    with explained():
        found = {name for (name,) in scope.connection.execute(f"SELECT DISTINCT entity FROM ({known})").fetchall()}
    return [name for name in names if name not in found]


def event_rows(
    scope: Scope,
    reads: Reads,
    conditions: Sequence[Test],
    at: AsOf | None,
    columns: Sequence[str] = (),
    also: AsOf | None = None,
    more: Sequence[str] = (),
) -> EventRows:
    """Select the events to fold: valid, no duplicates, of the scope's entities, within its bounds.

    `also`: a second bound; events within either are selected. `more`: further select items, over stored columns.
    """
    limits = [limit(scope, point) for point in (at, also) if point is not None]
    where = [*counted(scope), *conditions]
    tests = [each.condition for each in limits]
    extra = [f"{scope.view.key()} AS key", f"{scope.view.event_key()} AS event_key", *more]
    versions = any(each.first_versions is not None for each in limits)
    if versions:
        # Versions are counted before any other bound applies, and the other bounds are on columns as stored.
        extra += [f"({test.sql}) AS within{i}" for i, test in enumerate(tests)]
    elif tests:
        where.append(any_of(tests))
    names = list(dict.fromkeys(["kind", "entity", "position", "time", *reads.columns, *columns]))
    sql = scope.view.relation(names, reads.by_alias(), [test for test in where if test != ALWAYS], ", ".join(extra))
    if versions:
        rank = "dense_rank() OVER (PARTITION BY kind, entity ORDER BY event_key)"
        within = [
            f"within{i}" if each.first_versions is None else f"(within{i} AND {rank} <= {each.first_versions})"
            for i, each in enumerate(limits)
        ]
        sql = f"SELECT * FROM ({sql}) QUALIFY {' OR '.join(within)}"
    named = bool(scope.entities) and not any(is_glob(name) for name in scope.entities)
    by_place = scope.view.has_places
    by_time = by_place and scope.view.orderings <= {"time"}
    return EventRows(sql, scope.view.has_twice, scope.view.manifest.rows, by_place, by_time, named)


def run_fieldless_checks(scope: Scope, plan: Plan, rows: EventRows) -> None:
    """Run the checks of a plan on its events if the plan has no field, whose value would run them.

    That is the case if payloads are merged and none is an object. Raises UsageError, naming the event.
    """
    if plan.checks and not plan.fields:
        scope.lookups.check(lambda: _run_checks(scope, plan, rows))


def _run_checks(scope: Scope, plan: Plan, rows: EventRows) -> None:
    counts = ", ".join(f"count(check{i})" for i in range(len(plan.checks)))
    with explained():
        single_row(scope.connection, f"SELECT {counts} FROM ({cells_sql(plan, rows, ('position',))})")
