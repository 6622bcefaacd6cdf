"""Remove what interrupted writers left in a store."""

from __future__ import annotations

import re
from contextlib import suppress

from esctl.log.commits import CommitLog, old_heads
from esctl.log.segments import unnamed
from esctl.log.store_state import SEGMENT_NAME, StoreState
from esctl.storage.local import TEMPORARY, Filesystem, entries

_UNFINISHED = re.compile(re.escape(TEMPORARY) + r"(?:summary-)?(\d{20})[-.].*", re.ASCII)


def sweep(log: CommitLog, files: Filesystem) -> StoreState:
    """Remove what interrupted writers left: temporary files, and segments at positions that others have taken since.

    A segment that no commit names but that starts after the head may be about to be committed, so it stays. Gives the
    store as it was then.
    """
    names = {folder: entries(log.path / folder) for folder in ("log", "commits", ".")}
    snapshot = log.read()  # after the listing: what this does not name, no commit will
    left = unnamed(snapshot.segments, names["log"]) | {name for name in names["log"] if _UNFINISHED.fullmatch(name)}
    stale = [
        log.path / "log" / name
        for name in sorted(left)
        if (found := SEGMENT_NAME.fullmatch(name) or _UNFINISHED.fullmatch(name)) and int(found[1]) <= snapshot.head
    ]
    stale += [
        log.path / "commits" / name
        for name in names["commits"]
        if (found := _UNFINISHED.fullmatch(name)) and int(found[1]) <= snapshot.seq
    ]
    stale += [log.path / "commits" / name for name in old_heads(names["commits"])]
    stale += [log.path / name for name in names["."] if name.startswith(TEMPORARY)]
    for path in stale:
        with suppress(OSError):
            files.unlink(path)
    return snapshot
