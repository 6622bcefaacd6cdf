"""Servers in Java on loopback, each in a process and a folder of its own."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SECONDS = 120
SMALL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""What makes a server start soon and stay small."""


class Server:
    """A server that is started, killed and started again over the folder that it has; it ends with the test run."""

    def __init__(self, name: str, command: Sequence[str], answers: Callable[[], bool]) -> None:
        self.name, self.command, self._answers = name, command, answers
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="esctl-java-", dir=memory))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["java", *self.command], env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_end_with_us,
            )  # fmt: skip
        until = time.monotonic() + SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.name} did not start:\n{(self.folder / 'log').read_text()[-3000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(SECONDS)

    def stop(self) -> None:
        """End it, and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _end_with_us() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # whatever becomes of the tests, nothing stays


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens at."""
    with _bound(count) as found:
        return [each.getsockname()[1] for each in found]


@contextmanager
def _bound(count: int) -> Iterator[list[socket.socket]]:
    found = [socket.socket() for _ in range(count)]
    try:
        for each in found:
            each.bind(("127.0.0.1", 0))
        yield found
    finally:
        for each in found:
            each.close()
