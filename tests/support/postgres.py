"""A PostgreSQL server of the tests' own, from the distribution's programs, at a socket in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def server() -> Iterator[str]:
    """Run a server; yield the end of an address, to stand behind `postgres://USER@/postgres/TABLE`."""
    found = programs()
    assert found is not None
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder = Path(name)
        who: dict[str, str] = {}
        if os.geteuid() == 0:
            who = {"user": _RAN_AS, "group": "nogroup"}
            shutil.chown(folder, _RAN_AS)
        plain = {"LC_ALL": "C", "PATH": os.environ["PATH"]}
        made = [found / "initdb", "-D", folder / "data", "-U", USER, "-A", "trust", "-E", "UTF8", "-N"]
        subprocess.run(made, check=True, capture_output=True, env=plain, **who)  # type: ignore[call-overload]
        options = f"-F -c listen_addresses= -c unix_socket_directories={folder}"
        control = [found / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log"]
        subprocess.run([*control, "-o", options, "start"], check=True, capture_output=True, env=plain, **who)  # type: ignore[call-overload]
        try:
            yield f"?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, env=plain, **who)  # type: ignore[call-overload]
