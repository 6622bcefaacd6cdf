"""Run esctl in processes that are forked from one with everything imported: real ones, that start at once.

`python warm.py`, its standard input a socket, is that one process; `Warm` the way to it. `python warm.py SOCKET` is one
for shells, which run `warm_client.py SOCKET` as they would run esctl.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from msgspec import Struct
from msgspec.json import Decoder

_FIRST = """
    COPY (SELECT range AS n, 'a-' || range AS entity, {{'n': range}}::JSON AS data FROM range(3)) TO {0};
    SELECT '{{"entity":' || to_json(entity)::VARCHAR || '}}', sum(TRY_CAST(data->>'n' AS DECIMAL(38,9))),
        arg_max(data, n) FROM read_parquet([{0}]) WHERE n > 0 AND regexp_matches(entity, '^a') GROUP BY ALL ORDER BY 1
"""
"""Queries that have DuckDB make what it makes once: its grammar, the functions that most queries have."""
_LENGTH, _CODE = struct.Struct("!I"), struct.Struct("!i")


class Warm:
    """The process to fork from, started when it is first asked for."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, arguments: Sequence[str], cwd: Path, stdin: bytes, env: Mapping[str, str]
    ) -> tuple[int, bytes, bytes]:
        """Run esctl; gives exit code (negative: the signal that ended it), stdout and stderr."""
        if self._socket is None:
            self._socket, there = socket.socketpair()
            with there:
                self._process = subprocess.Popen(self._command, stdin=there, env=dict(env))
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(stdin)
            given.seek(0)
            asked = json.dumps([list(arguments), str(cwd), dict(env)]).encode()
            files = [given.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(self._socket, [_LENGTH.pack(len(asked))], files)  # files travel with the first bytes
            self._socket.sendall(asked)
            (code,) = _CODE.unpack(self._socket.recv(_CODE.size, socket.MSG_WAITALL))
            out.seek(0)
            err.seek(0)
            return code, out.read(), err.read()


def serve() -> None:
    """Fork a process for each request, until there is nobody to ask."""
    _load()
    with socket.socket(fileno=os.dup(0)) as asking:
        while _answer(asking):
            pass


def listen(place: str) -> None:
    """Fork a process for each connection, many at a time, until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        _load()
        watched = select.poll()
        for each in (0, listening.fileno()):
            watched.register(each, select.POLLIN | select.POLLHUP)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while 0 not in dict(watched.poll()):
            asking, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(asking)
                os._exit(0)
            asking.close()


class _Opened:
    """DuckDB, opened without the threads that a fork would lose: they begin when it is used."""

    def __init__(self) -> None:
        import _duckdb

        from esctl.engine.duckdb import CONFIG
        from esctl.engine.quoting import literal

        self.connection = _duckdb.connect(config={**CONFIG, "threads": "1", "async_threads": "0"})
        with tempfile.TemporaryDirectory() as folder:
            self.connection.execute(_FIRST.format(literal(f"{folder}/first.parquet"))).fetchall()

    def join(self) -> None:
        self.connection.execute("RESET threads; RESET async_threads")


def _load() -> None:
    import rich.console
    import rich.table  # noqa: F401
    import sqlglot.dialects.duckdb  # noqa: F401

    import reliability.loaded  # noqa: F401
    from esctl.engine import duckdb
    from esctl.index.envelope.detect import detect

    _make_once()
    detect([{"id": 1, "type": "T", "time": "2024-01-01T00:00:00Z", "stream": "a-1"}])  # compiles most patterns
    duckdb._openings[:] = [_Opened()]  # type: ignore[list-item]
    gc.collect()
    gc.freeze()  # a process that is forked looks for no garbage in what is here, which would copy it


def _make_once() -> None:
    """Make what each process would make: the commands and their options, and what decodes JSON into Structs."""
    from esctl.cli import app

    app.load_command, app.build = cache(app.load_command), cache(app.build)
    for name in app.COMMANDS:
        app.build().get_command(None, name)
    structs = [Struct]
    for each in structs:
        structs += each.__subclasses__()
        if each.__module__.startswith("esctl."):
            with suppress(TypeError, NameError):  # what is never read from JSON
                Decoder(each)


def _answer(asking: socket.socket) -> bool:
    """Run what is asked for in a process of its own, and answer with its exit code; False where nobody asks."""
    length, files, _, _ = socket.recv_fds(asking, _LENGTH.size, 3, socket.MSG_WAITALL)
    if not length:
        return False
    asked = asking.recv(*_LENGTH.unpack(length), socket.MSG_WAITALL)
    child = os.fork()
    if child == 0:
        asking.close()
        _become(files, *json.loads(asked))
    for file in files:
        os.close(file)
    asking.sendall(_CODE.pack(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
    return True


def _become(files: Sequence[int], arguments: list[str], cwd: str, env: dict[str, str]) -> None:
    from esctl.cli.app import main

    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = ["esctl", *arguments]
    main()


if __name__ == "__main__":
    if sys.argv[1:]:
        listen(sys.argv[1])
    else:
        serve()
