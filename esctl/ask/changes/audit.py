"""audit: the trail: when, by whom and by which event each field changed, with its value before and after."""

from __future__ import annotations

from esctl.ask.scope.filters import Filters, check_filters, filter_conditions
from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.scope import Scope, check_entities, claims, counted, projection_notes
from esctl.ask.states.trail import check_touched, touched_fields, trail
from esctl.index.scan import Read
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


DATA = Column("data", "json")


def audit(scope: Scope, at: AsOf | None = None, filters: Filters | None = None, *, with_data: bool = False) -> Answer:
    """Return one row per event and entity that it concerns, in fold order; `with_data` adds the payload."""
    wanted = filters or Filters()
    check_entities(scope)
    check_order(scope)
    unmatched = check_filters(scope, wanted)
    rows = filter_conditions(scope, wanted)
    touched = []
    if rows:
        # Only entities with an event to show are folded, but from their first event.
        events = scope.view.relation(["kind", "entity"], None, [*counted(scope), *rows])
        touched = [f"(kind, entity) IN (SELECT (kind, entity) FROM ({events}))"]
    parts = [trail(scope, claim, at, touched, wanted.fields) for claim in claims(scope)]
    if wanted.fields:
        check_touched(scope, wanted.fields, frozenset[str]().union(*(touched_fields(scope, part) for part in parts)))
    shown = _shown_conditions(scope, wanted)
    if wanted.fields:
        shown.append("len(fields) > 0")
    where = f" WHERE {' AND '.join(shown)}" if shown else ""
    rows_sql = f"SELECT * FROM ({' UNION ALL '.join(part.sql for part in parts)}){where}"
    columns = (*COLUMNS, DATA) if with_data else COLUMNS
    inner = {DATA.name: frozenset(scope.view.fields)} if with_data else {}
    if with_data:
        payloads = scope.view.relation(["position"], {DATA.name: Read((), "json")}, [*counted(scope), *rows])
        rows_sql = f"""SELECT * FROM ({rows_sql}) LEFT JOIN (
            SELECT position, any_value(data) AS data FROM ({payloads}) GROUP BY position) USING (position)"""
    names = ", ".join(column.name for column in columns)
    sql = f"SELECT {names} FROM ({rows_sql}) ORDER BY key, kind, entity"
    notes = (*unmatched, *projection_notes(scope))
    keys = scope.view.key_parts("key")
    keyed = f"SELECT {names}, {', '.join(f'{part} AS {name}' for name, part in keys.items())} FROM ({rows_sql})"
    order = (*keys, "kind", "entity")
    return Answer(
        scope.session, sql, columns, notes=notes, title="trail", inner=inner, order=order, keyed=keyed
    )  # fmt: skip


def _shown_conditions(scope: Scope, filters: Filters) -> list[str]:
    # The trail's own times are naive; comparing them with an instant needs its zone. A bound at an event is another
    # one for each entity: an event may be within it for one of those it concerns, and not for another.
    matching = filter_conditions(scope, filters)
    if not matching:
        return []
    events = scope.view.relation(["kind", "entity", "position"], None, [*counted(scope), *matching])
    return [f"(kind, entity, position) IN (SELECT (kind, entity, position) FROM ({events}))"]
