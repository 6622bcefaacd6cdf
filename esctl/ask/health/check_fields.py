"""Fields that are not of one JSON type in all events of a type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from esctl.ask.health.checks import EVENT, FIRST_DELIVERY, NONE, CheckContext, named
from esctl.engine.duckdb import explained
from esctl.engine.exact_text import json_string
from esctl.engine.quoting import literal
from esctl.index.scan import Read

AT_ONCE = 64
"""Fields whose types one scan reads."""

Kinds = Mapping[str, int]
"""How many events have a field with each JSON type."""


def mixed_types(context: CheckContext) -> str:
    """Select the events in which a field has another JSON type than in most events of their type; null is none."""
    mixed = (_mixed(context, fields) for fields in _fields(context))
    return " UNION ALL ".join(f"SELECT * FROM ({_odd(context, pairs)})" for pairs in mixed if pairs) or NONE


def _fields(context: CheckContext) -> Iterator[Sequence[str]]:
    """Return the fields that may have several types, as many at once as one scan reads."""
    manifest = context.scope.view.manifest
    several = [name for name, kinds in manifest.kinds.items() if _may_be_mixed(kinds - {"NULL"})]
    for start in range(0, len(several), AT_ONCE):
        yield several[start : start + AT_ONCE]


def _may_be_mixed(kinds: frozenset[str]) -> bool:
    return len(kinds) > 1 or "CONTAINER" in kinds


def _mixed(context: CheckContext, fields: Sequence[str]) -> dict[tuple[str | None, str], Kinds]:
    """Find the (event type, field) pairs with several JSON types."""
    reads = {f"f{number}": Read((field,), "type") for number, field in enumerate(fields)}
    rows = context.scope.view.relation(["position", "type"], reads, [FIRST_DELIVERY, *context.known])
    one_a_position = f"SELECT DISTINCT * FROM ({rows})" if context.scope.view.has_roles else rows
    pairs = f"""SELECT type, unnest(range({len(reads)})) AS number, unnest([{", ".join(reads)}]) AS kind
        FROM ({one_a_position})"""
    sql = f"""SELECT type, number, kind, count(*) FROM ({pairs}) WHERE kind <> 'NULL'
        GROUP BY type, number, kind ORDER BY count(*) DESC, kind"""
    with explained():
        counted = context.scope.connection.execute(sql).fetchall()
    found: dict[tuple[str | None, str], dict[str, int]] = {}
    for event_type, number, kind, count in counted:
        found.setdefault((event_type, fields[number]), {})[kind] = count
    return {pair: kinds for pair, kinds in found.items() if len(kinds) > 1}


def _odd(context: CheckContext, mixed: Mapping[tuple[str | None, str], Kinds]) -> str:
    """Select the events in which one of these fields has another JSON type than in most events of their type."""
    fields = list(dict.fromkeys(field for _, field in mixed))
    reads = {f"f{number}": Read((field,), "type") for number, field in enumerate(fields)}
    rows = context.events(EVENT, [FIRST_DELIVERY], reads=reads)
    pairs = f"""SELECT {", ".join(EVENT)}, wanted, unnest(range({len(reads)})) AS number,
        unnest([{", ".join(reads)}]) AS json_kind FROM ({rows})"""
    known = ", ".join(
        f"({literal(event_type)}, {fields.index(field)}, {literal(next(iter(kinds)))}, {literal(json_string(field))}, "
        f"{literal(_told(kinds))})"
        for (event_type, field), kinds in mixed.items()
    )
    detail = "field || ' is ' || lower(json_kind) || '; in events of this type: ' || told"
    return f"""SELECT {named("p", f"{detail} AS detail", "CAST(NULL AS DOUBLE) AS weight")}
        FROM ({pairs}) p JOIN (VALUES {known}) m(type, number, usual, field, told)
        ON p.type IS NOT DISTINCT FROM m.type AND p.number = m.number
        WHERE json_kind NOT IN (usual, 'NULL') AND wanted"""


def _told(kinds: Kinds) -> str:
    return ", ".join(f"{kind.lower()} {count}" for kind, count in kinds.items())
