"""Decode values and keys that name their schema, as Confluent's serializers write them, to JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import Struct, field

from esctl.engine.arrow_lists import one_array
from esctl.log.store_state import StoreState
from esctl.model import MESSAGE, Cursor, SchemasCursor

if TYPE_CHECKING:
    import pyarrow as pa

Decode = Callable[[bytes, bytes], bytes]
"""Decodes the bytes after a frame to JSON text, given what else a header says of their type.

Raises whatever a library does for bytes that do not match the schema.
"""
PREFIX = "schemas:"
_HEADERS = {"raw": "__value_schema_id", "key": "__key_schema_id"}


class Schemas(Struct):
    """The schemas of a store, by registry and id or GUID."""

    records: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    _decoders: dict[tuple[str, str], Decode | str] = field(default_factory=dict)

    def add(self, lines: bytes) -> None:
        """Add the schemas in the lines of a source of schemas; other lines are skipped."""
        for line in lines.splitlines():
            try:
                schema = json.loads(line)
                self.records[str(schema["registry"]), str(schema["id"])] = schema
            except (ValueError, KeyError, TypeError):
                continue

    def decoder(self, registry: str, key: str) -> Decode | str:
        """Return the decoder of a schema, or why there is none."""
        if (registry, key) not in self._decoders:
            self._decoders[registry, key] = self._make_decoder(registry, key)
        return self._decoders[registry, key]

    def _make_decoder(self, registry: str, key: str) -> Decode | str:
        found = [schema for (own, named), schema in self.records.items() if named == key and registry in ("", own)]
        if not found:
            return f"schema {key} is not known"
        if len({schema["sha256"] for schema in found}) > 1:
            return f"schema {key} is another in each of {len(found)} registries: name one by --registry"
        try:
            return _DECODERS[found[0]["type"]](found[0])
        except ImportError as error:
            return f"schema {key} needs {error.name}: pip install 'esctl-audit[kafka]'"
        except Exception as error:  # whatever a library raises for a bad schema
            return f"schema {key} cannot be read: {_reason(error)}"


_last: tuple[object, Schemas] | None = None
"""The schemas that were read last, behind what they were read from; one value, so threads see both or neither."""


def schemas_in(store_state: StoreState, table: pa.Table | None = None) -> Schemas:
    """Return the schemas of a store, and those of new sources in some log rows."""
    from esctl.index.decode.log_rows import runs_of

    found = _kept_schemas(store_state)
    for source, start, stop in runs_of(table) if table is not None else ():
        if table is not None and source.startswith(PREFIX) and source not in store_state.cursors:
            found = Schemas(dict(found.records))
            found.add(b"".join(table["raw"].slice(start, stop - start).to_pylist()))
    return found


def _kept_schemas(store_state: StoreState) -> Schemas:
    from esctl.log.reader import export_raw

    global _last
    cursors = sorted((name, each) for name, each in store_state.cursors.items() if isinstance(each, SchemasCursor))
    key = (store_state.path, store_state.store_id, store_state.redactions, cursors)
    last = _last
    if last is not None and last[0] == key:
        return last[1]
    found = Schemas()
    for name, _ in cursors:
        found.add(b"".join(export_raw(store_state, name, skip_erased=True)))
    _last = key, found
    return found


def decode_framed(rows: pa.Table, name: str, cursor: Cursor, schemas: Schemas) -> tuple[pa.Array, dict[int, str]]:
    """Decode framed values in the column `raw` or `key` of log rows; return it, and by row why one cannot be read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = one_array(rows[name])
    framed = pc.fill_null(pc.is_in(pc.binary_slice(column, 0, 1), value_set=pa.array([b"\0"], column.type)), False)
    guids = _guids(rows, _HEADERS[name])
    places = sorted({*pc.indices_nonzero(framed).to_pylist(), *guids})
    if not places:
        return column, {}
    values: list[bytes | None] = []
    reasons: dict[int, str] = {}
    for place, raw in zip(places, column.take(pa.array(places)).to_pylist(), strict=True):
        value = _decode_frame(raw, guids.get(place, ("", b"")), cursor.dialect.get("registry", ""), schemas)
        values.append(value if isinstance(value, bytes) else None)
        if isinstance(value, str):
            reasons[place] = value
    mask = pc.is_in(pa.array(range(len(column))), value_set=pa.array(places))
    return pc.replace_with_mask(column, mask, pa.array(values, column.type)), reasons


def with_decoded_keys(table: pa.Table, cursor_of: Callable[[str], Cursor], schemas: Callable[[], Schemas]) -> pa.Table:
    """Decode the keys of log rows that name a schema; one that cannot be decoded keeps its bytes."""
    import pyarrow as pa

    from esctl.index.decode.log_rows import runs_of

    if "key" not in table.column_names or table["key"].null_count == table.num_rows:
        return table
    parts = []
    for source, start, stop in runs_of(table):
        rows, cursor = table.slice(start, stop - start), cursor_of(source)
        parts.append(_key_texts(rows, cursor, schemas) if cursor.format == MESSAGE else one_array(rows["key"]))
    return table.set_column(table.schema.get_field_index("key"), "key", pa.concat_arrays(parts))


def _key_texts(rows: pa.Table, cursor: Cursor, schemas: Callable[[], Schemas]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = one_array(rows["key"])
    framed = pc.is_in(pc.binary_slice(keys, 0, 1), value_set=pa.array([b"\0"], keys.type))
    if not pc.any(framed).as_py() and not _guids(rows, _HEADERS["key"]):
        return keys
    found, reasons = decode_framed(rows, "key", cursor, schemas())
    were, texts = keys.to_pylist(), found.to_pylist()
    decoded = [were[row] if row in reasons else _string_content(were[row], text) for row, text in enumerate(texts)]
    return pa.array(decoded, keys.type)


def _string_content(before: bytes | None, key: bytes | None) -> bytes | None:
    """Return a decoded key; for a JSON string, its content."""
    if key is None or key is before or not key.startswith(b'"'):
        return key
    return str(json.loads(key)).encode()


def _decode_frame(raw: bytes | None, named: tuple[str, bytes], registry: str, schemas: Schemas) -> bytes | str | None:
    if raw is None:
        return None
    guid, more = named
    key, body = (guid, raw) if guid else (str(int.from_bytes(raw[1:5], "big")), raw[5:])
    if not guid and len(raw) < 5:
        return "neither JSON nor framed by a schema"
    decode = schemas.decoder(registry, key)
    if isinstance(decode, str):
        return decode
    try:
        return decode(more, body)
    except Exception as error:  # whatever a library raises for bytes that do not match the schema
        return f"it is not of its schema {key}: {_reason(error)}"


def _guids(rows: pa.Table, header: str) -> dict[int, tuple[str, bytes]]:
    """Return by row the GUID that a header names, with the bytes that follow it there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    headers = one_array(rows["headers"])
    if headers.null_count == len(headers):
        return {}
    every = pc.list_flatten(headers)
    named = pc.indices_nonzero(pc.fill_null(pc.equal(every.field("name"), header), False))
    if not len(named):
        return {}
    values = every.field("value").take(named)
    is_guid = pc.and_(pc.greater(pc.binary_length(values), 16), pc.equal(pc.binary_slice(values, 0, 1), b"\1"))
    of_rows = pa.table({"row": pc.list_parent_indices(headers).take(named), "value": values}).filter(is_guid)
    pairs = zip(of_rows["row"].to_pylist(), of_rows["value"].to_pylist(), strict=True)
    return {row: (str(UUID(bytes=value[1:17])), value[17:]) for row, value in pairs}


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def _avro_decoder(record: Mapping[str, Any]) -> Decode:
    import fastavro

    from esctl.sources.formats.packed import write_value

    named: dict[str, Any] = {}
    for each in record["references"]:
        fastavro.parse_schema(json.loads(each["schema"]), named_schemas=named)
    schema = fastavro.parse_schema(json.loads(record["schema"]), named_schemas=named)

    def decode(_: bytes, body: bytes) -> bytes:
        stream = BytesIO(body)
        value = fastavro.schemaless_reader(stream, schema, None, return_record_name=False)
        if stream.tell() != len(body):
            raise ValueError(f"{len(body) - stream.tell()} bytes are left over")
        return write_value(value).encode()

    return decode


def _json_decoder(record: Mapping[str, Any]) -> Decode:
    json.loads(record["schema"])
    return lambda _, body: body


def _protobuf_decoder(record: Mapping[str, Any]) -> Decode:
    from esctl.index.decode.protobuf import protobuf_decoder

    return protobuf_decoder(record)


_DECODERS: Mapping[str, Callable[[Mapping[str, Any]], Decode]] = {
    "AVRO": _avro_decoder,
    "JSON": _json_decoder,
    "PROTOBUF": _protobuf_decoder,
}
