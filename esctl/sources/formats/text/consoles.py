"""Lines of Kafka's console consumer, with what it prints before a value, and messages dumped by kcat."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from esctl.sources.formats.json.text import is_json
from esctl.sources.pieces import NOISE

_HEADERS = r"NO_HEADERS|[^\t:]+:[^\t]*"
_PARTS = (
    r"(?:(?:(?:CreateTime|LogAppendTime):(?P<timestamp>[0-9]{1,15})|(?P<untimed>NO_TIMESTAMP))\t)?"
    r"(?:Partition:(?P<partition>[0-9]{1,9})\t)?(?:Offset:(?P<offset>[0-9]{1,18})\t)?"
)
_WITH_BOTH = rf"\A{_PARTS}(?P<headers>{_HEADERS})\t(?P<key>[^\t]*)\t(?P<json>(?s:.*))\z"
_WITH_KEY = rf"\A{_PARTS}(?P<key>[^\t]*)\t(?P<json>(?s:.*))\z"
_WITH_HEADERS = rf"\A{_PARTS}(?P<headers>NO_HEADERS)\t(?P<json>(?s:.*))\z"
_WITH_NEITHER = rf"\A{_PARTS}(?P<json>(?s:.*))\z"
_FORMS = (_WITH_BOTH, _WITH_HEADERS, _WITH_KEY, _WITH_NEITHER)
_PLACE = r"\A(?:CreateTime|LogAppendTime|Partition|Offset):[0-9]+\z"
"""A part that looks like a header, but is not one."""
_FORMS_OF_BYTES = [re.compile(form.replace(r"\z", r"\Z").encode()) for form in _FORMS]
_PLACE_OF_BYTES = re.compile(_PLACE.replace(r"\z", r"\Z").encode())
_NUMBER_NAMES = ("timestamp", "partition", "offset")
_DUMP = {"topic", "partition", "offset", "headers"}


def is_console(line: bytes) -> bool:
    """Return whether a line is a message with more than its key before the value."""
    text = line.strip(NOISE)
    if b"\t" not in text:
        return False
    for form in _FORMS_OF_BYTES:
        found = form.match(text)
        parts = found.groupdict() if found else {}
        if found and _is_value(found["json"]) and not _PLACE_OF_BYTES.match(parts.get("headers") or b""):
            return any(parts.get(name) for name in (*_NUMBER_NAMES, "untimed")) or bool(parts.get("headers"))
    return False


def _is_value(text: bytes) -> bool:
    return text in (b"", b"null") or is_json(text)


def is_dump(lines: list[bytes]) -> bool:
    """Return whether lines of JSON are messages whose headers are a list, as `kcat -J` writes them."""
    return any(_has_header_list(line) for line in lines)


def _has_header_list(line: bytes) -> bool:
    if b'"headers"' not in line or b'"offset"' not in line:
        return False
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and record.keys() >= _DUMP and isinstance(record["headers"], list)


def objects_of(texts: Any) -> tuple[Any, Any]:
    """Return the lines (large_string) of a console as JSON objects, and a mask of those that are not such lines.

    `headers` stay one text; `payload` is null if the line has no value.
    """
    found = [pc.extract_regex(texts, form) for form in _FORMS]
    is_place = pc.match_substring_regex(pc.struct_field(found[0], "headers"), _PLACE)
    found[0] = pc.if_else(pc.fill_null(is_place, False), pa.scalar(None, found[0].type), found[0])
    names = (*_NUMBER_NAMES, "headers", "key", "json")
    values = {name: _first_part(found, name, len(texts)) for name in names}
    absent = pc.is_null(values["json"])
    body = pc.utf8_trim_whitespace(values["json"])
    values["json"] = pc.if_else(pc.equal(body, ""), pa.scalar("null", pa.large_string()), body)
    values["headers"] = _null_where(values["headers"], "NO_HEADERS")
    return _write_objects(values), pc.and_(pc.is_valid(texts), absent)


def _first_part(found: list[Any], name: str, count: int) -> Any:
    """Return a part of each line, by the first form that matches it; empty parts, but for key and json, are null."""
    value: Any = pa.nulls(count, pa.large_string())
    for form in reversed(found):
        names = [field.name for field in form.type]
        own = (
            pc.struct_field(form, name).cast(pa.large_string()) if name in names else pa.nulls(count, pa.large_string())
        )
        if name not in ("json", "key"):
            own = _null_where(own, "")
        value = pc.if_else(pc.is_valid(form), own, value)
    return value


def _null_where(texts: Any, word: str) -> Any:
    return pc.if_else(pc.equal(texts, word), pa.scalar(None, pa.large_string()), texts)


def _write_objects(values: dict[str, Any]) -> Any:
    from esctl.sources.formats.json.write import join_members, quote_texts

    null = pa.scalar("null", pa.large_string())
    key = pc.coalesce(quote_texts(_null_where(values["key"], "null")), null)
    headers = pc.coalesce(quote_texts(values["headers"]), null)
    numbers = [pc.coalesce(values[name], null) for name in _NUMBER_NAMES]
    return join_members(["key", "headers", *_NUMBER_NAMES, "payload"], [key, headers, *numbers, values["json"]])
