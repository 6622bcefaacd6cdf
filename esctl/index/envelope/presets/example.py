"""Make an example of a known format: a record with each envelope field where the format keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from esctl.index.envelope.envelope_sql import record_path
from esctl.index.envelope.paths import EACH, parse_path, paths_in
from esctl.index.envelope.presets.preset import Preset

_SHOWN = ("id", "type", "time", "entity", "tenant", "kind", "actor", "correlation", "causation")
_TIME = "2024-03-05T10:12:13Z"


def example(preset: Preset) -> dict[str, Any]:
    """Return the smallest record of a format; its values name their fields."""
    record: dict[str, Any] = {}
    stanza = preset.stanza
    for field in _SHOWN:
        for path in (getattr(stanza, field) or (stanza.id_parts if field == "id" else ()))[:1]:
            _put(record, path, _TIME if field == "time" else f"<{field}>")
    for role, paths in stanza.entities[:1]:
        _put(record, paths[0], f"<{role}>")
    for parts in preset.sequences[:1]:
        for part in parts:
            _put(record, part, 1)
    for group in preset.needs:  # plain paths: here a member called `record` is not the record itself
        if not any(_has(record, parse_path(path)) for path in group):
            _put(record, group[0], "...", parse_path)
    for path in [path for path in stanza.data if record_path(path)][:1]:
        if not _has(record, record_path(path)):
            _put(record, path, {"...": "..."})
    return record


def _put(
    record: dict[str, Any], text: str, value: Any, parts_of: Callable[[str], tuple[str | int, ...]] = record_path
) -> None:
    """Put a value at each path of a template, if nothing is there yet."""
    for path in paths_in(text):
        parts = parts_of(path.replace(EACH, "[0]"))
        at: Any = record
        for part, following in zip(parts, (*parts[1:], None), strict=True):
            empty: Any = value if following is None else [] if isinstance(following, int) else {}
            if isinstance(part, int) and isinstance(at, list):
                at += [{} for _ in range(part - len(at))] + [empty] * (part >= len(at))
                at = at[part]
            elif isinstance(part, str) and isinstance(at, dict):
                at = at.setdefault(part, empty)
            else:
                break


def _has(record: Any, path: Sequence[str | int]) -> bool:
    for part in path:
        members = dict(enumerate(record)) if isinstance(record, list) else record
        if not isinstance(members, dict) or part not in members:
            return False
        record = members[part]
    return True
