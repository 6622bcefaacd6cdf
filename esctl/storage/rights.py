"""Keep a store as private as its sources: whoever may not read a source may not read its records either."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

from esctl.errors import InputError

_GROUP, _OTHERS = 0o070, 0o007


def withheld_bits(sources: Iterable[os.stat_result], group: int) -> int:
    """Return the mode bits that a store of this group must not have, because its sources do not give these rights."""
    bits = 0
    for source in sources:
        by_others = bool(source.st_mode & stat.S_IROTH)
        by_group = bool(source.st_mode & stat.S_IRGRP) and (by_others or source.st_gid == group)
        bits |= (0 if by_others else _OTHERS) | (0 if by_group else _GROUP)
    return bits


def source_stats(paths: Iterable[Path | None]) -> list[os.stat_result]:
    """Return the status of those sources (None: stdin) that are existing files: a pipe has no rights of its own."""
    found = []
    for path in paths:
        try:
            about = os.fstat(0) if path is None else path.stat()
        except OSError:
            continue
        if stat.S_ISREG(about.st_mode):
            found.append(about)
    return found


def narrow(store: Path, sources: Iterable[os.stat_result]) -> bool:
    """Take from a store the rights that its new sources do not give; return whether there were any.

    Raises InputError if the store cannot be changed, being somebody else's.
    """
    about = store.stat()
    bits = withheld_bits(sources, about.st_gid)
    if not bits & about.st_mode:
        return False
    try:
        for folder, _, names in os.walk(store):  # follows no link, and begins with the folder that closes off the rest
            for path in (Path(folder), *(Path(folder) / name for name in names)):
                mode = path.lstat().st_mode
                if mode & bits and not stat.S_ISLNK(mode):
                    path.chmod(stat.S_IMODE(mode) & ~bits)
    except OSError as error:
        raise InputError(
            f"{store} can be read by more than may read the source: {error.strerror or error}",
            f"have its owner run: chmod -R go-rwx {shlex.quote(str(store))}",
        ) from error
    return True
