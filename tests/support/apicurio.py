"""Apicurio Registry on loopback, where `make apicurio` has fetched it: a registry with Confluent's interface."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.java import SMALL, Server, free_ports

FOLDER = Path(__file__).parents[2] / "build" / "apicurio"
_SECONDS = 10


class Apicurio:
    """A registry in a process of its own; its schemas outlive a kill, in files."""

    def __init__(self) -> None:
        (port,) = free_ports(1)
        self.root = f"http://127.0.0.1:{port}"
        self.url = f"{self.root}/apis/ccompat/v7"
        own = ("-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}", "-Dquarkus.log.level=WARN")
        (program,) = FOLDER.glob("*-runner.jar")
        self._server = Server("Apicurio", ["-Xmx256m", *SMALL, *own, "-jar", str(program)], self._answers)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._server.start({"REGISTRY_DATASOURCE_URL": f"jdbc:h2:file:{self._server.folder}/registry"})

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/subjects", timeout=_SECONDS) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def kill(self) -> None:
        """End it as a crash does."""
        self._server.kill()

    def stop(self) -> None:
        """End it, and remove its folder."""
        self._server.stop()


def is_there() -> bool:
    """Return whether Apicurio was fetched and can be run."""
    return FOLDER.is_dir() and shutil.which("java") is not None and os.name == "posix"
