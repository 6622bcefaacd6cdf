"""A PostgreSQL server of the tests' own, from the distribution's programs, at a socket in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

USER = "tester"
_RAN_AS = "nobody"  # the server refuses to be root's


def programs() -> Path | None:
    """Find the server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    there = shutil.which("postgres")
    return found[-1].parent if found else Path(there).parent if there else None


def why_not() -> str:
    """Return why there is no server to test with; empty where there is one."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed"
    return "" if programs() is not None else "PostgreSQL is not installed"


class Server:
    """A server in a folder of its own, which can be stopped, copied and put back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._who: dict[str, str] = {}
        if os.geteuid() == 0:
            self._who = {"user": _RAN_AS, "group": "nogroup"}
            shutil.chown(folder, _RAN_AS)
        self._run("initdb", "-D", folder / "data", "-U", USER, "-A", "trust", "-E", "UTF8", "-N")

    @property
    def end(self) -> str:
        """Return the end of an address, to stand behind `postgres://USER@/postgres/TABLE`."""
        return f"?host={self.folder}"

    def start(self, **settings: object) -> None:
        given = {"listen_addresses": "", "unix_socket_directories": self.folder, **settings}
        options = "-F " + " ".join(f"-c {name}={value}" for name, value in given.items())
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self, how: str = "immediate") -> None:
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", how, "stop")

    def keep(self) -> None:
        """Copy the data of a server that is stopped."""
        shutil.copytree(self.folder / "data", self.folder / "kept", symlinks=True, dirs_exist_ok=True)
        self._own(self.folder / "kept")

    def put_back(self) -> None:
        """Put the copy in the place of the data of a server that is stopped."""
        shutil.rmtree(self.folder / "data")
        shutil.copytree(self.folder / "kept", self.folder / "data", symlinks=True)
        self._own(self.folder / "data")

    def _own(self, folder: Path) -> None:
        folder.chmod(0o700)
        for each in (folder, *folder.rglob("*")) if self._who else ():
            shutil.chown(each, self._who["user"], self._who["group"])

    def _run(self, program: str, *arguments: object) -> None:
        found = programs()
        assert found is not None
        env = {"LC_ALL": "C", "PATH": os.environ["PATH"]}
        command = [str(found / program), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, env=env, **self._who)  # type: ignore[call-overload]


LOGICAL = {"wal_level": "logical", "max_wal_senders": 10, "max_replication_slots": 10}
"""Settings of a server whose changes can be followed."""


@contextmanager
def running(**settings: object) -> Iterator[Server]:
    """Run a server of the test's own."""
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        made = Server(Path(name))
        made.start(**settings)
        try:
            yield made
        finally:
            with suppress(subprocess.CalledProcessError):  # it may be stopped already
                made.stop()


@contextmanager
def server() -> Iterator[str]:
    """Run a server; yield the end of an address, to stand behind `postgres://USER@/postgres/TABLE`."""
    with running() as made:
        yield made.end
