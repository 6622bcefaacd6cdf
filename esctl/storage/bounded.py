"""The bound of the cache: mirrors that are too large together lose their least recently used files."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path

from esctl.errors import UsageError

VARIABLE = "ESCTL_CACHE_SIZE"
MOST = 10 << 30
"""Bytes that all mirrors of a user may take, unless the variable says otherwise."""
_ABANDONED = 86_400.0
"""Seconds after which a temporary file in a mirror counts as left behind."""
UNUSED = 3600.0
"""Seconds after its last use for which a file stays even beyond the bound: somebody may be reading it."""
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def size_limit() -> int:
    """Return how many bytes the mirrors may take. Raises UsageError if the variable is not a size."""
    given = os.environ.get(VARIABLE, "")
    if not given:
        return MOST
    found = re.fullmatch(r"(\d{1,15}) ?([kmgt]?)i?b?", given.strip().lower(), re.ASCII)
    if found is None:
        raise UsageError(f"{VARIABLE} is {given!r}, which is no size", 'write it like "20GiB"')
    return int(found[1]) * _UNITS[found[2]]


def shrink(mirrors: Path, bound: int) -> None:
    """Remove the least recently used files from mirrors, until these take at most `bound` bytes.

    The time of a file's list of ranges (`kept.py`) is that of its last use.
    """
    _remove_abandoned(mirrors)
    found: list[tuple[float, int, Path, Path]] = []
    for kept in mirrors.glob("*/kept"):
        for folder, _, names in os.walk(kept):
            for name in names:
                path = Path(folder) / name
                file = kept.parent / "store" / path.relative_to(kept)
                with suppress(FileNotFoundError):
                    found.append((path.stat().st_mtime, file.stat().st_blocks * 512, path, file))
    total = sum(size for _, size, _, _ in found)
    horizon = time.time() - UNUSED
    for used, size, path, file in sorted(found):
        if total <= bound or used > horizon:
            return
        for each in (path, file):  # the list first: what it does not name is fetched again
            with suppress(OSError):
                each.unlink()
        total -= size


def _remove_abandoned(mirrors: Path) -> None:
    horizon = time.time() - _ABANDONED
    for path in mirrors.glob("*/store/**/.tmp-*"):
        with suppress(OSError):
            if path.lstat().st_mtime < horizon:
                path.unlink()
