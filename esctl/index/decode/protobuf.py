"""Decode messages of Protocol Buffers to exact JSON, by schemas that are only known at run time."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from esctl.index.decode.proto_text import parse_proto

_MAIN = "esctl_main.proto"
_ENUM, _MESSAGE, _BYTES = 14, 11, 12


def protobuf_decoder(told: Mapping[str, Any]) -> Callable[[bytes, bytes], bytes]:
    """Return the decoder of a schema's messages. `told` has the schema, and those that it refers to.

    The decoder takes the indexes that say which message it is (b"" if they precede the message) and the bytes.
    """
    from google.protobuf import descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    known = _well_known(pool)
    for each in told["references"]:
        _add_schema(pool, each["name"], each["schema"], known)
    _add_schema(pool, _MAIN, told["schema"], known)
    file = pool.FindFileByName(_MAIN)
    order = [message.name for message in parse_proto(_MAIN, told["schema"]).message_type]

    def decode(indexes: bytes, body: bytes) -> bytes:
        path, rest = _indexes(indexes or body)
        kind = file.message_types_by_name[order[path[0]]]
        for index in path[1:]:
            kind = kind.nested_types[index]
        message = message_factory.GetMessageClass(kind)()
        message.ParseFromString(body if indexes else rest)
        return _message_json(message).encode()

    return decode


def _well_known(pool: Any) -> set[str]:
    from google.protobuf import (
        any_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        struct_pb2,
        timestamp_pb2,
        wrappers_pb2,
    )  # fmt: skip

    modules = (any_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
    for module in modules:
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    return {module.DESCRIPTOR.name for module in modules}


def _add_schema(pool: Any, name: str, text: str, known: set[str]) -> None:
    if name in known:
        return
    file = parse_proto(name, text)
    there = [each for each in file.dependency if each in known]
    del file.dependency[:]
    file.dependency.extend(there)
    pool.AddSerializedFile(_resolve_types(file, pool, there).SerializeToString())
    known.add(name)


def _resolve_types(file: Any, pool: Any, there: list[str]) -> Any:
    """Set for the fields of a file's messages whether their type is a message or an enum, and its full name."""
    kinds: dict[str, int] = {}
    for name in there:
        _collect_known(pool.FindFileByName(name), kinds, pool, set())
    prefix = f".{file.package}" if file.package else ""
    _collect(file, prefix, kinds)
    for message in file.message_type:
        _resolve(message, f"{prefix}.{message.name}", kinds)
    return file


def _collect(holder: Any, prefix: str, kinds: dict[str, int]) -> None:
    messages = holder.message_type if hasattr(holder, "message_type") else holder.nested_type
    for enum in holder.enum_type:
        kinds[f"{prefix}.{enum.name}"] = _ENUM
    for message in messages:
        kinds[f"{prefix}.{message.name}"] = _MESSAGE
        _collect(message, f"{prefix}.{message.name}", kinds)


def _collect_known(file: Any, kinds: dict[str, int], pool: Any, seen: set[str]) -> None:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    if file.name in seen:
        return
    seen.add(file.name)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    _collect(proto, f".{proto.package}" if proto.package else "", kinds)
    for dependency in file.dependencies:
        _collect_known(dependency, kinds, pool, seen)


def _resolve(message: Any, scope: str, kinds: Mapping[str, int]) -> None:
    for field in message.field:
        if field.type_name:
            field.type_name = full = _full_name(field.type_name, scope, kinds)
            field.type = kinds[full]
    for inner in message.nested_type:
        _resolve(inner, f"{scope}.{inner.name}", kinds)


def _full_name(name: str, scope: str, kinds: Mapping[str, int]) -> str:
    if name.startswith("."):
        return name
    while True:
        full = f"{scope}.{name}"
        if full in kinds:
            return full
        if not scope:
            raise ValueError(f"nothing is named {name}")
        scope = scope.rpartition(".")[0]


def _indexes(data: bytes) -> tuple[list[int], bytes]:
    """Read the indexes of a message, zigzag varints: a count, then each (0: the first message); return the rest too."""
    count, at = _varint(data, 0)
    if count == 0:
        return [0], data[at:]
    if not 0 < count < 100:
        raise ValueError("no message has so many indexes")
    found = []
    for _ in range(count):
        index, at = _varint(data, at)
        found.append(index)
    return found, data[at:]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return (value >> 1) ^ -(value & 1), at


def _message_json(message: Any) -> str:
    """Write a message as JSON text: integers as numbers, enums by name, bytes as base64, times as RFC 3339."""
    if message.DESCRIPTOR.full_name.startswith("google.protobuf."):
        from google.protobuf import json_format

        return str(json_format.MessageToJson(message, indent=None, ensure_ascii=False))
    members = []
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        members.append(f"{json.dumps(field.name)}:{_member_json(message, field)}")
    return "{" + ",".join(members) + "}"


def _member_json(message: Any, field: Any) -> str:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        inner = field.message_type.fields_by_name["value"]
        pairs = (f"{json.dumps(_key_text(key))}:{_value_json(value[key], inner)}" for key in sorted(value))
        return "{" + ",".join(pairs) + "}"
    if field.is_repeated:
        return "[" + ",".join(_value_json(each, field) for each in value) + "]"
    return _value_json(value, field)


def _key_text(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _value_json(value: Any, field: Any) -> str:
    if field.message_type is not None:
        return _message_json(value)
    if field.type == _ENUM:
        known = field.enum_type.values_by_number.get(value)
        return json.dumps(known.name if known is not None else value)
    if field.type == _BYTES:
        return json.dumps(base64.b64encode(value).decode())
    if isinstance(value, float) and not math.isfinite(value):
        return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'
    return json.dumps(value, ensure_ascii=False)
