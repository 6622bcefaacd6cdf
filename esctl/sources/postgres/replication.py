"""A replication connection to a PostgreSQL server: commands in, the messages of a slot out, confirmations back."""

from __future__ import annotations

import select
import struct
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.errors import InputError, UsageError
from esctl.sources.postgres.pgoutput import EPOCH_MICROSECONDS

if TYPE_CHECKING:
    import psycopg

CONFIRM_SECONDS = 10.0
"""The longest time between two status updates to the server: well below its `wal_sender_timeout`."""
_HINT = "look at the address, and at what the server's own log says"


class Streamed(Struct, frozen=True):
    """A message of the slot's plugin."""

    data: bytes


class Alive(Struct, frozen=True):
    """The server's message that its log ends at `end`, and that everything before that was sent."""

    end: int


class ServerError(InputError):
    """Report what a server refused; `state` is the SQLSTATE, or "" if the connection was lost."""

    def __init__(self, message: str, hint: str = "", state: str = "") -> None:
        super().__init__(message, hint)
        self.state = state


def quote_name(name: str) -> str:
    """Quote a name for a replication command."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Quote a text for a replication command, where a doubled quote is the only escape."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def explaining(where: str) -> Iterator[None]:
    """Turn errors of the database into ours, without the address, which may lead to a password."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _explain(error, where) from error


def _explain(error: psycopg.Error, where: str) -> ServerError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0].removeprefix("connection failed: ") if lines else "it cannot be reached"
    return ServerError(f"{where}: {reason}", _HINT, error.sqlstate or "")


def connect(conninfo: str, where: str, **more: Any) -> psycopg.Connection[Any]:
    """Open a connection. Raises UsageError if psycopg is missing, ServerError if it cannot connect."""
    try:
        import psycopg
    except ImportError:
        raise UsageError("postgres://... needs psycopg", "pip install 'esctl-audit[postgres]'") from None
    with explaining(where):
        return psycopg.connect(conninfo, autocommit=True, application_name="esctl", client_encoding="UTF8", **more)


class Replication:
    """A connection that answers simple commands until it starts to stream.

    Only a connection `for_replication` can create slots or stream them.
    """

    def __init__(self, conninfo: str, where: str, *, for_replication: bool = True) -> None:
        self._where = where
        self._connection = connect(conninfo, where, **{"replication": "database"} if for_replication else {})
        self._confirmed = 0
        self._lock = threading.Lock()  # libpq takes one thread at a time
        self._over = threading.Event()
        self.streaming = False
        if self._connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            # Its texts may have any encoding, and the server would refuse, for good, to send those that are not UTF-8.
            self.ask("SET client_encoding TO SQL_ASCII")

    def close(self) -> None:
        """Disconnect. The server sends again, in the next session, what was not confirmed."""
        self._over.set()
        with self._lock:
            self.streaming = False
            self._connection.close()

    def ask(self, command: str) -> list[dict[str, str | None]]:
        """Run a command; return its rows, each by name of column. Raises ServerError if it is refused."""
        result = self._exec(command)
        names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
        return [
            {name: _decode(result.get_value(row, column)) for column, name in enumerate(names)}
            for row in range(result.ntuples)
        ]

    def copy_out(self, command: str) -> Iterator[bytes]:
        """Run a COPY ... TO STDOUT, and yield its rows as they come."""
        self._exec(command)
        pgconn = self._connection.pgconn
        with explaining(self._where):
            while True:
                size, data = pgconn.get_copy_data(0)
                if size < 0:
                    break
                yield bytes(data)
            while (result := pgconn.get_result()) is not None:
                if result.error_message:
                    raise self._refusal(result)

    @property
    def version(self) -> int:
        """Return the server's version as a number, such as 150020."""
        return self._connection.info.server_version

    def start(self, slot: str, publications: Sequence[str], confirmed: int) -> None:
        """Begin to stream a slot from where it was confirmed. Raises ServerError if that is refused.

        From here on a thread sends the server status updates, even while nobody receives.
        """
        listed = quote_text(",".join(map(quote_name, publications)))
        messages = self.version >= 140000
        options = f"proto_version '1', publication_names {listed}" + ", messages 'true'" * messages
        self._exec(f"START_REPLICATION SLOT {quote_name(slot)} LOGICAL 0/0 ({options})")
        self._confirmed, self.streaming = confirmed, True
        arguments = (self._over, weakref.ref(self))
        threading.Thread(target=_keep_alive, args=arguments, name="keeping a slot", daemon=True).start()

    def receive(self, seconds: float) -> Streamed | Alive | None:
        """Return the next message, or None if none comes within some seconds. Raises ServerError, InputError."""
        import psycopg

        pgconn = self._connection.pgconn
        try:
            while True:
                with self._lock:
                    size, data = pgconn.get_copy_data(1)
                    if size > 0:
                        return self._parse_received(bytes(data))
                if size < 0:
                    raise self._end_error()
                if not _wait(pgconn.socket, seconds, select.POLLIN):
                    return None
                with self._lock:
                    pgconn.consume_input()
        except psycopg.Error as error:
            raise _explain(error, self._where) from error

    def confirm(self, end: int) -> None:
        """Tell the server that everything before `end` is kept, and need not be sent again."""
        if end > self._confirmed:
            self._confirmed = end
            with explaining(self._where), self._lock:
                self._send_status()

    def ping(self) -> None:
        """Ask the server where its log ends; it answers with Alive."""
        with explaining(self._where), self._lock:
            self._send_status(answer=True)

    def tell_alive(self) -> None:
        """Tell the server that we are alive; if that fails, the next `receive` raises."""
        with suppress(InputError), explaining(self._where), self._lock:
            if self.streaming:
                self._send_status()

    def _parse_received(self, data: bytes) -> Streamed | Alive:
        kind = data[:1]
        if kind == b"w" and len(data) >= 25:
            return Streamed(data[25:])
        if kind == b"k" and len(data) == 18:
            end, _, answer = struct.unpack(">QqB", data[1:])
            if answer:
                self._send_status()
            return Alive(end)
        raise InputError(f"{self._where}: the server sent {len(data)} bytes that are no message of replication", _HINT)

    def _send_status(self, *, answer: bool = False) -> None:
        """Send a standby status update: written, flushed and applied up to what is confirmed."""
        now = time.time_ns() // 1000 - EPOCH_MICROSECONDS
        places = (self._confirmed, self._confirmed, self._confirmed)
        pgconn = self._connection.pgconn
        pgconn.put_copy_data(struct.pack(">cQQQqB", b"r", *places, now, answer))
        while pgconn.flush():
            _wait(pgconn.socket, CONFIRM_SECONDS, select.POLLIN | select.POLLOUT)
            pgconn.consume_input()

    def _exec(self, command: str) -> Any:
        from psycopg.pq import ExecStatus

        with explaining(self._where):
            result = self._connection.pgconn.exec_(command.encode())
        fine = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)
        if result.status not in fine:
            raise self._refusal(result)
        return result

    def _refusal(self, result: Any) -> ServerError:
        from psycopg.pq import DiagnosticField

        state = _decode(result.error_field(DiagnosticField.SQLSTATE)) or ""
        reason = _decode(result.error_field(DiagnosticField.MESSAGE_PRIMARY)) or "the connection was lost"
        return ServerError(f"{self._where}: {reason}", _HINT, state)

    def _end_error(self) -> ServerError:
        """Return the error that says why the server stopped streaming."""
        self.streaming = False
        result = self._connection.pgconn.get_result()
        if result is None or not result.error_message:
            return ServerError(f"{self._where}: the server ended the stream", _HINT)
        return self._refusal(result)


def _keep_alive(over: threading.Event, connection: weakref.ref[Replication]) -> None:
    """Tell a server now and then that we are alive, as long as anybody holds the connection."""
    while not over.wait(CONFIRM_SECONDS):
        held = connection()
        if held is None:
            return
        held.tell_alive()
        del held


def _decode(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _wait(socket: int, seconds: float, events: int) -> bool:
    """Return whether a socket is ready within some seconds; with poll(), as select() takes no number above 1023."""
    waiting = select.poll()
    waiting.register(socket, events)
    return bool(waiting.poll(seconds * 1000))
