"""audit: the trail; when, who, what event, which fields from what to what."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from esctl.ask.scope.bounds import bound, is_glob
from esctl.ask.scope.scope import Scope, check_entities, check_order, claims, counted, trailless_notes
from esctl.ask.states.trail import trail
from esctl.engine.quoting import like_pattern, literal
from esctl.errors import UsageError
from esctl.index.pruning import negated
from esctl.model import Answer, AsOf, Column

COLUMNS = (
    Column("position", "integer"),
    Column("time", "time"),
    Column("recorded_at", "time"),
    Column("entity", "text"),
    Column("kind", "text"),
    Column("role", "text"),
    Column("type", "text"),
    Column("actor", "text"),
    Column("id", "text"),
    Column("correlation", "text"),
    Column("version", "integer"),
    Column("changes", "json"),
)


class Filters(Struct, frozen=True):
    """Which rows of the trail to show. Names of actors and types may be globs; `start` is kept, as `end` is."""

    actors: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    start: AsOf | None = None
    end: AsOf | None = None


def audit(scope: Scope, at: AsOf | None = None, filters: Filters | None = None) -> Answer:
    """Answer with one row per event and entity that it concerns, in fold order."""
    wanted = filters or Filters()
    check_entities(scope)
    check_order(scope)
    rows = filter_conditions(scope, wanted)
    touched = []
    if rows:
        # Only entities with an event that will be shown are folded, but these from their beginning.
        events = scope.view.relation(["kind", "entity"], None, [*counted(scope), *rows])
        touched = [f"(kind, entity) IN (SELECT (kind, entity) FROM ({events}))"]
    parts = [trail(scope, claim, at, touched, wanted.fields).sql for claim in claims(scope)]
    shown = _shown(scope, wanted)
    if wanted.fields:
        shown.append("len(fields) > 0")
    where = f" WHERE {' AND '.join(shown)}" if shown else ""
    names = ", ".join(column.name for column in COLUMNS)
    sql = f"SELECT {names} FROM ({' UNION ALL '.join(parts)}){where} ORDER BY key, kind, entity"
    return Answer(scope.session, sql, COLUMNS, notes=trailless_notes(scope), title="trail")


def filter_conditions(scope: Scope, filters: Filters) -> list[str]:
    """Write the filters as conditions over stored envelope columns."""
    tests = [one_of("actor", filters.actors), one_of("type", filters.types)]
    for point, later in ((filters.start, True), (filters.end, False)):
        if point is not None and point.kind == "version":
            raise UsageError(
                f"{point.text!r} is no bound of a list of events: each entity has its own versions",
                "give a time, @POSITION, seq:N or id:EVENT",
            )
        if point is not None:
            condition = bound(scope.connection, scope.view, point).condition
            tests.append(negated(condition) if later else condition)
    return [test for test in tests if test]


def _shown(scope: Scope, filters: Filters) -> list[str]:
    # The trail's own times are naive; comparing them with an instant needs its zone.
    matching = filter_conditions(scope, filters)
    if not matching:
        return []
    events = scope.view.relation(["position"], None, [*counted(scope), *matching])
    return [f"position IN (SELECT position FROM ({events}))"]


def one_of(column: str, names: Sequence[str]) -> str:
    """Write the condition that a column is one of some names or matches one of some globs; empty for none."""
    tests = [
        f"{column} LIKE {like_pattern(name)}" if is_glob(name) else f"{column} = {literal(name)}" for name in names
    ]
    return "(" + " OR ".join(tests) + ")" if tests else ""
