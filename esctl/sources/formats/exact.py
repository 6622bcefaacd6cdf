"""Arrow values -> JSON text that loses nothing.

Numbers are written in full (floats by their shortest text), decimals and integers of any size as numbers, NaN and
the infinities as the strings "NaN", "Infinity", "-Infinity". Binary is base64 (RFC 4648), times are RFC 3339 (with Z
where the column has a zone), durations are counts of the column's unit. Nulls are kept as null.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from esctl.sources.formats.json.write import join_members, quote_texts, surround

Array = Any

_TEXT = pa.large_string()
_NULL = pa.scalar("null", _TEXT)


def rows_as_json(batch: Any) -> Array:
    """Write each row of a record batch as a JSON object (large_string)."""
    columns = [_text(column) for column in batch.columns]
    if not columns:
        return pa.array(["{}"] * batch.num_rows, _TEXT)
    return join_members(batch.schema.names, columns)


def _text(values: Array) -> Array:
    """Write each value as JSON text, nulls as `null`."""
    for applies, write in _WRITERS:
        if applies(values.type):
            return pc.fill_null(write(values), _NULL)
    return pc.fill_null(_write_one_by_one(values), _NULL)


def _cast_to_text(values: Array) -> Array:
    return values.cast(_TEXT)


def _decimal(values: Array) -> Array:
    texts = _cast_to_text(values)
    if pc.any(pc.starts_with(texts, "<")).as_py():
        raise pa.ArrowInvalid("a decimal's scale is out of range")
    return texts


def _float(values: Array) -> Array:
    texts = _cast_to_text(values.cast(pa.float32()) if pt.is_float16(values.type) else values)
    for odd, written in (("nan", '"NaN"'), ("-nan", '"NaN"'), ("inf", '"Infinity"'), ("-inf", '"-Infinity"')):
        texts = pc.if_else(pc.equal(texts, odd), pa.scalar(written, _TEXT), texts)
    return texts


def _string(values: Array) -> Array:
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        # A hostile file may hold anything: bytes that are not UTF-8 are shown as such, not as another text.
        raws = values.cast(pa.large_binary()).to_pylist()
        values = pa.array([raw if raw is None else raw.decode(errors="backslashreplace") for raw in raws], _TEXT)
    return quote_texts(values.cast(_TEXT))


def _binary(values: Array) -> Array:
    return pa.array(
        [raw if raw is None else f'"{base64.b64encode(raw).decode()}"' for raw in values.to_pylist()], _TEXT
    )


def _timestamp(values: Array) -> Array:
    if values.type.tz is not None:
        values = values.cast(pa.timestamp(values.type.unit, "UTC"))
    return _instant(values)


def _instant(values: Array) -> Array:
    texts = pc.replace_substring(_cast_to_text(values), " ", "T", max_replacements=1)
    if pc.any(pc.match_substring(texts, "<")).as_py():
        # Beyond a calendar of four-digit years: the count itself.
        counts = _cast_to_text(values.cast(pa.int64()))
        return pc.if_else(pc.match_substring(texts, "<"), counts, quote_texts(texts))
    return surround('"', pc.replace_substring_regex(texts, r"\.0+(Z?)$", r"\1"), '"')


def _clock(values: Array) -> Array:
    return surround('"', pc.replace_substring_regex(_cast_to_text(values), r"\.0+$", ""), '"')


def _duration(values: Array) -> Array:
    return _cast_to_text(values.cast(pa.int64()))


def _dictionary(values: Array) -> Array:
    return _text(values.dictionary_decode())


def _run_ends(values: Array) -> Array:
    return _text(pc.run_end_decode(values))


def _struct(values: Array) -> Array:
    names = [values.type.field(index).name for index in range(values.type.num_fields)]
    if not names:
        return pc.if_else(values.is_valid(), pa.scalar("{}", _TEXT), pa.scalar(None, _TEXT))
    texts = join_members(names, [_text(child) for child in values.flatten()])
    return pc.if_else(values.is_valid(), texts, pa.scalar(None, _TEXT))


def _list(values: Array) -> Array:
    return _join_items(values, _text(values.flatten()), "[", "]")


def _join_items(values: Array, items: Array, before: str, after: str) -> Array:
    lengths = pc.fill_null(pc.list_value_length(values), 0).cast(pa.int64())
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
    joined = pc.binary_join(pa.LargeListArray.from_arrays(offsets, items), pa.scalar(",", _TEXT))
    texts = surround(before, joined, after)
    return pc.if_else(values.is_valid(), texts, pa.scalar(None, _TEXT))


def _map(values: Array) -> Array:
    kind = values.type
    lists = values.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
    keys, items = lists.flatten().flatten()
    # Keys that were read from Parquet are in a dictionary.
    key = kind.key_type.value_type if pt.is_dictionary(kind.key_type) else kind.key_type
    if pt.is_string(key) or pt.is_large_string(key):
        members = pc.binary_join_element_wise(_text(keys), _text(items), pa.scalar(":", _TEXT))
        return _join_items(lists, members, "{", "}")
    return _join_items(lists, join_members(["key", "value"], [_text(keys), _text(items)]), "[", "]")


def _extension(values: Array) -> Array:
    if values.type.extension_name == "arrow.uuid":
        raws = values.storage.to_pylist()
        return pa.array([raw if raw is None else f'"{uuid.UUID(bytes=raw)}"' for raw in raws], _TEXT)
    return _text(values.storage)


def _write_one_by_one(values: Array) -> Array:
    """Write values of the kinds that no kernel knows (unions, intervals) one by one."""
    return pa.array([None if value is None else json.dumps(value, default=str) for value in values.to_pylist()], _TEXT)


def _is_any_of(*tests: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda kind: any(test(kind) for test in tests)


_WRITERS: tuple[tuple[Callable[[Any], bool], Callable[[Array], Array]], ...] = (
    (lambda kind: isinstance(kind, pa.BaseExtensionType), _extension),
    (_is_any_of(pt.is_boolean, pt.is_integer), _cast_to_text),
    (pt.is_decimal, _decimal),
    (pt.is_floating, _float),
    (_is_any_of(pt.is_string, pt.is_large_string, pt.is_string_view), _string),
    (_is_any_of(pt.is_binary, pt.is_large_binary, pt.is_fixed_size_binary, pt.is_binary_view), _binary),
    (pt.is_timestamp, _timestamp),
    (pt.is_date, _instant),
    (pt.is_time, _clock),
    (pt.is_duration, _duration),
    (pt.is_dictionary, _dictionary),
    (pt.is_run_end_encoded, _run_ends),
    (pt.is_struct, _struct),
    (pt.is_map, _map),
    (_is_any_of(pt.is_list, pt.is_large_list, pt.is_fixed_size_list, pt.is_list_view, pt.is_large_list_view), _list),
    (pt.is_null, lambda values: pa.nulls(len(values), _TEXT)),
)
