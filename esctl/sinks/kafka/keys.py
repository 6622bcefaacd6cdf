"""What the key of a record may be."""

from __future__ import annotations

from esctl.errors import UsageError

KEYS = ("entity", "kind,entity")
"""The entity, or an array of JSON of its kind and it."""


def check_key(key: str) -> None:
    """Check what `--key` says. Raises UsageError."""
    if key not in KEYS:
        raise UsageError(f"--key {key[:80]!r} is no key", f"it may be {' or '.join(KEYS)}")


def key_sql(key: str) -> str:
    """Write the key of a state, as text, over its columns."""
    return "entity" if key == "entity" else "CAST(to_json([kind, entity]) AS VARCHAR)"
