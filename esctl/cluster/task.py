"""One task: a question asked of a span of entities, its answer written as a Parquet file.

The worker compiles the question with the same code as the driver. What that looks up in the whole log comes with the
task, so that the SQL is the driver's but for the span.
"""

from __future__ import annotations

import io
import pickle
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.scope.lookups import Lookups, Spooled
from esctl.cluster.joins import rows_sql, stored_items, stored_types, types_of
from esctl.cluster.spans import Span
from esctl.cluster.work import Failure, WorkPart, check_versions
from esctl.engine.duckdb import Session, explained, open_session
from esctl.engine.quoting import literal
from esctl.errors import EsctlError, InputError
from esctl.index.pruning import ALWAYS, Predicate, Reach, all_of
from esctl.projection.partial import FOLD_KEYS
from esctl.storage.places import is_seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from esctl.index.scan import IndexView

T = TypeVar("T")
_NAMES_EVENT = re.compile(r"\bevent @([0-9]{1,18})\b")


class Once(Struct, frozen=True):
    """What the driver found in the whole log, and the code that asked for it."""

    place: str
    value: Any


def lookup_name(compute: Callable[[], Any]) -> str:
    """Return the name of the function that looks something up."""
    function = compute.func if isinstance(compute, partial) else compute
    return f"{function.__module__}.{function.__qualname__}"


class Pieces(Struct, frozen=True):
    """The files of the partial states of pieces, by number of the span; a span that is missing here is not cut."""

    files: Mapping[int, tuple[Path, ...]] = {}


class Parted(Struct, frozen=True):
    """The files of stepped rows, one for each span."""

    parts: tuple[Spooled, ...]


Entry = Once | Parted | Pieces


class Task(Struct, frozen=True):
    """A question for one span. `question` is a function and its arguments, pickled by `cluster.question`."""

    number: int
    question: bytes
    views: tuple[IndexView, ...]
    found: tuple[tuple[Entry, ...], ...]  # for each of the question's lookups
    span: Span
    folder: Path  # to write to
    types: tuple[str, ...] = ()  # of the answer's columns, as the driver has them
    flat: bool = False
    memory_limit: str | None = None
    versions: tuple[str, str] = ("", "")
    piece: Predicate = ALWAYS  # the part of the span's events whose partial states are asked for

    @property
    def uncut(self) -> Task:
        """Return the same task without what was folded in pieces."""
        found = tuple(tuple(Pieces() if isinstance(each, Pieces) else each for each in one) for one in self.found)
        return replace(self, found=found)

    def run(self) -> WorkPart | Failure:
        """Answer the question for the span; a Failure names the first event that is at fault, if any."""
        try:
            check_versions(self.versions)
            _check_store(self)
            return WorkPart(self.number, _answer(self))
        except EsctlError as error:
            if self.uncut != self:  # so that the first event at fault is found
                return self.uncut.run()
            return _failure(self, error)


def _check_store(task: Task) -> None:
    for view in task.views:
        if not is_seen(view.folder):
            raise InputError(
                f"{view.folder}: a worker does not see the index", "put the store where all workers see it"
            )


def _failure(task: Task, error: EsctlError) -> Failure:
    named = _position(error)
    if named is not None:
        named, error = _first_at_fault(task, named, error)
    return Failure(task.number, type(error), error.message, error.hint, named)


def _position(error: EsctlError) -> int | None:
    found = _NAMES_EVENT.search(error.message)
    return None if found is None else int(found[1])


def _first_at_fault(task: Task, named: int, error: EsctlError) -> tuple[int, EsctlError]:
    """Find the first event of the span that is at fault: DuckDB names whichever it comes to first.

    By bisection: the events up to a middle are asked about, until no earlier one can be at fault.
    """
    low = 0  # no event up to here is at fault
    while low + 1 < named:
        middle = (low + named) // 2
        try:
            _answer(task, upto=middle)
            low = middle
        except EsctlError as other:
            earlier = _position(other)
            if earlier is None or earlier > middle:
                return named, error
            named, error = earlier, other
    return named, error


def _answer(task: Task, upto: int | None = None) -> Spooled:
    session = _session(task.memory_limit)
    guarded = GuardedConnection(session.connection)
    own = Session(guarded, task.folder)  # type: ignore[arg-type]
    within = all_of([task.span.condition, task.piece, *([] if upto is None else [_up_to(upto)])])
    views = tuple(replace(view, within=within) for view in task.views)
    lookups = [DriverLookups(guarded, entries, task) for entries in task.found]
    function, arguments, named = _Unpickler(task.question, own, views, lookups).load()
    try:
        answer = function(*arguments, **named)
    except Stopped as stopped:
        return stopped.made
    with guarded.opened():
        return Spooled(_write(answer, task, session))


_sessions = local()


def _session(memory_limit: str | None) -> Session:
    """Return the session of this thread, which stays open for the next task, as it has file footers cached."""
    kept: tuple[str | None, Session] | None = getattr(_sessions, "session", None)
    if kept is None or kept[0] != memory_limit:
        if kept is not None:
            kept[1].close()
        kept = memory_limit, open_session(memory_limit, threads=1)
        _sessions.session = kept
    return kept[1]


def _up_to(position: int) -> Predicate:
    return Predicate(f"position <= {position}", Reach(max_position=position))


class _Unpickler(pickle.Unpickler):
    """Reads a question; references become the worker's own objects."""

    def __init__(
        self, question: bytes, session: Session, views: Sequence[IndexView], lookups: Sequence[Lookups]
    ) -> None:
        super().__init__(io.BytesIO(question))
        self._own = {"session": [session], "view": views, "lookups": lookups, "nothing": [None]}

    def persistent_load(self, pid: tuple[str, int]) -> Any:
        """Return the object that a reference refers to."""
        name, number = pid
        return self._own[name][number]


class GuardedConnection:
    """A connection that raises while a question is compiled: lookups then must be of the whole log."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._open = False

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Let the connection be used."""
        before, self._open = self._open, True
        try:
            yield
        finally:
            self._open = before

    def __getattr__(self, name: str) -> Any:
        if not self._open:
            raise EsctlError(
                "a part of a question looks up what was not looked up for all of it",
                "this is a bug in esctl: leave out --engine, and report it",
            )
        return getattr(self._connection, name)


class Stopped(Exception):  # noqa: N818  # no error: the question is asked up to here
    """Ends a task that had to make a spool or partial states."""

    def __init__(self, made: Spooled) -> None:
        super().__init__()
        self.made = made


class DriverLookups(Lookups):
    """Answers lookups with what the driver found; the first spool that is missing is the one the task has to make."""

    def __init__(self, guarded: GuardedConnection, entries: Sequence[Entry], task: Task) -> None:
        self._guarded = guarded
        self._entries = iter(entries)
        self._task = task

    def once(self, compute: Callable[[], T]) -> T:
        """Return what the driver found."""
        entry = next(self._entries, None)
        if not isinstance(entry, Once) or entry.place != lookup_name(compute):
            raise _out_of_step()
        value: T = entry.value
        return value

    def check(self, compute: Callable[[], Any]) -> None:
        """Run a check of the span's events."""
        with self._guarded.opened():
            compute()

    def spool(self, make: Callable[[], Spooled]) -> list[Spooled]:
        """Return the span's file, or make it and stop."""
        entry = next(self._entries, None)
        if entry is None:
            with self._guarded.opened():
                raise Stopped(make())
        if not isinstance(entry, Parted):
            raise _out_of_step()
        return list(entry.parts)

    def pieces(self, view: IndexView, connection: Any, partial: Callable[[], str]) -> list[str]:
        """Return SELECTs of the span's partial states by piece, or make those of the task's piece and stop."""
        entry = next(self._entries, None)
        if entry is None:
            with self._guarded.opened():
                raise Stopped(Spooled(_write_cells(partial(), self._task, connection)))
        if not isinstance(entry, Pieces):
            raise _out_of_step()
        return [cells_in(path) for path in entry.files.get(self._task.number, ())]

    def whole(self, session: Session, select: Callable[[], tuple[str, T]]) -> tuple[str, T]:
        """Return the rows of the span's entities."""
        sql, known = self.once(select)
        return f"SELECT * FROM ({sql}) WHERE {self._task.span.condition.sql}", known


def _out_of_step() -> EsctlError:
    return EsctlError(
        "a part of a question goes another way than all of it",
        "this is a bug in esctl: leave out --engine, and report it",
    )


def _write_cells(sql: str, task: Task, connection: Any) -> Path:
    """Write partial states to a file. Fold keys are wider than Parquet's integers, so they are stored as text."""
    path = task.folder / f"{secrets.token_hex(8)}.parquet"
    keys = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in FOLD_KEYS)
    with explained():
        connection.execute(f"COPY (SELECT * REPLACE ({keys}) FROM ({sql})) TO {literal(str(path))} (FORMAT parquet)")
        if types_of(connection, cells_in(path)) != types_of(connection, sql):
            raise _out_of_step()
    return path


def cells_in(path: Path) -> str:
    """Return the SELECT of the partial states in a file."""
    keys = ", ".join(f"CAST({name} AS HUGEINT) AS {name}" for name in FOLD_KEYS)
    return f"SELECT * REPLACE ({keys}) FROM read_parquet({literal(str(path))})"


def _write(answer: Any, task: Task, session: Session) -> Path:
    """Write the rows of an answer to a file; a column of a type that Parquet does not have is stored as text."""
    names = ", ".join(f"c{i}" for i, _ in enumerate(task.types))
    path = task.folder / f"{secrets.token_hex(8)}.parquet"
    rows = f"SELECT {', '.join(stored_items(task.types))} FROM ({rows_sql(answer, flat=task.flat)}) r({names})"
    with explained():
        session.connection.execute(f"COPY ({rows}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
        written = types_of(session.connection, f"SELECT * FROM read_parquet({literal(str(path))})")
    if list(written) != stored_types(task.types):
        raise _out_of_step()
    return path
