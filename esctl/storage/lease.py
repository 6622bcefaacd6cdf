"""The lease of a store that is kept elsewhere: an object that says who is writing, so that others wait.

The lease is advisory: what protects the log is that a commit can be made only once. A lease that is not renewed for a
minute, by the clock of the store's own place, is taken over; so is one that this machine left behind, because the taker
holds the machine's lock.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from contextlib import suppress

from esctl.errors import EsctlError
from esctl.storage.protocol import ConflictError, Depot, clock

NAME = "lock"
SECONDS = 60.0
"""How long a lease holds without being renewed."""
RENEWED = 15.0
_LARGEST = 1 << 16
_WAIT = 0.25
_PATIENCE = 10.0
"""Seconds that `release` waits for the answer to a renewal, of a service that has no versions of objects."""


class Lease:
    """The lease of one store, from `acquire` to `release`."""

    def __init__(self, depot: Depot, mirror: str) -> None:
        self._depot = depot
        about = {"process": os.getpid(), "host": platform.node(), "mirror": mirror}
        self._text = json.dumps(about | {"lease": secrets.token_hex(8)}).encode()
        self._host = (about["host"], about["mirror"])
        self._tag = ""
        self._ended = threading.Event()
        self._renewer: threading.Thread | None = None

    def acquire(self, timeout: float) -> str:
        """Take the lease and return an empty text, or return who still holds it after `timeout` seconds."""
        until = time.monotonic() + timeout
        while holder := self._try_to_take():
            if time.monotonic() >= until:
                return holder
            time.sleep(_WAIT)
        self._renewer = threading.Thread(target=self._renew, daemon=True, name="lease")
        self._renewer.start()
        return ""

    def release(self) -> None:
        """Give the lease back, unless another has taken it over."""
        self._ended.set()
        if self._renewer:
            # It may be waiting for an answer. Without versions, what it writes could make the lease again.
            self._renewer.join(_WAIT if self._tag else _PATIENCE)
        with suppress(OSError, EsctlError):
            held = self._depot.get(NAME, _LARGEST)
            if held is not None and held[0] == self._text:
                self._depot.delete(NAME)

    def _try_to_take(self) -> str:
        try:
            self._tag = self._depot.create(NAME, self._text)
        except ConflictError:
            return self._take_over()
        return ""

    def _take_over(self) -> str:
        """Take over an abandoned lease and return an empty text, or return who holds the lease."""
        found = self._depot.head(NAME)
        with suppress(FileNotFoundError):
            held = self._depot.get(NAME, _LARGEST)
            if found is None or held is None:
                return "another process"
            about = _parse(held[0])
            is_own = (about.get("host"), about.get("mirror")) == self._host
            is_copied = not held[0]  # the lock file of a local store that was copied here
            if is_own or is_copied or clock(self._depot) - found.modified > SECONDS:
                with suppress(ConflictError):
                    self._tag = self._depot.replace(NAME, self._text, held[1])
                    return ""
            return f"process {about.get('process', '?')} on {about.get('host', 'another machine')}"
        return "another process"

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED):
            with suppress(OSError, EsctlError):
                try:
                    self._tag = self._depot.replace(NAME, self._text, self._tag or None)
                except ConflictError:
                    return  # it was taken over; commits decide who is first


def _parse(data: bytes) -> dict[str, object]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
