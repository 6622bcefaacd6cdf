"""Partial updates of a document, applied to it. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from esctl.index.decode.rows import PATHS, SET, TRUNCATED, UNSET

Path = Sequence[str | int]


def apply_update(row: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document after a partial update; what a path leads through and was never seen becomes an object."""
    result: dict[str, Any] = copy.deepcopy(dict(row))
    paths = update.get(PATHS) or {}
    for name, size in (update.get(TRUNCATED) or {}).items():
        place = _find_place(result, paths.get(name) or name.split("."))
        array = _get(*place) if place is not None else None
        if isinstance(array, list) and isinstance(size, int):
            del array[size:]
    for name, value in (update.get(SET) or {}).items():
        _set(result, paths.get(name) or name.split("."), value)
    for name in update.get(UNSET) or ():
        _unset(result, paths.get(name) or name.split("."))
    return result


def _key_into(container: Any, path: Path) -> tuple[str | int, int]:
    """Return the key by which a path enters a container, and how many parts of the path it takes."""
    first = path[0]
    if isinstance(container, list):
        return (int(first), 1) if str(first).isdigit() else (str(first), 1)
    if str(first) not in container and all(isinstance(part, str) for part in path):
        # A name may have dots.
        for count in range(len(path), 1, -1):
            name = ".".join(map(str, path[:count]))
            if name in container:
                return name, count
    return str(first), 1


def _find_place(container: Any, path: Path) -> tuple[Any, str | int] | None:
    """Return the container and the key in it that a path leads to; None if it leads nowhere."""
    while isinstance(container, dict | list):
        key, taken = _key_into(container, path)
        if taken == len(path):
            return container, key
        container, path = _get(container, key), path[taken:]
    return None


def _get(container: Any, key: str | int) -> Any:
    if isinstance(container, list):
        return container[key] if isinstance(key, int) and key < len(container) else None
    return container.get(key) if isinstance(container, dict) else None


def _set(container: Any, path: Path, value: Any) -> None:
    while True:
        key, taken = _key_into(container, path)
        if taken == len(path):
            _put(container, key, value)
            return
        inner = _get(container, key)
        if not isinstance(inner, dict | list):
            inner = {}
            _put(container, key, inner)
        container, path = inner, path[taken:]


def _put(container: Any, key: str | int, value: Any) -> None:
    if isinstance(container, dict):
        container[str(key)] = value
    elif isinstance(key, int) and key < _LONGEST:
        container.extend([None] * (key + 1 - len(container)))
        container[key] = value


_LONGEST = 1 << 20
"""Elements that an update may extend an array to; updates of later elements are ignored."""


def _unset(container: Any, path: Path) -> None:
    place = _find_place(container, path)
    if place is None:
        return
    holder, key = place
    if isinstance(holder, dict):
        holder.pop(str(key), None)
    elif isinstance(key, int) and key < len(holder):
        holder[key] = None  # an array keeps its length
