"""Answer questions in a separate process, which is killed if one takes too long."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins

import esctl
from esctl.assistants.answers import Reply, failure
from esctl.engine.sizes import check_seconds
from esctl.errors import InputError

_LATE_HINT = "ask for less; or where the index of the store is behind, bring it up to date: esctl status"
_GRACE_SECONDS = 1.0
"""Seconds that a question with its own time-out gets to report it."""


class Opening(Struct, frozen=True):
    """How the store is opened."""

    store: str
    config: str | None
    memory_limit: str | None
    tz: str


class Questions:
    """Answers one question at a time. The process starts with the first, and again after it was killed.

    Raises UsageError if nothing can be answered in that many `seconds`.
    """

    def __init__(self, opening: Opening, seconds: float) -> None:
        check_seconds(seconds)
        self._opening = opening
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch = ""  # temporary files of the process, which has no time to remove them
        self._turn = threading.Lock()
        self._late = False

    def ask(self, tool: str, arguments: Mapping[str, Any]) -> Reply:
        """Return the answer, or an error if there was none in time."""
        with self._turn:
            self._late = False
            process = self._process or self._begin()
            timer = threading.Timer(self._seconds + _GRACE_SECONDS, self._end_late)
            timer.start()
            try:
                request = {"tool": tool, "arguments": dict(arguments), "seconds": self._seconds}
                line = _exchange(process, request)
            finally:
                timer.cancel()
            if line.endswith(b"\n"):
                reply = json.loads(line)
                return Reply(tuple(reply["texts"]), reply["failed"])
            self._discard()
            if self._late:
                return failure(InputError(f"there was no answer in {self._seconds:g} seconds", _LATE_HINT))
            return failure(InputError("the question's process ended", "ask for less, or give more --memory-limit"))

    def close(self) -> None:
        """Kill the process and its children; whoever waits for an answer gets an error."""
        self._end()
        with self._turn:
            self._discard()

    def _end(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _end_late(self) -> None:
        self._late = True
        self._end()

    def _discard(self) -> None:
        self._end()
        process, self._process = self._process, None
        if process is None:
            return
        process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()

    def _begin(self) -> subprocess.Popen[bytes]:
        here = str(Path(esctl.__file__).parent.parent)
        self._scratch = tempfile.mkdtemp(prefix="esctl-mcp-")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "esctl.assistants.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "PYTHONPATH": here, "TMPDIR": self._scratch},
        )  # fmt: skip
        _exchange(self._process, {**to_builtins(self._opening), "scratch": self._scratch})
        return self._process


def _exchange(process: subprocess.Popen[bytes], request: object) -> bytes:
    _send(process, request)
    return process.stdout.readline() if process.stdout is not None else b""


def _send(process: subprocess.Popen[bytes], message: object) -> None:
    if process.stdin is not None:
        with suppress(OSError):  # the process has ended, which the missing reply shows
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
