"""Sizes of memory and records, and spans of time, as options write them."""

from __future__ import annotations

import re

from esctl.errors import UsageError

_LARGEST = 10**15
"""Bytes that no machine has; a little more than this and DuckDB, or the bounds on a process, take none."""
_LONGEST = 10**8
"""Seconds, three years; no lock or timer waits for much longer."""


def parse_size(text: str, option: str) -> int:
    """Read a size such as 256MiB (or 1.5GB, 4096) in bytes. Raises UsageError naming the option."""
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([KMGT]?)(i?)B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"{option} {text!r} is not a size", 'write it like "2GiB" or "512MB"')
    unit = 1024 if match[3] else 1000
    size = int(float(match[1]) * unit ** " KMGT".index(match[2].upper() or " "))
    if size > _LARGEST:
        raise UsageError(f"{option} {text!r} is more than any machine has", "give less than 900TiB")
    return size


def check_seconds(seconds: float, option: str = "--timeout") -> None:
    """Raise UsageError, naming the option, if nothing can be given that many seconds."""
    if not 0 < seconds <= _LONGEST:
        raise UsageError(f"{option} {seconds:g} is no time to wait", f"give more than 0 seconds, at most {_LONGEST:,}")
