"""Parse the JSON that tables show line by line: `[{"field": ..., "before": ..., "after": ...}]`, objects and lists."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct


class Change(Struct, frozen=True):
    """One field's change, as JSON text before and after; None if the field was absent."""

    field: str
    before: str | None
    after: str | None


class _Number(str):
    """A number of a JSON text, with its digits unchanged."""


def parse_exact(text: str) -> Any:
    """Parse JSON text, numbers as texts that `compact` writes unchanged. Raises ValueError for other text."""
    try:
        return json.loads(text, parse_int=_Number, parse_float=_Number)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def parse_changes(text: str) -> list[Change] | None:
    """Parse JSON text as a list of changes; return None if it is anything else."""
    if not text.startswith("[{") or '"field"' not in text:
        return None
    try:
        items = json.loads(text, parse_int=_Number, parse_float=_Number)
        changes = [_parse_change(item) for item in items]
    except (ValueError, RecursionError):
        return None
    return [change for change in changes if change] if all(changes) else None


def parse_object(text: str) -> list[tuple[str, str]] | None:
    """Parse JSON text as the fields of an object, each with its value as JSON text; return None if it is no object."""
    if not text.startswith("{"):
        return None
    try:
        fields = json.loads(text, parse_int=_Number, parse_float=_Number)
        return [(name, compact(value)) for name, value in fields.items()]
    except (ValueError, RecursionError):
        return None


def parse_items(text: str) -> list[str] | None:
    """Parse JSON text as a list of several objects, each as JSON text; return None if it is anything else."""
    if not text.startswith("[{"):
        return None
    try:
        items = json.loads(text, parse_int=_Number, parse_float=_Number)
        several = len(items) > 1 and all(isinstance(item, dict) for item in items)
        return [compact(item) for item in items] if several else None
    except (ValueError, RecursionError):
        return None


def parse_values(text: str) -> list[str] | None:
    """Parse JSON text as a list of numbers, texts or nulls, each as JSON text; return None if it is anything else."""
    if not text.startswith("["):
        return None
    try:
        items = json.loads(text, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return None
    return None if any(isinstance(item, (dict, list, bool)) for item in items) else [compact(item) for item in items]


def _parse_change(item: Any) -> Change | None:
    if not isinstance(item, dict) or not item.keys() <= {"field", "before", "after"}:
        return None
    field = item.get("field")
    if not isinstance(field, str) or isinstance(field, _Number) or len(item) < 2:
        return None
    before, after = (compact(item[key]) if key in item else None for key in ("before", "after"))
    return Change(field, before, after)


def compact(value: Any) -> str:
    """Return a parsed value as compact JSON, with the digits of its numbers unchanged."""
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        return "{" + ",".join(f"{compact(key)}:{compact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
