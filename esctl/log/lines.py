"""JSON as it stands in a store's files: one line, the same value always the same bytes, sealed against damage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

SEAL = "sha256"


def to_line(value: Mapping[str, Any]) -> bytes:
    """Write one line of JSON, keys sorted, ASCII: the same value gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def from_line(data: bytes) -> dict[str, Any]:
    """Read one JSON object. Raises ValueError for anything else."""
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Add the member `sha256`: that of the line without it. It is against damage, not against a forger."""
    return {**value, SEAL: sha256(to_line(value)).hexdigest()}


def unsealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line without its seal. Raises KeyError where there is none, ValueError where it is another's."""
    body = {name: member for name, member in value.items() if name != SEAL}
    if value[SEAL] != sha256(to_line(body)).hexdigest():
        raise ValueError("it is not as it was written")
    return body
