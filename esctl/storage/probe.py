"""Test whether an object store decides which writer is first, by racing writers before anything is kept in it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from esctl.errors import EsctlError, InputError
from esctl.storage.protocol import ConflictError, Depot

RACES = 24
RACERS = 4
_HINT = "keep the store where conditional writes hold: S3, Google Cloud Storage, Azure, or a server that has them"


def probe(depot: Depot, url: str) -> None:
    """Raise InputError, naming what failed, if two writers can both be first in an object store."""
    with ThreadPoolExecutor(RACES) as pool:
        for problem in pool.map(lambda _: _race(depot), range(RACES)):
            if problem:
                raise InputError(f"{url}: {problem}: two writers could lose each other's records there", _HINT)


def _race(depot: Depot) -> str:
    """Let writers race for one name, then for one replacement; return what went wrong, or empty text."""
    name = f"probe-{secrets.token_hex(8)}"
    try:
        if (made := _winners(lambda text: depot.create(name, text))) != 1:
            return f"of {RACERS} writers that create one object (If-None-Match), {made} succeeded"
        found = depot.head(name)
        if found is None:
            return "an object that was just made is not found"
        if (made := _winners(lambda text: depot.replace(name, text, found.tag))) != 1:
            return f"of {RACERS} writers that replace one version of an object (If-Match), {made} succeeded"
        if name not in [each.name for each in depot.list(".")]:
            return "an object that was just made is not listed"
    finally:
        with suppress(OSError, EsctlError):
            depot.delete(name)
    return ""


def _winners(write: Callable[[bytes], object]) -> int:
    def tried(_: int) -> bool:
        try:
            write(secrets.token_bytes(16))
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(RACERS) as pool:
        return sum(pool.map(tried, range(RACERS)))
