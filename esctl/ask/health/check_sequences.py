"""Gaps in sequences: numbers missing from a counter that leaves none out."""

from __future__ import annotations

from collections.abc import Sequence

from esctl.ask.health.check_topics import lost, missed
from esctl.ask.health.checks import NONE, OCCURRENCE_COLUMNS, CheckContext
from esctl.engine.duckdb import explained
from esctl.engine.quoting import literal
from esctl.index.pruning import Test
from esctl.index.scan import FIRST_DELIVERY

LEAST_SHARE = 0.5
"""The share of a counter's numbers, from its first to its last, that must be there for the others to be missed."""
MOST_REPEATED = 0.01
"""The largest share of events that may have a number which their counter gave before."""

WHOLE = "regexp_full_match(sequence, '0|-?[1-9][0-9]{0,17}')"
NUMBER = "CAST(sequence AS BIGINT)"

COUNTERS = {"log": (), "source": ("source",), "entity": ("kind", "entity")}
"""Possible counters, from wide to narrow: each combination of values in these columns has a counter of its own."""


def gaps(context: CheckContext) -> str:
    """Select the events before which something is missing: numbers of a sequence, or what a source no longer had."""
    stanzas = context.scope.view.manifest.stanzas
    numbered = [number for number, stanza in enumerate(stanzas) if len(stanza.sequence) == 1]
    parts = [f"SELECT * FROM ({_missing(context, *pair)})" for pair in _dense(context, numbered).items()]
    parts += [f"SELECT * FROM ({part})" for part in (*lost(context), *missed(context))]
    return " UNION ALL ".join(parts) or NONE


def _conditions(stanzas: Sequence[int], counter: str) -> list[str]:
    own = ["entity IS NOT NULL"] if counter == "entity" else []
    return [FIRST_DELIVERY, f"stanza IN ({', '.join(map(str, stanzas))})", WHOLE, *own]


def _dense(context: CheckContext, stanzas: Sequence[int]) -> dict[int, str]:
    """Choose for each stanza the widest counter that gives nearly no number twice and leaves out few enough."""
    chosen: dict[int, str] = {}
    for counter, columns in COUNTERS.items():
        if not (open_stanzas := [stanza for stanza in stanzas if stanza not in chosen]):
            break
        conditions: list[Test] = [*_conditions(open_stanzas, counter), *context.known]
        rows = context.scope.view.relation(["position", "stanza", *columns], None, conditions, f"{NUMBER} AS number")
        group = ", ".join(["stanza", *columns])
        sql = f"""SELECT stanza, sum(events), sum(numbers), sum(reach) FROM (
                SELECT {group}, count(DISTINCT position) AS events, count(DISTINCT number) AS numbers,
                       max(number) - min(number) + 1 AS reach
                FROM ({rows}) GROUP BY {group}) WHERE events > 1 GROUP BY stanza"""
        with explained():
            found = context.scope.connection.execute(sql).fetchall()
        for stanza, events, numbers, reach in found:
            if events - numbers <= MOST_REPEATED * float(events) and numbers >= LEAST_SHARE * float(reach):
                chosen[stanza] = counter
    return chosen


def _missing(context: CheckContext, stanza: int, counter: str) -> str:
    rows = context.events(OCCURRENCE_COLUMNS, _conditions([stanza], counter), f"role_order, {NUMBER} AS number")
    group = ", ".join(COUNTERS[counter]) or "NULL"
    before = f"OVER (PARTITION BY {group} ORDER BY number, position, role_order)"
    missing = "(number - earlier - 1)"
    which = f"CASE WHEN {missing} = 1 THEN number - 1 || ' is' ELSE earlier + 1 || ' to ' || number - 1 || ' are' END"
    detail = f"""({which}) || {literal(f" missing from the sequence of the {counter}, after ")} || earlier
        || ' (@' || neighbour || ')'"""
    return f"""SELECT {", ".join(OCCURRENCE_COLUMNS)}, {detail} AS detail, CAST({missing} AS DOUBLE) AS weight
        FROM (SELECT *, lag(number) {before} AS earlier, lag(position) {before} AS neighbour FROM ({rows}))
        WHERE {missing} > 0 AND wanted"""
