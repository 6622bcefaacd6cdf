"""Homeless events that the mapping declares to have no entity: tombstones, markers. They are kept, and no finding."""

from __future__ import annotations

from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained, single_row
from esctl.errors import UsageError
from esctl.index.envelope.envelope_sql import ignored_type_sql
from esctl.index.scan import EVENT_COLUMNS
from esctl.model import MappingConfig, Stanza
from esctl.projection.expressions import Expression
from esctl.projection.query_reads import Reads, measure_shapes
from esctl.projection.syntax import Path
from esctl.projection.values import NULL, Value

WHERE = "mapping.ignore"


def check_conditions(mapping: MappingConfig) -> None:
    """Raise UsageError if an `ignore` of the mapping is not a valid condition."""
    stanzas = (mapping.default, *(stanza for _, stanza in mapping.sources))
    for stanza in stanzas:
        if stanza is not None and stanza.ignore:
            Expression(stanza.ignore, WHERE).condition(_check_name)


def _check_name(path: Path) -> Value:
    if path[0] != "data" and (len(path) > 1 or path[0] not in EVENT_COLUMNS):
        dotted = ".".join(map(str, path))
        raise UsageError(f"unknown name {dotted!r}", f"names are: data.<field>, {', '.join(EVENT_COLUMNS)}")
    return NULL


def ignored_positions(scope: Scope) -> str:
    """Select the positions of the homeless events that the mapping declares to have no entity; empty if it has none."""
    parts = (
        _select_matching(scope, number, stanza)
        for number, stanza in enumerate(scope.view.manifest.stanzas)
        if (stanza.ignore or stanza.ignore_types) and number in scope.view.manifest.sources.values()
    )
    return " UNION ALL ".join(parts)


def count_ignored(scope: Scope, after: int = 0) -> int:
    """Count the ignored events after a position."""
    rows = ignored_positions(scope)
    if not rows:
        return 0
    with explained():
        found = single_row(scope.connection, f"SELECT count(DISTINCT position) FROM ({rows}) WHERE position > {after}")
    return int(found[0]) if found else 0


def count_homeless(scope: Scope, after: int = 0) -> list[tuple[str, int, int]]:
    """Count the homeless events after a position that are not ignored, and all events, for each source that has some.

    Sources with the most come first.
    """
    rows = scope.view.relation(["position", "source", "entity", "invalid"], None, [f"position > {after}"])
    kept = f"position NOT IN ({ignored_positions(scope) or 'SELECT NULL WHERE false'})"
    homeless = f"count(DISTINCT position) FILTER (entity IS NULL AND {kept})"
    sql = f"""SELECT source, {homeless} AS homeless, count(DISTINCT position) FROM ({rows})
        WHERE invalid IS NULL GROUP BY source HAVING homeless > 0 ORDER BY 2 DESC, 1"""
    with explained():
        return scope.connection.execute(sql).fetchall()


def _select_matching(scope: Scope, number: int, stanza: Stanza) -> str:
    conditions = [f"stanza = {number}", "invalid IS NULL", "entity IS NULL"]
    of_type = ignored_type_sql("type", stanza.ignore_types) if stanza.ignore_types else "false"
    if not stanza.ignore:
        return f"SELECT position FROM ({scope.view.relation(['position', 'type'], None, [*conditions, of_type])})"
    expression = Expression(stanza.ignore, WHERE)
    paths = [tuple(path[1:]) for path in expression.paths() if path[0] == "data" and len(path) > 1]
    known = [path for path in paths if path[0] in scope.view.fields]
    reads = Reads(scope.view, measure_shapes(scope.connection, scope.view, known))

    def resolve(path: Path) -> Value:
        is_unknown = path[0] == "data" and len(path) > 1 and path[1] not in scope.view.fields
        return NULL if is_unknown else reads.resolve(path)

    test = expression.condition(resolve).sql
    names = dict.fromkeys(["position", "type", *reads.columns])
    rows = scope.view.relation(names, reads.by_alias(), conditions)
    return f"SELECT position FROM ({rows}) WHERE coalesce({test}, false) OR coalesce({of_type}, false)"
