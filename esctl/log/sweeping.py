"""Remove what interrupted writers left in a store."""

from __future__ import annotations

import re
from contextlib import suppress

from esctl.log.commits import CommitLog, old_heads
from esctl.log.segments import find_unnamed
from esctl.log.store_state import SEGMENT_NAME, StoreState
from esctl.storage.local import TEMPORARY, Filesystem, entries

_UNFINISHED = re.compile(re.escape(TEMPORARY) + r"(?:summary-)?(\d{20})[-.].*", re.ASCII)


def sweep(log: CommitLog, files: Filesystem) -> StoreState:
    """Remove temporary files, segments that no commit names, and outdated head summaries; return the store state.

    A file for positions or commits after the head may be about to be committed, so it stays.
    """
    names = {folder: entries(log.path / folder) for folder in ("log", "commits", ".")}
    store_state = log.read()  # read after the listing: names that it lacks, no later commit has
    unfinished = {name for name in names["log"] if _UNFINISHED.fullmatch(name)}
    left = find_unnamed(store_state.segments, names["log"]) | unfinished
    stale = [
        log.path / "log" / name
        for name in sorted(left)
        if (found := SEGMENT_NAME.fullmatch(name) or _UNFINISHED.fullmatch(name)) and int(found[1]) <= store_state.head
    ]
    stale += [
        log.path / "commits" / name
        for name in names["commits"]
        if (found := _UNFINISHED.fullmatch(name)) and int(found[1]) <= store_state.seq
    ]
    stale += [log.path / "commits" / name for name in old_heads(names["commits"])]
    stale += [log.path / name for name in names["."] if name.startswith(TEMPORARY)]
    for path in stale:
        with suppress(OSError):
            files.unlink(path)
    return store_state
