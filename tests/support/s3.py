"""An object store that speaks S3, on loopback, where `make interop` has built it: versitygw over a folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO, cast

import pytest

from tests.support.clouds import amazon

BINARY = Path(__file__).parents[2] / "build" / "s3"
needs_objects = pytest.mark.skipif(not BINARY.exists(), reason="no object store is built: make interop (needs Go)")
KEY, SECRET = "an-access-key", "a-secret-of-tests"
_SECONDS = 30
_numbers = count(1)


class ObjectServer:
    """A server in a process of its own, which ends with this object's `stop`, or with the test run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = ""
        self.start()

    def start(self) -> None:
        """Start it; where it was started before, on the same port."""
        port = self.address.rpartition(":")[2] or "0"
        command = [str(BINARY), "-data", str(self._folder), "-port", port]
        account = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | account,
        )
        out = cast(IO[str], self._process.stdout)
        told = next((line.strip() for line in out if line.startswith("http://")), "")
        assert told, "the object store did not start"
        self.address = told

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            cast(IO[str], pipe).close()

    def bucket(self, name: str = "") -> str:
        """Make a bucket; return its name."""
        name = name or f"bucket{next(_numbers)}"
        (self._folder / "buckets" / name).mkdir()
        return name

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of the environment by which clients find it."""
        return amazon(self.address, KEY, SECRET)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """Run a server for all tests; each makes a bucket of its own there."""
    server = ObjectServer(tmp_path_factory.mktemp("objects"))
    yield server
    server.stop()
