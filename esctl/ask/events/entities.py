"""entities: what there is to replay."""

from __future__ import annotations

from esctl.ask.scope.scope import Scope, check_entities, counted
from esctl.index.scan import OWN_RANGE
from esctl.model import Answer, Column

COLUMNS = (
    Column("entity", "text"),
    Column("kind", "text"),
    Column("events", "integer"),
    Column("first", "time"),
    Column("last", "time"),
)


def entities(scope: Scope) -> Answer:
    """Return each entity, how many events it has (duplicates left out) and when the first and last happened."""
    check_entities(scope)
    rows = scope.view.relation(["entity", "kind", "position", "time", "undated"], None, counted(scope))
    count = "count(DISTINCT position)" if scope.view.has_roles else "count(*)"
    sql = f"""SELECT entity, kind, {count} AS events, {OWN_RANGE} FROM ({rows})
        GROUP BY kind, entity ORDER BY kind, entity"""
    return Answer(scope.session, sql, COLUMNS, title="entities")
