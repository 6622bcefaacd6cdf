"""Small stores in this process, and every question to them as its printed answer, read again exactly.

An answer is its rows as JSON Lines have them, or the `Refusal` that a user would see; anything else is a failure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from msgspec.structs import replace

from esctl.ask.changes.audit import audit
from esctl.ask.changes.blame import blame
from esctl.ask.changes.diff import diff
from esctl.ask.events.log import EventFilters, log
from esctl.ask.over_time.series import Sampling, series
from esctl.ask.over_time.when import Moments, when
from esctl.ask.scope.scope import Scope
from esctl.ask.states.replay import replay
from esctl.errors import EsctlError, UsageError
from esctl.index.envelope.mapping import parse_mapping
from esctl.index.update import Updater
from esctl.log.commits import create_store
from esctl.log.writer import LogWriter, Part
from esctl.model import Answer, AsOf, Cursor, FileCursor
from esctl.output import Target, write
from esctl.projection.spec import Projection, parse_projection
from tests.ask.sql.test_sql import ask as ask_sql
from tests.reference.mapping import dump
from tests.support.campaigns import tally
from tests.support.drawn_values import HOUR, JANUARY
from tests.support.engine_harness import Engine, _Clock, as_of, session, store_folder
from tests.support.log_helpers import Unsynced
from tests.support.wide_digits import MAPPING, Commits, Record

Row = dict[str, Any]
Bounds = dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    """What a user is told in place of an answer."""

    message: str
    hint: str


Told = list[Row] | Refusal


@dataclass(frozen=True)
class Ground:
    """A store, a projection, and the questions; of some entities where they are named."""

    engine: Engine
    entities: tuple[str, ...] = ()
    shared: bool = False  # entities that the projection does not claim are folded by the default one

    @property
    def name(self) -> str:
        """Name the projection as `sql` calls it."""
        return self.engine.projection.name if self.engine.projection else "merge"

    def states(self, bounds: Bounds | None = None, where: str = "", *, deleted: bool = False) -> Told:
        return asked(
            "replay --where" if where else "replay",
            lambda: replay(self.scope(bounds), self._point(bounds), where, deleted=deleted),
        )

    def when(
        self, predicate: str, which: Literal["first", "last", "every"] = "every", *, each_event: bool = True
    ) -> Told:
        return asked("when", lambda: when(self.scope(), Moments(predicate, which, each_event=each_event)))

    def series(self, expression: str, every: str = "1d", by: str = "") -> Told:
        return asked("series", lambda: series(self.scope(), Sampling(expression, every, by)))

    def log(self, where: str = "") -> Told:
        return asked("log", lambda: log(self.scope(), EventFilters(where=where)))

    def audit(self, bounds: Bounds | None = None) -> Told:
        return asked("audit", lambda: audit(self.scope(bounds), self._point(bounds)))

    def diff(self, a: Bounds, b: Bounds | None = None) -> Told:
        everything = AsOf("all", "position", number=self.engine.store_state.head)
        return asked("diff", lambda: diff(self.scope(), self._point(a) or everything, self._point(b) or everything))

    def blame(self, entity: str) -> Told:
        return asked("blame", lambda: blame(replace(self.scope(), entities=(entity,))))

    def sql(self, query: str) -> Told:
        """Run a query as its child process does: whatever DuckDB says of it is told to the user."""
        tally["sql"] += 1
        try:
            return ask_sql(self.engine, query)
        except EsctlError as error:
            return Refusal(error.message, error.hint)

    def scope(self, bounds: Bounds | None = None) -> Scope:
        scope = replace(self.engine.scope((bounds or {}).get("known_at")), entities=self.entities)
        return replace(scope, projection="") if self.shared else scope

    def _point(self, bounds: Bounds | None) -> AsOf | None:
        return as_of(bounds or {})


def asked(kind: str, question: Callable[[], Answer]) -> Told:
    """Ask, write JSON Lines, read them exactly; only an error about what was asked or is in the log is a refusal."""
    out = BytesIO()
    tally[kind] += 1
    try:
        write(question(), Target("jsonl", out))
    except UsageError as error:
        return Refusal(error.message, error.hint)
    return [read_json(line) for line in out.getvalue().decode("utf-8").splitlines()]


def read_json(text: str) -> Any:
    """Read JSON with exact numbers, however many digits they have."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def projection_of(table: dict[str, Any] | None) -> Projection | None:
    """Read a projection's table as esctl.toml's would be."""
    return None if table is None else parse_projection("p", dict(table), "esctl.toml")


@contextmanager
def ground(
    commits: Commits, projection: Projection | None = None, config: Path | None = None, *, eager: bool = False
) -> Iterator[Ground]:
    """Lay a store of some commits: each brings what is new in some files. `eager`: it is indexed after each."""
    with store_folder() as folder:
        path, files, clock = folder / "store", Unsynced(), _Clock()
        create_store(path, False, files=files)
        updater = Updater(session().connection, parse_mapping(MAPPING), path / "index" / "test")
        read: dict[str, Cursor] = {}
        with LogWriter(path, clock=clock, files=files, connection=session().connection) as writer:
            for number, commit in enumerate(commits):
                clock.now = JANUARY + (7 + 30 * number) * HOUR
                parts = [_part(source, records, read.get(source)) for source, records in commit]
                read |= {part.source: part.cursor for part in parts}
                writer.append(parts)
                if eager:
                    updater.run(writer.store_state)
            store_state = writer.store_state
        yield Ground(Engine(updater.run(store_state), store_state, updater, projection, config))


def _part(source: str, records: Sequence[Record], before: Cursor | None) -> Part:
    raws = [dump(record) + b"\n" for record in records]
    start = before.offset if before else 0
    ends = [start + sum(map(len, raws[:i])) for i in range(len(raws) + 1)]
    batch = pa.record_batch({"offset": pa.array(ends[:-1], pa.int64()), "raw": pa.array(raws, pa.large_binary())})
    delivered = (before.records if before else 0) + len(raws)
    return Part(source, [batch], FileCursor(ends[-1], "0" * 64, 0, "0" * 64, format="jsonl", records=delivered))
