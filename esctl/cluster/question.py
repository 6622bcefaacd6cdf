"""The driver of a question in spans: it compiles the question once, and has tasks answer it for each span."""

from __future__ import annotations

import io
import pickle
import secrets
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from esctl.ask.scope.lookups import Lookups, Spooled
from esctl.cluster.carried import pack_works
from esctl.cluster.cut_span import pieces_of
from esctl.cluster.engines import Engine
from esctl.cluster.joins import join_parts, rows_sql, types_of
from esctl.cluster.spans import Span
from esctl.cluster.task import Entry, Once, Parted, Pieces, Task, lookup_name
from esctl.cluster.work import Failure, WorkPart, versions
from esctl.engine.duckdb import Session, explained
from esctl.engine.quoting import literal
from esctl.index.pruning import ALWAYS, Predicate
from esctl.index.scan import IndexView
from esctl.log.ranges import Checked
from esctl.log.store_state import StoreState
from esctl.saved_states.files import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from esctl.ask.scope.scope import Scope
    from esctl.model import Answer

T = TypeVar("T")


def ask_in_parts(question: Callable[..., Answer], *arguments: Any, **named: Any) -> Answer:
    """Return the answer to a question; if its scopes have an engine, the rows are computed there, in spans.

    The question is a function that can be imported by its name.
    """
    pickler = _Pickler()
    lookups = pickler.lookups_in((question, arguments, named))
    if not lookups:
        return question(*arguments, **named)
    asked = Question(pickler, lookups)
    with asked.compiling():
        answer = question(*arguments, **named)
    comes_apart = bool(answer.order) or answer.totals is not None
    return asked.gather_rows(answer) if comes_apart else replace(answer, notes=(*answer.notes, _ONE_NODE_NOTE))


class _Pickler(pickle.Pickler):
    """Writes a question, with references in place of objects of which a worker has its own."""

    def __init__(self) -> None:
        self.text = io.BytesIO()
        super().__init__(self.text)
        self.folder = Path()
        self.views: list[IndexView] = []
        self.lookups: list[SpanLookups] = []

    def lookups_in(self, value: Any) -> list[SpanLookups]:
        """Write a value; return the lookups in it that know an engine."""
        self.dump(value)
        return self.lookups

    def persistent_id(self, value: Any) -> tuple[str, int] | None:
        """Return the reference that replaces a value; None if the value itself is written."""
        if isinstance(value, Session):
            self.folder = value.folder
            return "session", 0
        if isinstance(value, SpanLookups):
            return "lookups", _index_of(self.lookups, value)
        if isinstance(value, IndexView):
            return "view", _index_of(self.views, value)
        return ("nothing", 0) if isinstance(value, StoreState | Shelf) else None


def _index_of(values: list[T], value: T) -> int:
    """Return the index of an object in a list, after appending it if it is missing."""
    for number, other in enumerate(values):
        if other is value:
            return number
    values.append(value)
    return len(values) - 1


class SpanLookups(Lookups):
    """Answers lookups by asking the log; while a question is compiled, the results are kept for its tasks."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.question: Question | None = None
        self.entries: list[Entry] = []
        self.is_whole = False  # whether some of the rows are computed on one node
        self._inner = False

    def once(self, compute: Callable[[], T]) -> T:
        """Look something up in the whole log, and keep the result."""
        if self.question is None or self._inner:
            return compute()
        with self._looking_up():
            value = compute()
        self.entries.append(Once(lookup_name(compute), value))
        return value

    @contextmanager
    def _looking_up(self) -> Iterator[None]:
        self._inner = True
        try:
            yield
        finally:
            self._inner = False

    def check(self, compute: Callable[[], Any]) -> None:
        """Leave a check to the tasks."""
        if self.question is None or self._inner:
            compute()

    def spool(self, make: Callable[[], Spooled]) -> list[Spooled]:
        """Have the tasks make the files, one for each span."""
        if self.question is None or self._inner:
            return [make()]
        parts = self.question.run()
        self.entries.append(Parted(tuple(parts)))
        return parts

    def pieces(self, view: IndexView, connection: Any, partial: Callable[[], str]) -> list[str]:
        """Have tasks compute the partial states of the pieces of spans; return no SELECT of them."""
        if self.question is not None and not self._inner:
            self.entries.append(self.question.cut(view, connection))
        return []

    def whole(self, session: Session, select: Callable[[], tuple[str, T]]) -> tuple[str, T]:
        """Run a SELECT over all entities once, and return a SELECT that reads its rows."""
        if self.question is None or self._inner:
            return select()
        self.is_whole = True
        with self._looking_up():
            sql, known = select()
        path = self.question.folder / f"{secrets.token_hex(8)}.parquet"
        with explained():
            session.connection.execute(f"COPY ({sql}) TO {literal(str(path))} (FORMAT parquet)")
        rows = f"SELECT * FROM read_parquet({literal(str(path))})", known
        self.entries.append(Once(lookup_name(select), rows))
        return rows


def in_parts(scope: Scope, engine: Engine) -> Scope:
    """Return a scope whose questions are asked in parts. Saved states are not used, as they are not in parts."""
    folder = scope.session.folder if engine.folder is None else engine.folder
    session = replace(scope.session, folder=folder)
    return replace(scope, session=session, lookups=SpanLookups(engine), shelf=None)


class Question:
    """A question that is asked in spans, with what its tasks need."""

    def __init__(self, pickler: _Pickler, lookups: Sequence[SpanLookups]) -> None:
        self._text = pickler.text.getvalue()
        self._views = tuple(replace(view, checked=Checked()) for view in pickler.views)
        self._lookups = lookups
        self._engine = lookups[0].engine
        self._found: tuple[tuple[Entry, ...], ...] = ()
        self._spans = self._engine.spans(self._views[0].grouped())
        self.folder = pickler.folder

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Keep what the question looks up while the block compiles it."""
        for lookups in self._lookups:
            lookups.question, lookups.entries = self, []
        try:
            yield
            self._found = self._entries()
        finally:
            for lookups in self._lookups:
                lookups.question = None

    def cut(self, view: IndexView, connection: Any) -> Pieces:
        """Have tasks compute the partial states of pieces; none if one fails: the uncut spans will raise the error."""
        cuts = {} if len(self._views) > 1 else self._cuts(view, connection)
        tasks = [
            self._task(number, span, self._entries(), piece=piece)
            for number, span in enumerate(self._spans)
            for piece in cuts.get(number, ())
        ]
        numbered = [replace(task, number=number) for number, task in enumerate(tasks)]
        made = {result.number: result for result in self._engine.run(pack_works(numbered))} if tasks else {}
        files: dict[int, tuple[Path, ...]] = {}
        for number, task in enumerate(tasks):
            result = made[number]
            if isinstance(result, Failure):
                return Pieces()
            files[task.number] = (*files.get(task.number, ()), result.made.path)
        return Pieces(files)

    def _cuts(self, view: IndexView, connection: Any) -> dict[int, list[Predicate]]:
        pieces_by_span = {
            number: pieces_of(view, span, connection) for number, span in enumerate(self._spans) if span.pieces > 1
        }
        return {number: pieces for number, pieces in pieces_by_span.items() if len(pieces) > 1}

    def _entries(self) -> tuple[tuple[Entry, ...], ...]:
        return tuple(tuple(lookups.entries) for lookups in self._lookups)

    def run(self, types: tuple[str, ...] = (), *, flat: bool = False) -> list[Spooled]:
        """Run a task for each span; return their files in the order of spans. Raises the error of the first event."""
        entries = self._found or self._entries()
        tasks = [self._task(number, span, entries, types, flat=flat) for number, span in enumerate(self._spans)]
        results = list(self._engine.run(pack_works(tasks)))
        failures = [result for result in results if isinstance(result, Failure)]
        if failures:
            raise min(failures, key=_failure_order).error()
        parts = {result.number: result.made for result in results if isinstance(result, WorkPart)}
        return [parts[number] for number, _ in enumerate(tasks)]

    def _task(
        self,
        number: int,
        span: Span,
        found: Sequence[Sequence[Entry]],
        types: tuple[str, ...] = (),
        *,
        flat: bool = False,
        piece: Predicate = ALWAYS,
    ) -> Task:
        return Task(
            number, self._text, self._views, _entries_of_span(found, number), span, self.folder, types, flat,
            self._engine.memory_limit, versions(), piece,
        )  # fmt: skip

    def gather_rows(self, answer: Answer) -> Answer:
        """Return the answer with its rows read from the tasks' files, which are made once rows are asked for."""
        connection = answer.session.connection
        forms = {f"esctl_parts_{secrets.token_hex(6)}": flat for flat in (False, True)[: 1 + bool(answer.flat_sql)]}
        made: set[str] = set()

        def gather(sql: str) -> None:
            for name, flat in forms.items():
                if name in sql and name not in made:
                    with explained():
                        types = types_of(connection, rows_sql(answer, flat=flat))
                    files = [part.path for part in self.run(types, flat=flat)]
                    with explained():
                        connection.execute(f"CREATE VIEW {name} AS {join_parts(files, answer, types, flat=flat)}")
                    made.add(name)

        plain, *flat = (f"SELECT * FROM {name}" for name in forms)
        notes = answer.notes + (_WHOLE_NOTE if any(lookups.is_whole for lookups in self._lookups) else ())
        return replace(
            answer, sql=plain, flat_sql=flat[0] if flat else "", ready=None, keyed="", gather=gather, notes=notes
        )


_ONE_NODE_NOTE = "note: this question is answered on one node: what its parts come to cannot be put together"
_WHOLE_NOTE = ("note: states of a projection that is an SQL query are computed on one node: it may look at all events",)


def _entries_of_span(found: Sequence[Sequence[Entry]], number: int) -> tuple[tuple[Entry, ...], ...]:
    """Return what was looked up, with the files of one span only."""
    return tuple(
        tuple(Parted((entry.parts[number],)) if isinstance(entry, Parted) else entry for entry in entries)
        for entries in found
    )


def _failure_order(failure: Failure) -> tuple[bool, int, int]:
    """Return a sort key: first failures that name no event, which are not of the data, then by the event's position."""
    return failure.position is not None, failure.position or 0, failure.number
