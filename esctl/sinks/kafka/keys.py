"""What the key of a record may be."""

from __future__ import annotations

from esctl.errors import UsageError

KEYS = ("entity", "kind,entity")
"""The entity, or a JSON array of its kind and the entity."""


def check_key(key: str) -> None:
    """Raise UsageError if `--key` is none of these."""
    if key not in KEYS:
        raise UsageError(f"--key {key[:80]!r} is no key", f"it may be {' or '.join(KEYS)}")


def key_sql(key: str) -> str:
    """Write SQL for the key of a state as text, over its columns."""
    return "entity" if key == "entity" else "CAST(to_json([kind, entity]) AS VARCHAR)"
