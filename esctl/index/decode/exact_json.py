"""Turn record bytes into JSON text that DuckDB's JSON functions read exactly, or say why a record is invalid.

One pass of DuckDB over the batch finds the few texts that need care; only those go through Python (see
docs/architecture.md, "Exact text").
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from esctl.engine import native
from esctl.engine.duckdb import connect, refusals, relational
from esctl.engine.exact_text import pointer_token
from esctl.engine.quoting import is_text, literal, text_list
from esctl.index.decode.strict_json import MAX_DEPTH, Examined, examine, mark_numbers
from esctl.model import MARK, TABLES, Cursor

if TYPE_CHECKING:
    import duckdb

_TABLE = "esctl_judge"
_NUMBERS, _CLOSER, _REFUSED = 1, 2, 3
_CHUNK_ROWS = 16_384
_SAMPLED = 64
_MOST_PATHS = 200
_BOM = "\ufeff"
_BLANK = " \t\r\n"

_VALUE_START = r"(?:^|[:,\[])\s*"
_VALUE_END = r"\s*(?:[,\]}]|$)"
# 16 or more digits around a decimal point: RE2 cannot count across it, so each split is spelled out.
_SPLITS = [rf"[0-9]{{{whole}}}\.[0-9]{{{16 - whole},}}" for whole in range(1, 16)]
_LONG_FRACTION = "|".join([*_SPLITS, r"[0-9]{16,}\.[0-9]+"])
_OTHER_NUMBER = r"-?[0-9]{20,}|-?[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]+|-?0\.0000[0-9]*|-0(?:\.0*)?"
_NO_NUMBER = r"-?(?i:nan|inf|infinity)"
_TRAILING_COMMA = r",\s*[\]}]"
_MARKED_STRING = rf'"(?:\x{{{ord(MARK):X}}}|\\u(?i:{ord(MARK):x}))'
_STRUCTURE = rf"{_VALUE_START}{_NO_NUMBER}{_VALUE_END}|{_TRAILING_COMMA}|{_MARKED_STRING}"
_ODD_NUMBER = rf"\s*(?:-?(?:{_LONG_FRACTION})|{_OTHER_NUMBER}|{_NO_NUMBER}){_VALUE_END}"
_NOT_ONLY_LONG = rf"{_VALUE_START}(?:{_OTHER_NUMBER}){_VALUE_END}"
_SQUEEZE = r"([,:])\s+"

_INDEX_LIKE = re.compile(r"[-+#]?[0-9]*\Z")


class Judged(Struct, frozen=True):
    """Texts of a batch, row by row: JSON text or null; the reason why there is none, or null; whether it was rewritten.

    A record without bytes (a tombstone) has neither text nor reason. `text` is large_string, `invalid` string.
    """

    text: pa.Array
    invalid: pa.Array
    marked: pa.Array


def judge_records(raws: pa.Array, cursor: Cursor, connection: duckdb.DuckDBPyConnection | None = None) -> Judged:
    """Judge a batch of records by RFC 8259 and make their text exact for DuckDB.

    `raws` is a binary array (null: no bytes); `cursor` says how its source is written (CSV rows become JSON objects).
    Without a `connection` one is opened for this call.
    """
    if isinstance(raws, pa.ChunkedArray):
        raws = raws.combine_chunks()
    undecoded: dict[int, str] = {}
    connection = connection or connect()
    if (prefix := cursor.dialect.get("prefix")) in ("cri", "docker"):
        from esctl.sources.formats.text.split_lines import join_parts

        raws = join_parts(raws, prefix)
    if encoding := cursor.dialect.get("encoding"):
        from esctl.sources.formats.encodings import decode_records

        raws, undecoded = decode_records(raws, encoding)
    texts, reasons = _read_rows(raws, cursor) if cursor.format in TABLES else _decode(raws)
    if cursor.format == "text" and "pattern" in cursor.dialect:
        texts, unread = _read_lines(texts, cursor, connection)
        reasons = unread | reasons
    elif prefix and prefix != "docker":
        from esctl.sources.formats.prefixes import without_prefix

        texts, unread = without_prefix(texts, prefix)
        reasons |= unread
    reasons |= undecoded
    texts = _trim(texts)
    if native.is_available():
        judged = _assemble(texts, reasons, *native.judge_texts(texts))
    else:
        judged = _assemble(texts, reasons, *_examined(connection, texts))
    if "headers" in cursor.dialect or cursor.dialect.get("prefix") == "console":
        from esctl.index.decode.dumps import with_headers

        return with_headers(connection, judged)
    return judged


def _read_rows(raws: pa.Array, cursor: Cursor) -> tuple[pa.Array, dict[int, str]]:
    from esctl.sources.formats.delimited import rows_to_json

    texts, reasons = rows_to_json(raws, cursor)
    known = pc.indices_nonzero(pc.is_valid(reasons)).to_pylist()
    return texts.cast(pa.large_string()), {row: reasons[row].as_py() for row in known}


def _read_lines(
    texts: pa.Array, cursor: Cursor, connection: duckdb.DuckDBPyConnection
) -> tuple[pa.Array, dict[int, str]]:
    from esctl.sources.formats.prefixes import without_runtime_prefix
    from esctl.sources.formats.text.known import RUNTIME
    from esctl.sources.formats.text.rows import lines_to_json

    is_behind = "prefix" in cursor.dialect and cursor.dialect["pattern"] != RUNTIME
    return lines_to_json(without_runtime_prefix(texts) if is_behind else texts, cursor.dialect, connection)


def _decode(raws: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Return the records as text; one that is not UTF-8 becomes null with a reason."""
    try:
        return raws.cast(pa.large_string()), {}
    except pa.ArrowInvalid:
        pass
    parts: list[pa.Array] = []
    reasons: dict[int, str] = {}
    step = 1024
    for start in range(0, len(raws), step):
        part = raws.slice(start, step)
        try:
            parts.append(part.cast(pa.large_string()))
        except pa.ArrowInvalid:
            parts.append(_decode_each(part, start, reasons))
    return pa.concat_arrays(parts), reasons


def _decode_each(raws: pa.Array, start: int, reasons: dict[int, str]) -> pa.Array:
    texts: list[str | None] = []
    for row, raw in enumerate(raws.to_pylist(), start):
        try:
            texts.append(None if raw is None else raw.decode())
        except UnicodeDecodeError as error:
            texts.append(None)
            reasons[row] = f"no UTF-8 at byte {error.start}"
    return pa.array(texts, pa.large_string())


def _trim(texts: pa.Array) -> pa.Array:
    texts = pc.ascii_trim(texts, _BLANK)
    plain = pc.starts_with(texts, "{")
    if pc.all(plain).as_py():
        return texts
    without = pc.replace_substring_regex(texts, rf"\A[{_BOM} \t\r\n\x1e\x00]+", "", max_replacements=1)
    return pc.if_else(pc.fill_null(plain, True), texts, without)


def _suspects(connection: duckdb.DuckDBPyConnection, texts: pa.Array) -> dict[int, int]:
    """Find the rows that Python must look at, and why: _NUMBERS, _CLOSER or _REFUSED."""
    table = pa.table({"row": pa.array(np.arange(len(texts), dtype=np.int64)), "j": texts})
    # DuckDB hands whole Arrow batches to its threads: one batch would keep one core busy.
    relational(connection).register(_TABLE, pa.Table.from_batches(table.to_batches(max_chunksize=_CHUNK_ROWS)))
    paths = _object_paths(texts)
    try:
        try:
            plain, valid = _objects_are_plain(connection, paths, "true"), True
        except refusals():  # some text is not JSON
            plain, valid = _objects_are_plain(connection, paths, "json_valid(j)"), False
        found = dict(connection.execute(_suspects_sql(valid)).fetchall())
        if not plain:
            found |= dict.fromkeys(_rows_with_repeats(connection), _CLOSER)
    finally:
        connection.unregister(_TABLE)
    return found


def _suspects_sql(valid: bool) -> str:
    squeeze = f"{literal(_SQUEEZE)}, '\\1', 'g'"
    same = f"regexp_replace(json_extract(j, '$')::VARCHAR, {squeeze}) = regexp_replace(j, {squeeze})"
    brackets = "2 * strlen(j) - strlen(replace(j, '[', '')) - strlen(replace(j, '{', ''))"
    deep = f"CASE WHEN strlen(j) > {2 * MAX_DEPTH} THEN {brackets} > {MAX_DEPTH} ELSE false END"
    refused = "" if valid else f"WHEN NOT json_valid(j) THEN {_REFUSED} "
    # Doubles are often printed with 16 or 17 digits; where DuckDB prints the very same text, nothing is lost.
    why = (
        f"CASE {refused}WHEN {deep} THEN {_CLOSER} "
        f"WHEN regexp_matches(j, {literal(_STRUCTURE)}) THEN {_CLOSER} "
        f"WHEN regexp_matches(j, {literal(_NOT_ONLY_LONG)}) THEN {_NUMBERS} "
        f"WHEN {same} THEN 0 ELSE {_NUMBERS} END"
    )
    # A separate filter looks at no more of a text than it must.
    asked = f"{_candidate_sql()} OR {deep}" + ("" if valid else " OR NOT json_valid(j)")
    odd = f'odd AS MATERIALIZED (SELECT "row", j FROM {_TABLE} WHERE {asked})'
    return f'WITH {odd} SELECT "row", why FROM (SELECT "row", {why} AS why FROM odd) WHERE why > 0'


def _candidate_sql() -> str:
    """Write SQL for whether JSON text may hold what DuckDB reads inexactly, or otherwise than RFC 8259.

    RE2 is several times faster at a pattern that begins with a fixed character. A number comes after a colon, is in an
    array, or is the whole text.
    """

    member, first, further, alone, comma, string = (
        f"regexp_matches(j, {literal(pattern)})"
        for pattern in (*(start + _ODD_NUMBER for start in (":", r"\[", ",", "^")), _TRAILING_COMMA, _MARKED_STRING)
    )
    return (
        f"{member} OR {comma} OR (contains(j, '[') AND ({first} OR {further})) "
        f"OR (NOT starts_with(j, '{{') AND {alone}) "
        f"OR ((contains(j, {literal(MARK)}) OR contains(j, '\\u')) AND {string})"
    )


def _object_paths(texts: pa.Array) -> list[str]:
    """Return JSON Pointers of the objects seen in a few texts of the batch, outside arrays; the root is ""."""
    paths: dict[str, None] = {"": None}
    for row in range(0, len(texts), max(1, len(texts) // _SAMPLED)):
        try:
            value = json.loads(texts[row].as_py() or "null")
        except (ValueError, RecursionError):
            continue
        todo = [("", value)]
        while todo and len(paths) < _MOST_PATHS:
            path, value = todo.pop()
            if isinstance(value, dict):
                paths[path] = None
                # A key of digits would also reach into arrays, where two spellings could count one object twice.
                named = ((key, child) for key, child in value.items() if _is_plain_key(key))
                todo += [(f"{path}/{pointer_token(key)}", child) for key, child in named]
    return list(paths)


def _is_plain_key(key: str) -> bool:
    # No record that is read has half a surrogate pair.
    return is_text(key) and not _INDEX_LIKE.match(key)


def _objects_are_plain(connection: duckdb.DuckDBPyConnection, paths: list[str], valid: str = "true") -> bool:
    """Return whether all objects of the batch's `valid` texts (SQL) are at the paths given and none has a key twice.

    A record has as many objects as opening braces, or fewer (braces in strings, empty objects): only equality is proof.
    """
    keys = f"json_keys(j, {text_list(paths)})"
    counted = "strlen(j) - strlen(replace(j, '{', ''))"
    # As text, because lists are slow to group.
    shapes = f"SELECT to_json({keys})::VARCHAR AS k, {counted} AS objects FROM {_TABLE} WHERE {valid} GROUP BY ALL"
    lists = f"SELECT from_json(k, '[[\"VARCHAR\"]]') AS k, objects FROM ({shapes})"
    odd = f"{_repeats_sql('k')} OR len(list_filter(k, lambda x: len(x) > 0)) <> objects"
    return not connection.execute(f"SELECT 1 FROM ({lists}) WHERE {odd} LIMIT 1").fetchall()


def _rows_with_repeats(connection: duckdb.DuckDBPyConnection) -> list[int]:
    """Find the rows that have a key twice in some object (`$..*` reaches all objects but the root)."""
    keys = (
        "CASE WHEN NOT contains(j, '{') OR NOT json_valid(j) THEN NULL "
        "ELSE list_prepend(json_keys(j), json_keys(j, '$..*')) END"
    )
    repeats = _repeats_sql("k")
    shapes = f"SELECT count(*) FROM (SELECT {keys} AS k FROM {_TABLE} GROUP BY k) WHERE {repeats}"
    if not connection.execute(shapes).fetchall()[0][0]:
        return []
    rows = f'SELECT "row" FROM (SELECT "row", {keys} AS k FROM {_TABLE}) WHERE {repeats}'
    return [row for (row,) in connection.execute(rows).fetchall()]


def _repeats_sql(keys: str) -> str:
    return f"coalesce(len(list_filter({keys}, lambda x: len(list_distinct(x)) < len(x))) > 0, false)"


def _examined(connection: duckdb.DuckDBPyConnection, texts: pa.Array) -> tuple[pa.Array, pa.Array, dict[int, str]]:
    """Return the rows that are rewritten, ascending, their new texts, and by row why a text is not JSON."""
    suspects = _suspects(connection, texts)
    taken = texts.take(pa.array(list(suspects), pa.int64())).to_pylist()
    examined = {row: _examine(text, why) for (row, why), text in zip(suspects.items(), taken, strict=True)}
    anew = sorted(row for row, found in examined.items() if found.marked)
    reasons = {row: found.reason for row, found in examined.items() if found.reason is not None}
    return pa.array(anew, pa.int64()), pa.array([examined[row].text for row in anew], pa.large_string()), reasons


def _examine(text: str, why: int) -> Examined:
    if why == _NUMBERS:
        return mark_numbers(text)
    examined = examine(text)
    if examined.reason is None and why == _REFUSED:
        return Examined(None, reason="no JSON")
    return examined


def _assemble(
    texts: pa.Array, undecoded: dict[int, str], rows: pa.Array, anew: pa.Array, no_json: dict[int, str]
) -> Judged:
    marked = np.zeros(len(texts), dtype=bool)
    marked[rows.to_numpy()] = True
    if len(rows):
        texts = pc.replace_with_mask(texts, pa.array(marked), anew)
    if no_json:
        invalid = np.zeros(len(texts), dtype=bool)
        invalid[list(no_json)] = True
        texts = pc.if_else(pa.array(invalid), pa.scalar(None, texts.type), texts)
    return Judged(texts, _sparse(undecoded | no_json, len(texts)), pa.array(marked))


def _sparse(values: dict[int, str], length: int) -> pa.Array:
    if not values:
        return pa.nulls(length, pa.string())
    rows = sorted(values)
    mask = np.zeros(length, dtype=bool)
    mask[rows] = True
    given = pa.array([values[row] for row in rows], pa.string())
    return pc.replace_with_mask(pa.nulls(length, pa.string()), pa.array(mask), given)
