"""Sizes of memory and records, as options write them."""

from __future__ import annotations

import re

from esctl.errors import UsageError


def parse_size(text: str, option: str) -> int:
    """Read a size such as 256MiB (or 1.5GB, 4096) in bytes. Raises UsageError naming the option."""
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([KMGT]?)(i?)B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"{option} {text!r} is not a size", 'write it like "2GiB" or "512MB"')
    unit = 1024 if match[3] else 1000
    return int(float(match[1]) * unit ** " KMGT".index(match[2].upper() or " "))
