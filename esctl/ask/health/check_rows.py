"""What can be wrong with a change log: columns that change, incomplete transactions, rows never seen whole."""

from __future__ import annotations

from esctl.ask.health.checks import NONE, OCCURRENCE_COLUMNS, CheckContext
from esctl.ask.scope.unseen import unseen_firsts
from esctl.ask.states.folding import folding
from esctl.engine.duckdb import explained
from esctl.engine.quoting import literal
from esctl.index.scan import FIRST_DELIVERY, Read
from esctl.projection.row_changes.rules import row_stanzas, table_sql

MOST_CHANGES = 20
"""A table whose columns change more often than this holds documents, and has no columns common to all rows."""
_DDL = "(^|[^a-z])(alter|rename|drop|truncate)([^a-z]|$)"
_ROW_TYPES = ("insert", "update", "delete", "read", "truncate")
_NO_CHANGE = "MessageId@"
"""A part of the names of collections that count a transaction's messages, which are not changes of rows."""


def _row_stanza_numbers(context: CheckContext) -> str:
    return ", ".join(map(str, row_stanzas(context.scope.view.manifest.stanzas)))


def _occurrences(detail: str) -> str:
    return f"SELECT {', '.join(OCCURRENCE_COLUMNS)}, {detail} AS detail, CAST(NULL AS DOUBLE) AS weight"


def schema_changes(context: CheckContext) -> str:
    """Select changes of tables that the log records, and the first rows with other columns than those before."""
    ours = _row_stanza_numbers(context)
    if not ours:
        return NONE
    return " UNION ALL ".join(
        f"SELECT * FROM ({part})" for part in (_recorded_changes(context, ours), _changed_columns(context, ours))
    )


def _recorded_changes(context: CheckContext, ours: str) -> str:
    names = [name for name in ("ddl", "sql", "operation", "prefix", "content") if name in context.scope.view.fields]
    if not names:
        return NONE
    reads = {f"told_{name}": Read((name,), "text") for name in names}
    tests = ["invalid IS NULL", "type IN ('schema change', 'message')", f"stanza IN ({ours})"]
    text = {name: f"told_{name}" if name in names else "NULL" for name in ("ddl", "sql", "operation", "prefix")}
    content = "told_content" if "content" in names else "NULL"
    decoded = f"coalesce(try(decode(from_base64({content}))), {content})"
    message = f"CASE WHEN {text['prefix']} = 'ddl' THEN coalesce({decoded}, 'told by a message') END"
    said = f"coalesce({text['ddl']}, {text['sql']}, {text['operation']}, {message})"
    rows = context.events(OCCURRENCE_COLUMNS, tests, reads=reads)
    is_change = f"(regexp_matches(lower(said), {literal(_DDL)}) OR said IN ('modify', 'rename', 'dropDatabase'))"
    detail = "'a schema changes: ' || left(regexp_replace(said, '\\s+', ' ', 'g'), 120)"
    return f"{_occurrences(detail)} FROM (SELECT *, {said} AS said FROM ({rows})) WHERE wanted AND {is_change}"


def _changed_columns(context: CheckContext, ours: str) -> str:
    """Select each whole row that has other columns than the whole row before it in its table."""
    tests = [FIRST_DELIVERY, "entity IS NOT NULL", "(role IS NULL OR role = 'copy')", f"stanza IN ({ours})"]
    tests.append("type IN ('insert', 'update', 'read')")
    rows = context.events(
        OCCURRENCE_COLUMNS, tests, f"{context.scope.view.key()} AS key, {table_sql()} AS tab", {"j": Read((), "json")}
    )
    steps = f"""SELECT *, list_sort(json_keys(j)) AS names FROM ({rows}) WHERE json_type(j) = 'OBJECT'"""
    paired = f"SELECT *, lag(names) OVER (PARTITION BY tab ORDER BY key) AS earlier FROM ({steps})"
    changed = f"SELECT *, count(*) OVER (PARTITION BY tab) AS changes FROM ({paired}) WHERE names <> earlier"
    more = "array_to_string(list_filter(names, lambda n: NOT list_contains(earlier, n)), ', ')"
    less = "array_to_string(list_filter(earlier, lambda n: NOT list_contains(names, n)), ', ')"
    detail = f"""tab || concat_ws(';', CASE WHEN {more} <> '' THEN ' has new columns: ' || {more} END,
        CASE WHEN {less} <> '' THEN ' has no more: ' || {less} END)"""
    return f"{_occurrences(detail)} FROM ({changed}) WHERE wanted AND changes <= {MOST_CHANGES}"


def transactions(context: CheckContext) -> str:
    """Select ends of transactions whose count of changes differs from the log's, and beginnings without an end."""
    ours = _row_stanza_numbers(context)
    if not ours or not _has_markers(context, ours):
        return NONE
    types = ", ".join(map(literal, _ROW_TYPES))
    tests = [FIRST_DELIVERY, f"stanza IN ({ours})", "correlation IS NOT NULL"]
    counted = context.scope.view.relation(
        ["source", "correlation", "position"], None, [*tests, *context.known, f"type IN ({types})"]
    )
    held = f"SELECT source, correlation, count(DISTINCT position) AS held FROM ({counted}) GROUP BY ALL"
    reads = {"collections": Read(("data_collections",), "json"), "event_count": Read(("event_count",), "text")}
    known = {name: read for name, read in reads.items() if read.path[0] in context.scope.view.fields}
    ends = context.events([*OCCURRENCE_COLUMNS, "correlation"], [*tests, "type = 'commit'"], reads=known)
    listed = "CAST(json_extract(collections, '$[*]') AS JSON[])" if "collections" in known else "CAST([] AS JSON[])"
    messages = f"""list_sum(list_transform(list_filter({listed},
            lambda c: contains(json_extract_string(c, '$.data_collection'), {literal(_NO_CHANGE)})),
        lambda c: TRY_CAST(json_extract_string(c, '$.event_count') AS BIGINT)))"""
    count = "TRY_CAST(event_count AS BIGINT)" if "event_count" in known else "CAST(NULL AS BIGINT)"
    counted_ends = f"SELECT *, {count} - coalesce({messages}, 0) AS told FROM ({ends})"
    detail = """'its transaction ' || e.correlation || ' counts ' || told || ' changes, and the log holds '
        || coalesce(held, 0)"""
    joined = f"""SELECT e.*, held FROM ({counted_ends}) e
        LEFT JOIN ({held}) h ON h.source = e.source AND h.correlation = e.correlation"""
    uneven = f"""{_occurrences(detail)} FROM ({joined}) e WHERE wanted AND told <> coalesce(held, 0)"""
    begun = context.events([*OCCURRENCE_COLUMNS, "correlation"], [*tests, "type = 'begin'"])
    open_ones = f"""{_occurrences("'its transaction ' || b.correlation || ' has no end'")} FROM ({begun}) b
        ANTI JOIN ({ends}) e ON b.source = e.source AND b.correlation = e.correlation WHERE wanted"""
    return f"SELECT * FROM ({uneven}) UNION ALL SELECT * FROM ({open_ones})"


def _has_markers(context: CheckContext, ours: str) -> bool:
    rows = context.scope.view.relation(["position"], None, [f"stanza IN ({ours})", "type IN ('begin', 'commit')"])
    with explained():
        return bool(context.scope.connection.execute(f"SELECT 1 FROM ({rows}) LIMIT 1").fetchall())


def unseen(context: CheckContext) -> str:
    """Select the first changes of rows that no record has whole: their states lack what was not changed."""
    scope = folding(context.scope)  # a new key may have inherited what was not changed
    firsts = unseen_firsts(scope, context.known)
    if not firsts:
        return NONE
    rows = context.events(OCCURRENCE_COLUMNS, [FIRST_DELIVERY, "entity IS NOT NULL"], "role_order", view=scope.view)
    detail = "'its row was never told whole: states of it lack what was not changed'"
    return f"""{_occurrences(detail)} FROM ({rows}) e SEMI JOIN ({firsts}) f
        ON e.position = f.position AND e.entity = f.entity WHERE wanted"""
