"""Log rows on their way into the index: judged, and grouped by how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.engine.arrow_lists import one_array
from esctl.index.files.manifest import ERASED, Manifest
from esctl.log.store_state import StoreState
from esctl.model import MESSAGE, TABLES, UNENDED, Cursor

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.index.decode.exact_json import Judged
    from esctl.index.decode.framed import Schemas
    from esctl.index.decode.rows.change import Naming
    from esctl.index.envelope.event_sql import Group
    from esctl.model import Stanza


_JUDGED = ("text", "invalid", "marked")
_FEW_ROWS = 4096
"""Arrow chunks of fewer rows than this on average are put together."""


class JudgedRows(Struct, frozen=True):
    """Judged log rows, row by row: JSON text or null, the reason why there is none, whether it was rewritten."""

    text: pa.ChunkedArray
    invalid: pa.ChunkedArray
    marked: pa.ChunkedArray


def judge_rows(
    connection: duckdb.DuckDBPyConnection,
    table: pa.Table,
    cursor_of: Callable[[str], Cursor],
    schemas: Callable[[], Schemas] | None = None,
) -> JudgedRows:
    """Judge the records of log rows, neighbouring sources of one format together.

    `schemas` returns the schemas that values of messages may name.
    """
    import pyarrow as pa

    from esctl.index.decode.exact_json import judge_records

    found = []
    for _, alike in groupby(runs_of(table), key=lambda run: judged_by(cursor_of(run[0]))):
        runs = list(alike)
        start, stop = runs[0][1], runs[-1][2]
        if cursor_of(runs[0][0]).format == MESSAGE and schemas is not None:
            rows = table.slice(start, stop - start)
            found.append(_judged_values(connection, rows, cursor_of(runs[0][0]), schemas()))
            continue
        raws = _join_small_chunks(table["raw"].slice(start, stop - start))
        found += [judge_records(raw, cursor_of(runs[0][0]), connection) for raw in raws.chunks]
    invalid = pa.chunked_array([judged.invalid for judged in found])
    return JudgedRows(
        pa.chunked_array([judged.text for judged in found]),
        _with_erased(table, invalid),
        pa.chunked_array([judged.marked for judged in found]),
    )


def _judged_values(connection: duckdb.DuckDBPyConnection, rows: pa.Table, cursor: Cursor, schemas: Schemas) -> Judged:
    """Judge the values of messages, decoded where they name a schema."""
    import pyarrow as pa

    from esctl.index.decode.exact_json import Judged, judge_records
    from esctl.index.decode.framed import decode_framed

    values, reasons = decode_framed(rows, "raw", cursor, schemas)
    judged = judge_records(values, cursor, connection)
    if not reasons:
        return judged
    told = judged.invalid.to_pylist()
    invalid = pa.array([reasons.get(row, why) for row, why in enumerate(told)], pa.string())
    return Judged(judged.text, invalid, judged.marked)


def _join_small_chunks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Put small chunks together: judging one costs much the same however few rows it has."""
    import pyarrow as pa

    if len(column) >= _FEW_ROWS * column.num_chunks:
        return column
    return pa.chunked_array([column.combine_chunks()])


def _with_erased(table: pa.Table, invalid: pa.ChunkedArray) -> pa.ChunkedArray:
    if "erased_leaf" not in table.column_names or table["erased_leaf"].null_count == table.num_rows:
        return invalid
    import pyarrow as pa
    import pyarrow.compute as pc

    is_erased = table["erased_leaf"].is_valid().combine_chunks()
    return pa.chunked_array([pc.if_else(is_erased, ERASED, invalid.combine_chunks())])


def judged_by(cursor: Cursor) -> tuple[str, ...]:
    """Return what the text of a record depends on besides its bytes."""
    if cursor.format in TABLES:
        dialect = (f"{key}={value}" for key, value in sorted(cursor.dialect.items()) if key != UNENDED)
        return (cursor.format, cursor.header, *dialect)
    of_text = ("pattern", "year", "month") if cursor.format == "text" else ()
    if cursor.format == MESSAGE:
        return (MESSAGE, cursor.dialect.get("registry", ""))
    return ("json", *(cursor.dialect.get(key, "") for key in ("prefix", "headers", "encoding", *of_text)))


def judged_chunk(
    connection: duckdb.DuckDBPyConnection,
    table: pa.Table,
    judged: JudgedRows,
    cursors: Mapping[str, Cursor],
    manifest: Manifest,
) -> tuple[pa.Table, list[Group]]:
    """Return judged log rows as the chunk that `builder.build` takes, and the groups by which they are read."""
    import numpy as np
    import pyarrow as pa

    from esctl.index.envelope.event_sql import Group

    groups: dict[tuple[int, str], Group] = {}
    numbers = np.empty(table.num_rows, dtype=np.int32)
    for source, start, stop in runs_of(table):
        stanza, tz = manifest.sources[source], cursors[source].dialect.get("tz", "UTC")
        group = groups.setdefault((stanza, tz), Group(len(groups), manifest.stanzas[stanza], stanza, tz))
        numbers[start:stop] = group.number
    columns = {name: table[name] for name in ("position", "recorded_at", "source_time", "source", "offset")}
    columns |= {"text": judged.text, "invalid": judged.invalid, "marked": judged.marked, "grp": pa.array(numbers)}
    groups |= (bare := _groups_read_by_value(table, groups, numbers, cursors))
    wrapped = {key: group for key, group in groups.items() if key not in bare}
    chunk = _with_messages(connection, pa.table(columns), table, cursors, wrapped)
    chunk = _with_surroundings(connection, chunk, table, cursors, list(groups.values()))
    return _with_opened(connection, chunk, list(groups.values())), list(groups.values())


def _groups_read_by_value(
    table: pa.Table, groups: Mapping[tuple[int, str], Group], numbers: Any, cursors: Mapping[str, Cursor]
) -> dict[tuple[int, str], Group]:
    """Return the groups of messages that are read by their values alone, which then need not be written as messages."""
    if not any(cursors[source].format == MESSAGE for source, _, _ in runs_of(table)):
        return {}
    import pyarrow.compute as pc
    from msgspec.structs import replace

    from esctl.index.decode.messages import any_event
    from esctl.index.envelope.of_messages import for_values

    if any_event(table["headers"]) or not pc.min(pc.fill_null(pc.binary_length(table["raw"]), 0)).as_py():
        return {}
    others = {int(numbers[at]) for source, at, _ in runs_of(table) if cursors[source].format != MESSAGE}
    found = {key: for_values(group.stanza) for key, group in groups.items() if group.number not in others}
    return {key: replace(groups[key], stanza=stanza) for key, stanza in found.items() if stanza is not None}


def _with_messages(
    connection: duckdb.DuckDBPyConnection,
    chunk: pa.Table,
    table: pa.Table,
    cursors: Mapping[str, Cursor],
    groups: Mapping[tuple[int, str], Group],
) -> pa.Table:
    """Turn the values of a chunk that came in messages into messages, with the parts that their stanzas name."""
    sources = {source for source, _, _ in runs_of(table) if cursors[source].format == MESSAGE}
    if not sources:
        return chunk
    import pyarrow as pa
    import pyarrow.compute as pc

    from esctl.index.decode.exact_json import Judged
    from esctl.index.decode.messages import COLUMNS, messages
    from esctl.index.envelope.of_messages import message_parts

    is_message = pc.is_in(table["source"], value_set=pa.array(sorted(sources)))
    for group in groups.values():
        mask = pc.and_(pc.equal(chunk["grp"], group.number), is_message)
        is_all = pc.all(mask).as_py()
        rows = None if is_all else pc.indices_nonzero(mask)
        if rows is not None and not len(rows):
            continue
        judged = Judged(*(one_array(chunk[name] if rows is None else chunk[name].take(rows)) for name in _JUDGED))
        own = table.select(COLUMNS) if rows is None else table.select(COLUMNS).take(rows)
        written = messages(connection, judged, own, message_parts(group.stanza))
        for name, values in zip(_JUDGED, (written.text, written.invalid, written.marked), strict=True):
            chunk = (
                chunk.set_column(chunk.schema.get_field_index(name), name, values)
                if rows is None
                else _with_rows(chunk, name, rows, values)
            )
    return chunk


def _with_surroundings(
    connection: duckdb.DuckDBPyConnection,
    chunk: pa.Table,
    table: pa.Table,
    cursors: Mapping[str, Cursor],
    groups: list[Group],
) -> pa.Table:
    """Give the records of a chunk what surrounded them, if the stanzas of its groups use it."""
    from esctl.index.envelope.envelope_sql import reads_surroundings

    headers = table["headers"] if "headers" in table.column_names else None
    if headers is None or headers.null_count == len(headers) or not any(reads_surroundings(g.stanza) for g in groups):
        return chunk
    import pyarrow as pa

    from esctl.index.decode.surrounded import surround

    grp = chunk["grp"].to_numpy()
    looking = {group.number for group in groups if reads_surroundings(group.stanza)}
    for source, start, stop in runs_of(table):
        if int(grp[start]) in looking:
            rows = pa.array(range(start, stop))
            texts, marked, around = (
                one_array(column.take(rows)) for column in (chunk["text"], chunk["marked"], headers)
            )
            texts, marked = surround(connection, texts, marked, around, cursors[source])
            chunk = _with_rows(_with_rows(chunk, "text", rows, texts), "marked", rows, marked)
    return chunk


def _with_opened(connection: duckdb.DuckDBPyConnection, chunk: pa.Table, groups: list[Group]) -> pa.Table:
    """Open the texts of a chunk that hold JSON, as the stanzas of its groups say."""
    if not any(group.stanza.opened for group in groups):
        return chunk
    import pyarrow as pa

    from esctl.index.decode.opened import open_texts
    from esctl.index.envelope.payload_keys import openings_of

    grp = chunk["grp"].to_numpy()
    for group in groups:
        rows = pa.array((grp == group.number).nonzero()[0])
        if not group.stanza.opened or not len(rows):
            continue
        texts, marked = (one_array(chunk[name].take(rows)) for name in ("text", "marked"))
        texts, marked = open_texts(connection, texts, marked, openings_of(group.stanza), _naming(group.stanza))
        chunk = _with_rows(_with_rows(chunk, "text", rows, texts), "marked", rows, marked)
    return chunk


def _naming(stanza: Stanza) -> Naming | None:
    from esctl.index.envelope.homes import is_change_log

    if not is_change_log(stanza):
        return None
    from esctl.index.decode.rows.change import Naming

    return Naming(dict(stanza.row_keys), stanza.row_home, stanza.row_origin)


def _with_rows(chunk: pa.Table, name: str, rows: pa.Array, values: pa.Array) -> pa.Table:
    """Put values into some rows of a column."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = np.zeros(chunk.num_rows, dtype=bool)
    mask[rows.to_numpy()] = True
    column = one_array(chunk[name])
    changed = pc.replace_with_mask(column, pa.array(mask), values.cast(column.type))
    return chunk.set_column(chunk.schema.get_field_index(name), name, changed)


def runs_of(table: pa.Table) -> list[tuple[str, int, int]]:
    """Cut log rows where the source changes; return (source, start, stop) of each part."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(table) and pc.all(pc.equal(table["source"], table["source"][0])).as_py():
        return [(table["source"][0].as_py(), 0, len(table))]
    column = one_array(table["source"])
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    names = encoded.dictionary.to_pylist()
    return [(names[codes[start]], int(start), int(stop)) for start, stop in pairwise(starts)]


def raws_of(store_state: StoreState, table: pa.Table) -> Callable[[Sequence[int]], Mapping[int, bytes]]:
    """Return a function that fetches records' bytes by position, from these rows or from the log."""

    def fetch(positions: Sequence[int]) -> Mapping[int, bytes]:
        import numpy as np
        import pyarrow as pa

        from esctl.log.reader import raw_of

        there = table["position"].to_numpy()
        first, last = int(there[0]), int(there[-1])
        wanted = sorted(set(positions))
        here = [position for position in wanted if first <= position <= last]
        raws = table["raw"].take(pa.array(np.searchsorted(there, here))).to_pylist()
        found = dict(zip(here, raws, strict=True))
        found.update(raw_of(store_state, [position for position in wanted if position < first]))
        return {position: raw or b"" for position, raw in found.items()}

    return fetch


def trimmed(raw: bytes | None) -> bytes:
    """Return a record's bytes without blanks around them, or BOMs, record separators (1E) and NUL bytes before them."""
    text = (raw or b"").removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\x1e\0").rstrip(b" \t\r\n")
    return text.removeprefix(b"\xef\xbb\xbf")


def trimmed_column(raws: pa.Array) -> pa.Array:
    """Return the bytes of many records as `trimmed` does, null where they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lead = r"\A(?:\xef\xbb\xbf)?[ \t\r\n\x1e\x00]*(?:\xef\xbb\xbf)?"  # the bytes: patterns for binary are Latin-1
    behind = pc.replace_substring_regex(raws.cast(pa.large_binary()), lead, "", max_replacements=1)
    # Only text can be trimmed, and that byte by byte, so it need not be UTF-8.
    text = pc.cast(behind, options=pc.CastOptions(pa.large_string(), allow_invalid_utf8=True))
    return pc.ascii_rtrim(text, " \t\r\n").cast(pa.large_binary())
