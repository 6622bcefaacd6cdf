"""Open texts inside records that hold JSON: plain, as hexadecimal digits, as base64, compressed.

The record becomes JSON text with the value in place of the text, as exact as the rest. The evidence does not change.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from esctl.engine.arrow_lists import one_array
from esctl.engine.quoting import literal
from esctl.index.decode.encodings import EXTENDED, PAIRS, Opening
from esctl.index.decode.rebuilt import Path, leads_there_sql, pointer_of, with_value_sql
from esctl.index.decode.rows import DIALECTS
from esctl.model import MARK, Cursor

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.index.decode.rows.change import Naming

_TABLE = "esctl_open"
_OPENED = "esctl_opened"
_PAIR = r'("(?:[^"\\]|\\.)*")=>("(?:[^"\\]|\\.)*"|NULL)'
_HSTORE_PAIRS = (
    f"list_transform(list_zip(regexp_extract_all(s, {literal(_PAIR)}, 1), regexp_extract_all(s, {literal(_PAIR)}, 2)), "
    "lambda p: p[1] || ':' || CASE p[2] WHEN 'NULL' THEN 'null' ELSE p[2] END)"
)
_HSTORE = (
    f"CASE WHEN array_to_string(regexp_extract_all(s, {literal(_PAIR)}), ', ') = s "
    f"THEN encode('{{' || array_to_string({_HSTORE_PAIRS}, ',') || '}}') END"
)
"""PostgreSQL's hstore escapes in its quotes as JSON does; a text that is not wholly made of pairs is not hstore."""
_LARGEST = 256 << 20
"""Bytes that one compressed text may become."""
_HEX = r"(?:\\x|0x|0X)?(?:[0-9a-fA-F]{2})+"
_HEX_START = r"^(?:\\x|0x|0X)"
_BASE64 = r"[A-Za-z0-9+/]{2,}={0,2}"
_JSON = Cursor(format="jsonl")


def open_texts(
    connection: duckdb.DuckDBPyConnection,
    texts: pa.Array,
    marked: pa.Array,
    openings: Sequence[Opening],
    naming: Naming | None = None,
) -> tuple[pa.Array, pa.Array]:
    """Open texts of judged records; return their JSON text (large_string) and whether it has marks, row by row.

    A text that does not hold what it should stays a text. `naming` says how rows are named, if records are changes of
    rows.
    """
    for path, encoding in openings:
        if encoding == EXTENDED:
            texts = _plain_extended_json(connection, texts)
        elif encoding in DIALECTS:
            from esctl.index.decode.rows.change import Naming
            from esctl.index.decode.rows.reading import read_rows

            texts, marked = read_rows(texts, marked, encoding, naming or Naming())
        elif encoding == PAIRS:
            from esctl.index.decode.pairs import open_pairs

            texts = open_pairs(connection, texts, path)
        elif encoding != "text":
            texts, marked = _open_encoded(connection, texts, marked, path, encoding)
    return texts, marked


# Numbers that JSON text keeps exactly without a mark; others stay objects.
_NUMBER = r"-?[1-9][0-9]{0,9}(?:\.[0-9]{1,5})?|0(?:\.0{1,3})?|-?0\.[0-9]{0,3}[1-9]"
_EXTENDED = (
    (r'"\$number(?:Long|Int)"\s*:\s*"(-?[1-9][0-9]{0,18}|0)"', r"\1"),
    (rf'"\$number(?:Decimal|Double)"\s*:\s*"({_NUMBER})"', r"\1"),
    (r'"\$oid"\s*:\s*("[0-9a-fA-F]{24}")', r"\1"),
    (r'"\$date"\s*:\s*("[^"\\]*"|-?[0-9]+)', r"\1"),
)
"""What the braces of a value in MongoDB's extended JSON hold, and its plain form; numbers before dates of them."""


def _plain_extended_json(connection: duckdb.DuckDBPyConnection, texts: pa.Array) -> pa.Array:
    """Turn extended JSON into JSON. Inside a string, a quote after a brace is escaped, so no string is changed."""
    import pyarrow as pa

    sql = "j"
    for pattern, value in _EXTENDED:
        braces = rf"\{{\s*{pattern}\s*\}}"
        sql = f"regexp_replace({sql}, {literal(braces)}, {literal(value)}, 'g')"
    connection.register(_TABLE, pa.table({"row": pa.array(range(len(texts)), pa.int64()), "j": texts}))
    try:
        found = connection.sql(f'SELECT {sql} AS j FROM {_TABLE} ORDER BY "row"').to_arrow_table()
    finally:
        connection.unregister(_TABLE)
    return one_array(found["j"].cast(pa.large_string()))


def _open_encoded(
    connection: duckdb.DuckDBPyConnection, texts: pa.Array, marked: pa.Array, path: Path, encoding: str
) -> tuple[pa.Array, pa.Array]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from esctl.index.decode.exact_json import judge_records

    rows = pa.array(np.arange(len(texts), dtype=np.int64))
    connection.register(_TABLE, pa.table({"row": rows, "j": texts, "m": marked}))
    try:
        found = connection.sql(_texts_sql(path, encoding)).to_arrow_table()
        if not found.num_rows:
            return texts, marked
        raws = one_array(found["b"])
        if encoding == "gzip":
            raws = pa.array([_decompress(raw) for raw in raws.to_pylist()], pa.binary())
        elif encoding == "yaml":
            from esctl.index.decode.ruby_yaml import yaml_json

            raws = pa.array([yaml_json(raw) for raw in raws.to_pylist()], pa.binary())
        elif encoding == "struct":
            from esctl.index.decode.structs import struct_json

            raws = pa.array([struct_json(raw) for raw in raws.to_pylist()], pa.binary())
        inner = judge_records(raws, _JSON, connection)
        opened = pa.table({"row": found["row"], "v": inner.text, "vm": inner.marked})
        connection.register(_OPENED, opened.filter(pc.is_valid(opened["v"])))
        try:
            whole = connection.sql(_replaced_sql(path)).to_arrow_table()
        finally:
            connection.unregister(_OPENED)
    finally:
        connection.unregister(_TABLE)
    return one_array(whole["j"].cast(pa.large_string())), one_array(whole["m"])


def _texts_sql(path: Path, encoding: str) -> str:
    """Write a SELECT of `row` and the decoded bytes `b` of the texts at a path, if they can be decoded."""
    place = literal(pointer_of(path))
    text = f"json_extract_string(j, {place})"
    own = (
        f"CASE WHEN NOT m OR NOT starts_with({text}, {literal(MARK)}) THEN {text} "
        f"WHEN starts_with({text}, {literal(MARK * 2)}) THEN substr({text}, 2) END"
    )
    is_text = f"{leads_there_sql('j', path)} AND json_type(j, {place}) = 'VARCHAR'"
    strings = f'SELECT "row", {own} AS s FROM {_TABLE} WHERE {is_text}'
    return f'SELECT * FROM (SELECT "row", {_bytes_sql(encoding)} AS b FROM ({strings})) WHERE b IS NOT NULL ORDER BY 1'


def _bytes_sql(encoding: str) -> str:
    if encoding in ("json", "yaml", "struct"):
        return "encode(s)"
    if encoding == "hstore":
        return _HSTORE
    hexadecimal = f"unhex(regexp_replace(t, {literal(_HEX_START)}, ''))"
    padded = "rpad(t, CAST(ceil(length(t) / 4.0) * 4 AS INTEGER), '=')"
    base64 = f"from_base64({padded})"
    is_hex = f"regexp_full_match(t, {literal(_HEX)})"
    # The last condition: if bits are set that no encoder sets, the text only looks like base64.
    is_base64 = (
        f"CASE WHEN regexp_full_match(t, {literal(_BASE64)}) AND length(rtrim(t, '=')) % 4 <> 1 "
        f"THEN rtrim(to_base64({base64}), '=') = rtrim(t, '=') END"
    )
    cases = {
        "hex": f"CASE WHEN {is_hex} THEN {hexadecimal} END",
        "base64": f"CASE WHEN {is_base64} THEN {base64} END",
        "gzip": f"CASE WHEN {is_hex} THEN {hexadecimal} WHEN {is_base64} THEN {base64} END",
    }
    bare = r"translate(regexp_replace(s, '\s', '', 'g'), '-_', '+/')"
    return f"list_transform([{bare}], lambda t: {cases[encoding]})[1]"


def _decompress(raw: bytes) -> bytes | None:
    """Decompress gzip or zlib; None for bytes that are neither, or that become too large."""
    stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        text = stream.decompress(raw, _LARGEST)
    except zlib.error:
        return None
    return text if stream.eof else None


def _replaced_sql(path: Path) -> str:
    value = f"CASE WHEN v IS NULL THEN j ELSE {with_value_sql('j', path, 'v')} END"
    return (
        f'SELECT {value} AS j, m OR coalesce(vm, false) AS m FROM {_TABLE} LEFT JOIN {_OPENED} USING ("row") '
        'ORDER BY "row"'
    )
