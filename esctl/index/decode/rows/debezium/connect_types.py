"""Decode values of Kafka Connect's and Debezium's logical types, by their schemas."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from esctl.index.decode.rows.change import number, unmarked
from esctl.index.decode.rows.times import date_text, instant_text, time_text

Convert = Callable[[Any], Any]

_CONNECT = "org.apache.kafka.connect.data."
_DEBEZIUM = "io.debezium.time."
_MILLIS, _MICROS, _NANOS = 10**3, 10**6, 10**9


def converter(schema: Mapping[str, Any]) -> Convert | None:
    """Return the function that converts a field's values; None if they need no conversion.

    A value that does not follow its schema stays as it is.
    """
    found = _logical(schema) or _nested(schema)
    if found is None:
        return None
    convert = found

    def converted(value: Any) -> Any:
        if value is None:
            return None
        try:
            return convert(value)
        except (ValueError, TypeError, KeyError, OverflowError, ArithmeticError):
            return value

    return converted


def unscaled(text: str, scale: int) -> Decimal | int | str:
    """Return a number from the base64 of its unscaled bytes. Raises ValueError if it is not base64."""
    try:
        digits = int.from_bytes(base64.b64decode(text, validate=True), "big", signed=True)
    except (binascii.Error, UnicodeError) as error:
        raise ValueError(text) from error
    sign = 1 if digits < 0 else 0
    return number(Decimal((sign, tuple(map(int, str(abs(digits)))), -scale)))


def _logical(schema: Mapping[str, Any]) -> Convert | None:
    name = schema.get("name")
    if name == _CONNECT + "Decimal":
        scale = int(schema.get("parameters", {}).get("scale", 0))
        return lambda value: unscaled(value, scale)
    if name == "io.debezium.data.VariableScaleDecimal":
        return variable_scale
    return _TIMES.get(name) if isinstance(name, str) else None


def variable_scale(value: Mapping[str, Any]) -> Decimal | int | str:
    """Return the number of a Decimal that carries its own scale."""
    return unscaled(value["value"], int(value["scale"]))


def _nested(schema: Mapping[str, Any]) -> Convert | None:
    kind = schema.get("type")
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return _each_item(converter(schema["items"]))
    if kind == "map" and isinstance(schema.get("values"), Mapping):
        return _each_member(converter(schema["values"]))
    if kind == "struct":
        found = struct_converters(schema)
        return None if not found else lambda value: converted_row(value, found)
    return None


def _each_item(convert: Convert | None) -> Convert | None:
    return None if convert is None else lambda values: [convert(value) for value in values]


def _each_member(convert: Convert | None) -> Convert | None:
    return None if convert is None else lambda values: {key: convert(value) for key, value in values.items()}


def struct_converters(schema: Mapping[str, Any]) -> dict[str, Convert]:
    """Return the converters of the fields of a struct that need one, by name."""
    fields = schema.get("fields")
    found = {}
    for field in fields if isinstance(fields, list) else ():
        if isinstance(field, Mapping) and isinstance(field.get("field"), str):
            convert = converter(field)
            if convert is not None:
                found[field["field"]] = convert
    return found


def converted_row(row: Mapping[str, Any], converters: Mapping[str, Convert]) -> dict[str, Any]:
    """Return a row with the values that need it converted."""
    return {name: converters[name](value) if name in converters else value for name, value in row.items()}


def _counted(write: Callable[[int], str]) -> Convert:
    def convert(value: Any) -> Any:
        units = unmarked(value)
        return write(units) if isinstance(units, int) and not isinstance(units, bool) else value

    return convert


_TIMES: dict[str, Convert] = {
    _CONNECT + "Date": _counted(date_text),
    _CONNECT + "Time": _counted(lambda units: time_text(units, _MILLIS)),
    _CONNECT + "Timestamp": _counted(lambda units: instant_text(units, _MILLIS)),
    _DEBEZIUM + "Date": _counted(date_text),
    _DEBEZIUM + "Time": _counted(lambda units: time_text(units, _MILLIS)),
    _DEBEZIUM + "MicroTime": _counted(lambda units: time_text(units, _MICROS)),
    _DEBEZIUM + "NanoTime": _counted(lambda units: time_text(units, _NANOS)),
    _DEBEZIUM + "Timestamp": _counted(lambda units: instant_text(units, _MILLIS)),
    _DEBEZIUM + "MicroTimestamp": _counted(lambda units: instant_text(units, _MICROS)),
    _DEBEZIUM + "NanoTimestamp": _counted(lambda units: instant_text(units, _NANOS)),
}
