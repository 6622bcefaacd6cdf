"""Run a user's SELECT in a process of its own, which is killed at its deadline (see `esctl.engine.sandbox`)."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from msgspec import Struct, to_builtins

import esctl
from esctl.engine.duckdb import EVENT_ERROR, Session, explain
from esctl.engine.quoting import literal
from esctl.engine.sandbox import FAILED, Request
from esctl.engine.sizes import check_seconds, parse_size
from esctl.errors import EsctlError, InputError, UsageError
from esctl.model import Column

_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
_LEAST_MEMORY = 64 << 20


class Limits(Struct, frozen=True):
    """How much a query may take: memory ("2GiB"; None: half of the machine's), seconds, and the most rows."""

    memory: str | None = None
    seconds: float = 60
    rows: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError if no query can be given that many seconds."""
        check_seconds(self.seconds)

    @property
    def bytes(self) -> int:
        """Return the memory in bytes, 64 MiB at least. Raises UsageError if `memory` is not a size."""
        if self.memory is None:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        return max(parse_size(self.memory, "--memory-limit"), _LEAST_MEMORY)


class Result(Struct, frozen=True):
    """The rows of a query: SQL that gives them, on the session that asked."""

    sql: str
    columns: tuple[Column, ...]


class Sandbox:
    """A child process that waits for one query. Start it early: it loads what it needs meanwhile."""

    def __init__(self) -> None:
        here = str(Path(esctl.__file__).parent.parent)
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "esctl.engine.sandbox"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, "PYTHONPATH": here},
        )
        self._late = False

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):
                if stream is not None:
                    stream.close()

    def run(self, session: Session, setup: Sequence[str], query: str, paths: Sequence[str], limits: Limits) -> Result:
        """Run a query to its end and return its rows; a query that fails midway gives none.

        Raises UsageError with DuckDB's message if it fails, InputError if it exceeds a limit.
        """
        seconds = max(1, int(limits.seconds * (os.cpu_count() or 1)) + 1)
        request = Request(tuple(setup), query, tuple(paths), limits.bytes, seconds, limits.rows)
        spool = session.folder / f"{secrets.token_hex(8)}.parquet"
        deadline = threading.Timer(limits.seconds, self._kill)
        deadline.start()
        try:
            report = self._exchange(request, spool)
        finally:
            deadline.cancel()
        code = self._process.wait()
        if code != 0:
            raise self._error_of(code, report, limits)
        columns = tuple(Column(name, kind) for name, kind in json.loads(report))
        return Result(f"SELECT * FROM read_parquet({literal(str(spool))})", columns)

    def _exchange(self, request: Request, spool: Path) -> str:
        """Send the request and store the rows that come; return what the child wrote to stderr."""
        process = self._process
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("all three are pipes")
        with suppress(BrokenPipeError), process.stdin as stream:
            stream.write(json.dumps(to_builtins(request)).encode())
        with spool.open("wb") as file:
            shutil.copyfileobj(process.stdout, file, 1 << 20)
        return process.stderr.read().decode("utf-8", "replace")

    def _kill(self) -> None:
        self._late = True
        self._process.kill()

    def _error_of(self, code: int, report: str, limits: Limits) -> EsctlError:
        if self._late or code == -signal.SIGXCPU:
            return InputError(
                f"the query did not finish in {limits.seconds:g} seconds",
                "give it more with --timeout SECONDS, or ask for less",
            )
        if code == FAILED and report.startswith("{"):
            return _query_error(json.loads(report))
        if code < 0 or "MemoryError" in report:
            return InputError("the query needs more memory than it may take", _MORE_MEMORY)
        return EsctlError(f"the query's process ended with {code}: {' '.join(report.splitlines()[-1:])}")


_MORE_MEMORY = "give more with --memory-limit SIZE, or ask for less"


def _query_error(report: dict[str, str]) -> EsctlError:
    text = report["text"]
    first_line = text.splitlines()[0] if text else report["type"]
    if EVENT_ERROR in text:
        return explain(RuntimeError(text))
    if report["type"] in ("OutOfMemoryException", "MemoryError") or "bad_alloc" in text or "Out of Memory" in text:
        return InputError("the query needs more memory than it may take", _MORE_MEMORY)
    if report["type"] == "PermissionException":
        return UsageError("the query reaches for a file", "it can read only events, entities, types and projections")
    return UsageError(f"the query fails: {first_line}", _suggestion(text))


def _suggestion(text: str) -> str:
    lines = [line.strip() for line in text.splitlines()[1:]]
    candidate = next((line for line in lines if re.match(r"(Candidate.*:|Did you mean) \S", line)), "")
    if re.search(r"given name and argument types '[^']*\bJSON\b", text):
        return "what stands in an object or a list is JSON: say as what, (data.a.b)::decimal(18,2), (data.a.b)::varchar"
    return candidate or "see the columns with: esctl sql 'describe events'"
