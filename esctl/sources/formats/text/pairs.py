"""Lists of key=value in the records of a text log, as the audit daemon and logfmt write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from esctl.engine.quoting import literal
from esctl.sources.formats.text.known import TextFormat

if TYPE_CHECKING:
    import duckdb

_TABLE = "esctl_pairs"
_TEXT = pa.large_string()
_PAIR = r"""([\w.@/-]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)"""
_NESTED = r"""\bmsg='([^']*)'"""
_BATCH = 16_384


def pairs_of(columns: dict[tuple[str, ...], Any], form: TextFormat, connection: duckdb.DuckDBPyConnection) -> Any:
    """Return the pairs of each record as a JSON object (large_string), and remove their field from the columns.

    If a key occurs more than once, all its pairs are written: when the JSON is read, the last one counts.
    """
    texts = columns.pop((form.pairs,))
    kinds = columns.get(("type",), pa.nulls(len(texts), _TEXT))
    table = pa.table({"row": pa.array(range(len(texts)), pa.int64()), "t": texts, "kind": kinds})
    connection.register(_TABLE, pa.Table.from_batches(table.to_batches(max_chunksize=_BATCH)))
    try:
        found = connection.sql(_select_objects(form)).to_arrow_table()["j"].combine_chunks()
    finally:
        connection.unregister(_TABLE)
    return found.cast(_TEXT)


def _select_objects(form: TextFormat) -> str:
    """Return the SQL that selects the objects, by row."""
    if form.spaced:
        return _select_spaced()
    bare = r"replace(t, chr(29), ' ')"  # the separator before the names that the audit daemon adds
    flat = f"regexp_replace({bare}, {literal(_NESTED)}, '\\1', 'g')" if form.encoded else "t"
    pairs = (
        f'SELECT "row", kind, unnest(regexp_extract_all(flat, {literal(_PAIR)}, 1)) AS k, '
        f"unnest(regexp_extract_all(flat, {literal(_PAIR)}, 2)) AS v, "
        f"unnest(range(len(regexp_extract_all(flat, {literal(_PAIR)}, 1)))) AS n "
        f'FROM (SELECT "row", kind, {flat} AS flat FROM {_TABLE} WHERE t IS NOT NULL)'
    )
    value = _audit_value(form) if form.encoded else _logfmt_value()
    members = (
        f"SELECT \"row\", string_agg(to_json(k)::VARCHAR || ':' || value, ',' ORDER BY n) AS members "
        f'FROM (SELECT "row", k, n, {value} AS value FROM ({pairs})) WHERE value IS NOT NULL GROUP BY "row"'
    )
    return (
        f"SELECT '{{' || coalesce(members, '') || '}}' AS j FROM {_TABLE} LEFT JOIN ({members}) USING (\"row\") "
        'ORDER BY "row"'
    )


_NEXT, _IS, _KEPT = (f"chr({code})" for code in (28, 29, 31))
_KEY = r"(?:^|\s)([\w.\[\]-]+)="
_ESCAPED = {r"\=": "'='", r"\|": "'|'", r"\n": "chr(10)", r"\r": "chr(13)"}


def _select_spaced() -> str:
    """Return the SQL for pairs whose values extend to the next key, with a backslash before each `=` in a value.

    The control characters that mark where pairs begin are first removed from the text.
    """
    bare = f"translate(t, {_NEXT} || {_IS} || {_KEPT}, '')"
    marked = f"regexp_replace({bare}, {literal(_KEY)}, {_NEXT} || '\\1' || {_IS}, 'g')"
    value = f"replace(rtrim(split_part(p, {_IS}, 2)), {literal(chr(92) * 2)}, {_KEPT})"
    for written, meant in _ESCAPED.items():
        value = f"replace({value}, {literal(written)}, {meant})"
    member = (
        f"to_json(split_part(p, {_IS}, 1))::VARCHAR || ':' || to_json(replace({value}, {_KEPT}, {literal(chr(92))}))"
        "::VARCHAR"
    )
    whole = f"list_filter(string_split({marked}, {_NEXT}), lambda p: contains(p, {_IS}) AND NOT ends_with(p, {_IS}))"
    return (
        f"SELECT '{{' || coalesce(array_to_string(list_transform({whole}, lambda p: {member}), ','), '') || '}}' AS j "
        f'FROM {_TABLE} ORDER BY "row"'
    )


def _logfmt_value() -> str:
    """Return the SQL that writes a value of logfmt as JSON: text in quotes has the escapes of JSON."""
    inner = "to_json(substr(v, 2, length(v) - 2))::VARCHAR"
    bare = "WHEN v[1] <> '\"' THEN to_json(v)::VARCHAR"
    return f"CASE WHEN v = '' THEN NULL {bare} WHEN json_valid(v) THEN v ELSE {inner} END"


def _audit_value(form: TextFormat) -> str:
    """Return the SQL that writes a value of the audit daemon as JSON, with hexadecimal text decoded, NUL as blank."""
    keys = ", ".join(map(literal, form.encoded))
    is_text = f"(k IN ({keys}) OR (kind = 'EXECVE' AND regexp_full_match(k, 'a[0-9]+(\\[[0-9]+\\])?')))"
    is_hex = "regexp_full_match(v, '(?:[0-9A-F]{2})+')"
    decoded = "coalesce(replace(rtrim(TRY(decode(unhex(v))), chr(0)), chr(0), ' '), v)"
    text = (
        f"CASE WHEN v[1] = '\"' THEN substr(v, 2, length(v) - 2) WHEN v IN ('', '(null)') THEN NULL "
        f"WHEN {is_text} AND {is_hex} THEN {decoded} WHEN k = 'saddr' AND {is_hex} THEN {_socket_address()} ELSE v END"
    )
    return f"to_json({text})::VARCHAR"


def _socket_address() -> str:
    """Return the SQL that writes the address of a socket as `10.0.0.1:22`, `[0000:...:0001]:80` or its path."""

    def number(start: int, digits: int) -> str:
        places = ((start + at, 16 ** (digits - 1 - at)) for at in range(digits))
        return "+".join(f"(instr('0123456789ABCDEF', v[{at}]) - 1) * {weight}" for at, weight in places)

    port = f"({number(5, 4)})"
    four = " || '.' || ".join(f"({number(start, 2)})" for start in (9, 11, 13, 15))
    six = " || ':' || ".join(f"lower(substr(v, {start}, 4))" for start in range(17, 49, 4))
    path = "TRY(decode(unhex(regexp_replace(regexp_replace(substr(v, 5), '^00', '40'), '^((?:..)*?)00.*$', '\\1'))))"
    return (
        f"CASE WHEN starts_with(v, '0200') AND length(v) >= 16 THEN {four} || ':' || {port} "
        f"WHEN starts_with(v, '0A00') AND length(v) >= 48 THEN '[' || {six} || ']:' || {port} "
        f"WHEN starts_with(v, '0100') THEN coalesce({path}, v) ELSE v END"
    )
