"""Fields that have several JSON types in events of one type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from esctl.ask.health.checks import NONE, OCCURRENCE_COLUMNS, CheckContext, occurrence_items
from esctl.engine.duckdb import explained
from esctl.engine.exact_text import is_number_mark_sql, json_string, members_sql, unmark_text_sql
from esctl.engine.quoting import literal
from esctl.index.scan import FIRST_DELIVERY, IndexView, Read
from esctl.projection.row_changes.rules import row_stanzas, table_sql

AT_ONCE = 64
"""The most fields whose types one scan reads."""

Kinds = Mapping[str, int]
"""How many events have a field with each JSON type."""


def mixed_types(context: CheckContext) -> str:
    """Select the events in which a field has another JSON type than in most events of their type; null is no type.

    Changes of rows have the same event types in all tables, so a row is compared with the rows of its table.
    """
    fields = [name for name, kinds in context.scope.view.manifest.kinds.items() if _may_be_mixed(kinds - {"NULL"})]
    mixed = _find_mixed(context, fields) if fields else {}
    return _select_odd(context, mixed) if mixed else NONE


def _may_be_mixed(kinds: frozenset[str]) -> bool:
    return len(kinds) > 1 or "CONTAINER" in kinds


def _find_mixed(context: CheckContext, fields: Sequence[str]) -> dict[tuple[str | None, str], Kinds]:
    """Find the fields with several JSON types, and these types, by like events (of a type, or a table) and field."""
    counts = "count(DISTINCT position)" if context.scope.view.has_roles else "count(*)"
    sql = f"""SELECT alike, field, json_kind, {counts} FROM ({_kinds(context, ("position",), fields)})
        WHERE json_kind <> 'NULL' GROUP BY alike, field, json_kind ORDER BY 4 DESC, json_kind"""
    with explained():
        counted = context.scope.connection.execute(sql).fetchall()
    found: dict[tuple[str | None, str], dict[str, int]] = {}
    for alike, field, kind, count in counted:
        found.setdefault((alike, field), {})[kind] = count
    return {pair: kinds for pair, kinds in found.items() if len(kinds) > 1}


def _select_odd(context: CheckContext, mixed: Mapping[tuple[str | None, str], Kinds]) -> str:
    """Select the events in which one of these fields has another JSON type than in most events of their type."""
    pairs = _kinds(context, (*OCCURRENCE_COLUMNS, "stanza"), list(dict.fromkeys(field for _, field in mixed)))
    known = ", ".join(
        f"({literal(alike)}, {literal(field)}, {literal(next(iter(kinds)))}, {literal(json_string(field))}, "
        f"{literal(_kinds_text(kinds))})"
        for (alike, field), kinds in mixed.items()
    )
    whose = f"CASE WHEN {_is_row(context)} THEN '; in rows of this table: ' ELSE '; in events of this type: ' END"
    detail = f"m.shown || ' is ' || lower(json_kind) || {whose} || told"
    return f"""SELECT {occurrence_items("p", f"{detail} AS detail", "CAST(NULL AS DOUBLE) AS weight")}
        FROM ({pairs}) p JOIN (VALUES {known}) m(alike, field, usual, shown, told)
        ON p.alike IS NOT DISTINCT FROM m.alike AND p.field = m.field
        WHERE json_kind NOT IN (usual, 'NULL') AND wanted"""


def _is_row(context: CheckContext) -> str:
    ours = row_stanzas(context.scope.view.manifest.stanzas)
    return f"stanza IN ({', '.join(map(str, ours))})" if ours else "false"


def _group_column(context: CheckContext) -> str:
    is_row = _is_row(context)
    return f"{f'CASE WHEN {is_row} THEN {table_sql()} ELSE type END' if is_row != 'false' else 'type'} AS alike"


def _kinds_text(kinds: Kinds) -> str:
    return ", ".join(f"{kind.lower()} {count}" for kind, count in kinds.items())


def _kinds(context: CheckContext, columns: Sequence[str], fields: Sequence[str]) -> str:
    """Select the JSON type of each of these fields, or of more, in each event, as `alike`, `field` and `json_kind`.

    If there are many fields, a payload that is kept as text is parsed once for all of them: once for each would take
    quadratic time.
    """
    if len(fields) <= AT_ONCE:
        return _read_kinds(context, columns, fields)
    return " UNION ALL ".join(_parts(context, columns, frozenset(fields)))


def _parts(context: CheckContext, columns: Sequence[str], fields: frozenset[str]) -> Iterator[str]:
    for view, typed in context.scope.view.by_columns():
        asked = [column.field for column in typed if column.field in fields]
        for start in range(0, len(asked), AT_ONCE):
            yield _read_kinds(context, columns, asked[start : start + AT_ONCE], view, "data IS NULL")
        if view.may_be_loose(()):
            yield _member_kinds(context, columns, view)


def _read_kinds(
    context: CheckContext, columns: Sequence[str], fields: Sequence[str], view: IndexView | None = None, *where: str
) -> str:
    reads = {f"f{number}": Read((field,), "type") for number, field in enumerate(fields)}
    rows = context.events(columns, [FIRST_DELIVERY, *where], _group_column(context), reads, view)
    names = ", ".join(literal(field) for field in fields)
    return f"""SELECT {", ".join(columns)}, alike, wanted,
        unnest([{names}]) AS field, unnest([{", ".join(reads)}]) AS json_kind FROM ({rows})"""


def _member_kinds(context: CheckContext, columns: Sequence[str], view: IndexView) -> str:
    rows = context.events(columns, [FIRST_DELIVERY, "data IS NOT NULL"], f"data, {_group_column(context)}", view=view)
    names = ", ".join((*columns, "alike"))
    members = f"""SELECT {names}, wanted, unnest({members_sql("data")}) AS m FROM ({rows})
        WHERE json_type(data) = 'OBJECT'"""
    kind, text = "json_type(m.value)", "json_extract_string(m.value, '$')"
    return f"""SELECT {names}, wanted, {unmark_text_sql("m.key")} AS field,
        CASE {kind} WHEN 'VARCHAR' THEN CASE WHEN {is_number_mark_sql(text)} THEN 'NUMBER' ELSE 'STRING' END
        WHEN 'OBJECT' THEN 'OBJECT' WHEN 'ARRAY' THEN 'ARRAY' WHEN 'BOOLEAN' THEN 'BOOLEAN' WHEN 'NULL' THEN 'NULL'
        ELSE 'NUMBER' END AS json_kind FROM ({members}) WHERE m.value IS NOT NULL"""
