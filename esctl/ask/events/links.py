"""Which events are tied to one another: by causation, by correlation, by a further id (an alias) that they share."""

from __future__ import annotations

from collections.abc import Sequence

from esctl.ask.scope.bounds import known_conditions
from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained, single_row
from esctl.index.envelope.envelope_sql import ALIASES_TYPE
from esctl.index.scan import FIRST_DELIVERY
from esctl.index.seen_ids.numberings import by_stanza, numberings

_TABLES = {
    "tie_pool": "position BIGINT, stanza USMALLINT, scope VARCHAR, time TIMESTAMP, id VARCHAR, correlation VARCHAR, "
    f"causation VARCHAR, aliases {ALIASES_TYPE}",
    "tie_reached": "position BIGINT, links INTEGER",
    "tie_sought": "space INTEGER, name VARCHAR, value VARCHAR",
    "tie_fresh": "space INTEGER, name VARCHAR, value VARCHAR",
}
"""Tables of the session: events looked up; those among them that are tied; ids sought before; ids to seek now."""
_COLUMNS = ("position", "stanza", "scope", "time", "id", "correlation", "causation", "aliases")

ID_SPACE, CORRELATION_SPACE, ALIAS_SPACE = range(3)
"""The spaces of ids; two aliases are the same only if their names are the same too."""

EDGES = """SELECT child.position AS child, cause.position AS cause,
        (cause.stanza <> child.stanza OR cause.scope IS DISTINCT FROM child.scope) AS remote
    FROM tie_pool child JOIN tie_pool cause ON child.causation = cause.id AND child.position <> cause.position
    WHERE cause.stanza = child.stanza OR NOT EXISTS (
        SELECT 1 FROM tie_pool own WHERE own.id = child.causation AND own.stanza = child.stanza)"""
"""Which event caused which. An id is given once in its numbering (which `stanza` names): a cause is sought in other
numberings only if its own has no event with that id."""

TIES = f"""SELECT position, {CORRELATION_SPACE} AS space, 'correlation' AS name, correlation AS value FROM tie_pool
    WHERE correlation IS NOT NULL
    UNION ALL SELECT position, {ALIAS_SPACE}, alias.name, alias.value FROM (
        SELECT position, unnest(aliases) AS alias FROM tie_pool WHERE aliases IS NOT NULL)"""
"""The ids that tie an event to all others that have them."""


def gather(scope: Scope, starting: Sequence[str], most_links: int) -> bool:
    """Collect the events that meet the conditions and all events tied to them, over at most `most_links` links.

    Their positions go into the session's table `tie_reached`, their ids into `tie_pool`. Each step looks up all ids
    that the previous step found at once. Return whether more events are tied beyond the last link.
    """
    with explained():
        for table, columns in _TABLES.items():
            scope.connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({columns})")
        for condition in starting:
            _add_to_pool(scope, condition)
        scope.connection.execute("INSERT INTO tie_reached SELECT position, 0 FROM tie_pool")
        for links in range(most_links + 1):
            _look_up(scope, links)
            beyond = _select_tied(links)
            if links == most_links:
                return single_row(scope.connection, f"SELECT 1 FROM ({beyond}) LIMIT 1") is not None
            found = single_row(
                scope.connection, f"INSERT INTO tie_reached SELECT position, {links + 1} FROM ({beyond})"
            )
            if not found or not found[0]:
                return False
    return False


def _add_to_pool(scope: Scope, condition: str) -> None:
    known = known_conditions(scope.connection, scope.view, scope.known_at)
    rows = scope.view.relation(_COLUMNS, None, [FIRST_DELIVERY, condition, *known])
    numbering = by_stanza(numberings(scope.view.manifest.stanzas))
    scope.connection.execute(f"""INSERT INTO tie_pool SELECT DISTINCT * REPLACE ({numbering} AS stanza) FROM ({rows})
        WHERE position NOT IN (SELECT position FROM tie_pool)""")


def _look_up(scope: Scope, links: int) -> None:
    """Add to the pool every event that shares an id with the events found in the last step."""
    newest = f"SELECT position FROM tie_reached WHERE links = {links}"
    scope.connection.execute(f"""CREATE OR REPLACE TEMP TABLE tie_fresh AS
        SELECT {ID_SPACE} AS space, '' AS name, unnest([id, causation]) AS value FROM tie_pool
            WHERE position IN ({newest})
        UNION SELECT space, name, value FROM ({TIES}) WHERE position IN ({newest})
        EXCEPT SELECT * FROM tie_sought""")
    scope.connection.execute("DELETE FROM tie_fresh WHERE value IS NULL")
    scope.connection.execute("INSERT INTO tie_sought SELECT * FROM tie_fresh")
    spaces = {space for (space,) in scope.connection.execute("SELECT DISTINCT space FROM tie_fresh").fetchall()}
    if spaces & {ID_SPACE, CORRELATION_SPACE}:
        ids, correlations = (
            f"(SELECT value FROM tie_fresh WHERE space = {space})" for space in (ID_SPACE, CORRELATION_SPACE)
        )
        _add_to_pool(scope, f"id IN {ids} OR causation IN {ids} OR correlation IN {correlations}")
    if ALIAS_SPACE in spaces:
        known = scope.view.relation(["position"], None, ["aliases IS NOT NULL"], "unnest(aliases) AS alias")
        _add_to_pool(
            scope,
            f"""position IN (SELECT position FROM ({known}) a JOIN tie_fresh f
                ON f.space = {ALIAS_SPACE} AND f.name = a.alias.name AND f.value = a.alias.value)""",
        )


def _select_tied(links: int) -> str:
    """Select the events that are tied to those `links` links away and were not reached before."""
    return f"""WITH newest AS MATERIALIZED (SELECT position FROM tie_reached WHERE links = {links}),
        edges AS MATERIALIZED ({EDGES}), ties AS MATERIALIZED ({TIES})
        SELECT position FROM (
            SELECT child AS position FROM edges WHERE cause IN (SELECT position FROM newest)
            UNION SELECT cause FROM edges WHERE child IN (SELECT position FROM newest)
            UNION SELECT position FROM ties WHERE (space, name, value) IN (
                SELECT (space, name, value) FROM ties WHERE position IN (SELECT position FROM newest))
        ) WHERE position NOT IN (SELECT position FROM tie_reached)"""
