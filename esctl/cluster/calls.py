"""Calls of functions, run by the workers of an engine."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from msgspec import MsgspecError, Struct
from msgspec.json import decode, encode

from esctl.ask.scope.lookups import Spooled
from esctl.cluster.carried import pack_works
from esctl.cluster.engines import Engine
from esctl.cluster.work import Failure, WorkPart, check_versions, versions
from esctl.engine.workers import Call
from esctl.errors import EsctlError, InputError
from esctl.index.files.manifest import Manifest
from esctl.index.pruning import Predicate


class Job(Struct, frozen=True):
    """A call on its way to a worker. Its result is written as JSON, which cannot run code where it is read."""

    number: int
    folder: Path
    call: Call
    versions: tuple[str, str]

    def run(self) -> WorkPart | Failure:
        """Run the call and write its result to a file."""
        try:
            check_versions(self.versions)
            if not self.folder.is_dir():
                raise InputError(f"{self.folder}: a worker does not see it", "name a folder that all workers see")
            result = self.call.function(*self.call.arguments)
            path = self.folder / f"{secrets.token_hex(8)}.json"
            path.write_bytes(encode(result))
            return WorkPart(self.number, Spooled(path))
        except EsctlError as error:
            return Failure(self.number, type(error), error.message, error.hint)


class EngineWorkers:
    """The workers of an engine, as `engine.workers.Workers`."""

    def __init__(self, engine: Engine, folder: Path, mirrors: str = "") -> None:
        self.folder = folder
        self._mirrors = mirrors
        self.memory_limit = engine.memory_limit
        self._engine = engine
        self._lock = Lock()

    def parts(self, rows: int) -> int:
        """Return how many parts are worthwhile for a number of rows."""
        return self._engine.parts(rows)

    def spans(self, manifest: Manifest) -> list[Predicate]:
        """Return conditions that cut the rows of an index into spans of entities."""
        return [span.condition for span in self._engine.spans(manifest)]

    def stop(self) -> None:
        """End the calls that run now: nobody waits for them any more."""
        self._engine.stop()

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Run calls and return their results, in their order. Raises the error of the first that fails."""
        with self._lock:  # two runs at once would each start all processes
            return self._run(calls)

    def _run(self, calls: Sequence[Call]) -> list[Any]:
        jobs = [Job(number, self.folder, call, versions()) for number, call in enumerate(calls)]
        works = pack_works(jobs, self._mirrors)
        results = sorted(self._engine.run(works) if works else (), key=lambda result: result.number)
        values = []
        for result, call in zip(results, calls, strict=True):
            if isinstance(result, Failure):
                raise result.error()
            values.append(_read_result(result.made.path, call))
        return values


def _read_result(path: Path, call: Call) -> Any:
    try:
        return decode(path.read_bytes(), type=call.returns)
    except (MsgspecError, OSError, ValueError) as error:
        raise InputError("a worker wrote what is not what it was asked for", "run the command again") from error
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def lent_workers(engine: Engine, *, anew: bool = False) -> Iterator[EngineWorkers]:
    """Yield the workers of an engine. `anew`: they begin with empty mirrors of stores in objects.

    Workers of this machine share the mirrors of this process, which sees to that itself.
    """
    folder = Path(tempfile.mkdtemp(prefix="esctl-calls-", dir=engine.folder))
    mirrors = secrets.token_hex(8) if anew and engine.folder is not None else ""
    try:
        with engine.keep_workers():
            yield EngineWorkers(engine, folder, mirrors)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
