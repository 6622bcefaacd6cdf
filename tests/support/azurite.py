"""Azurite, the emulator of Azure's blobs, on loopback, where `make azurite` has installed it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import subprocess
import urllib.request
from email.utils import formatdate
from itertools import count
from pathlib import Path
from typing import IO, cast

import pytest

BINARY = Path(__file__).parents[2] / "build" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
needs_azurite = pytest.mark.skipif(not BINARY.exists(), reason="no Azurite is installed: make azurite (needs npm)")
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Those that every emulator has: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite."""
_SECONDS = 30
_numbers = count(1)


class Azurite:
    """A server in a process of its own, which keeps everything in memory and ends with this object's `stop`."""

    def __init__(self) -> None:
        port = str(_free_port())
        options = ("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
        self._process = subprocess.Popen(
            [str(BINARY), *options, "--blobHost", "127.0.0.1", "--blobPort", port],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert any("listens on" in line for line in cast(IO[str], self._process.stdout)), "Azurite did not start"
        self.address = f"http://127.0.0.1:{port}/{ACCOUNT}"

    @property
    def environment(self) -> dict[str, str]:
        """Return what tells clients where the server is, and its account."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": self.address,
        }

    def container(self) -> str:
        """Make a container; return its name."""
        name = f"container{next(_numbers)}"
        about = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
        told = "\n".join(f"{header}:{value}" for header, value in about.items())
        # A signature of Azure's Shared Key: the method, eleven headers that are not sent, and what is asked for.
        signed = f"PUT{chr(10) * 12}{told}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        made = base64.b64encode(hmac.digest(base64.b64decode(KEY), signed.encode(), hashlib.sha256)).decode()
        headers = {**about, "Authorization": f"SharedKey {ACCOUNT}:{made}"}
        url = f"{self.address}/{name}?restype=container"
        urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers)).close()
        return name

    def stop(self) -> None:
        """End it."""
        self._process.kill()  # asked to end, it waits for clients that keep their connections
        self._process.wait(_SECONDS)
        cast(IO[str], self._process.stdout).close()


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
