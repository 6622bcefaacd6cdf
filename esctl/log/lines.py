"""JSON in a store's files: one line, the same bytes for the same value, with a digest against damage."""

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
    """Return the value with a member `sha256`, the digest of its line: a guard against damage, not forgery."""
    return {**value, SEAL: sha256(to_line(value)).hexdigest()}


def unsealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value without its seal. Raises KeyError if the seal is missing, ValueError if it does not match."""
    body = {name: member for name, member in value.items() if name != SEAL}
    if value[SEAL] != sha256(to_line(body)).hexdigest():
        raise ValueError("it is not as it was written")
    return body
