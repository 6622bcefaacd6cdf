"""New files that workers read ahead. Workers find what this process would; it checks itself that the files are new."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import Struct
from msgspec.structs import replace

from esctl.engine.workers import WITHOUT_END, Call
from esctl.errors import EsctlError
from esctl.model import Cursor, FileCursor
from esctl.sources.files.beginnings import is_new
from esctl.sources.files.finding import Source
from esctl.sources.files.generations import COLUMNAR
from esctl.sources.files.reading import FileReader, SourceOptions, file_readers
from esctl.sources.names import generations
from esctl.sources.protocol import Delivery, SourceReader

if TYPE_CHECKING:
    from esctl.engine.workers import Workers

LARGEST = 256 << 20
"""The most bytes of a file, and of its records, for a worker: on the way the records are written once more."""
_GROUP_BYTES = 16 << 20
_GROUP_FILES = 200


class Handed(Struct, frozen=True):
    """A delivery whose records a worker wrote to a file."""

    file: str
    cursor: FileCursor
    read: int


class ReadAhead(Struct, frozen=True):
    """What a worker found in a file, read as a new one; `deliveries` is None if this process has to read it."""

    deliveries: tuple[Handed, ...] | None = None
    pending: int = 0


def read_ahead(folder: Path, sources: Sequence[Source], options: SourceOptions) -> list[ReadAhead]:
    """Read files, and write their records to `folder`."""
    return [_read_ahead(folder, source, options) for source in sources]


def _read_ahead(folder: Path, source: Source, options: SourceOptions) -> ReadAhead:
    reader, found, left = FileReader(source, options), list[Handed](), LARGEST
    try:
        for delivery in reader.open({}):
            left -= delivery.batch.nbytes
            if left < 0 or delivery.cursor.format in COLUMNAR or not isinstance(delivery.cursor, FileCursor):
                return ReadAhead()
            name = f"{secrets.token_hex(8)}.arrow"
            with pa.ipc.new_file(folder / name, delivery.batch.schema) as writer:
                writer.write_batch(delivery.batch)
            found.append(Handed(name, delivery.cursor, delivery.read))
    except (EsctlError, OSError):
        return ReadAhead()  # reported when it is the file's turn
    return ReadAhead(tuple(found), reader.pending)


class ReaderAhead:
    """A file that may have been read by a worker, as a SourceReader."""

    def __init__(self, source: Source, options: SourceOptions, folder: Path, found: Callable[[], ReadAhead]) -> None:
        self._source, self._options, self._folder = source, options, folder
        self._near = FileReader(source, options)
        self._found = found
        self._pending: int | None = None

    @property
    def name(self) -> str:
        """Return the name that its records are kept under."""
        return self._near.name

    @property
    def pending(self) -> int:
        """Return how many bytes at the end are in no record yet."""
        return self._near.pending if self._pending is None else self._pending

    @property
    def may_wait(self) -> bool:
        """Return whether it is not a plain file."""
        return self._near.may_wait

    def open(self, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        """Open the file for what is new in it. Raises what a FileReader does."""
        found = self._found()
        if found.deliveries is None or not is_new(self._source, self._options.limits, known):
            return self._near.open(known)
        self._pending = found.pending
        return self._deliveries(found.deliveries)

    def _deliveries(self, found: Sequence[Handed]) -> Iterator[Delivery]:
        for each in found:
            path = self._folder / each.file
            with pa.memory_map(str(path)) as file:
                batch = pa.ipc.open_file(file).get_batch(0)
            with suppress(OSError):
                path.unlink()  # it stays readable for as long as it is mapped
            yield Delivery(self.name, batch, each.cursor, each.read)


def readers_ahead(
    sources: Sequence[Source], options: SourceOptions, workers: Workers, known: Mapping[str, Cursor]
) -> Iterator[SourceReader]:
    """Yield the readers of some files; workers read the next files while the ones before are dealt with.

    Files that are `known` by name are not read ahead, as most of their bytes may be known.
    """
    sizes = [(source, _size_if_fit(source)) for source in sources if not generations(source.name, known)]
    fit = [(source, size) for source, size in sizes if size is not None]
    if len(fit) < 2:
        yield from file_readers(sources, options)
        return
    rounds = _group_in_rounds(fit, workers.parts(WITHOUT_END))
    with ThreadPoolExecutor(1, "ahead") as pool:
        found = _results_by_file(pool, workers, rounds, options)
        for source in sources:
            is_fit = bool(fit) and source == fit[0][0] and bool(fit.pop(0))
            yield ReaderAhead(source, options, workers.folder, next(found)) if is_fit else FileReader(source, options)


def _results_by_file(
    pool: ThreadPoolExecutor, workers: Workers, rounds: Sequence[Sequence[Sequence[Source]]], options: SourceOptions
) -> Iterator[Callable[[], ReadAhead]]:
    """Yield for each file a function that waits for what was found; a round starts when the one before is asked for."""
    coming: list[Future[list[ReadAhead]]] = []
    for number, groups in enumerate(rounds):
        coming += [pool.submit(_run, workers, each, options) for each in rounds[len(coming) : number + 2]]
        for place in range(sum(map(len, groups))):
            yield partial(_result_at, coming[number], place)


def _result_at(found: Future[list[ReadAhead]], place: int) -> ReadAhead:
    return found.result()[place]


def _run(workers: Workers, groups: Sequence[Sequence[Source]], options: SourceOptions) -> list[ReadAhead]:
    calls = [Call(read_ahead, (workers.folder, group, options), list[ReadAhead]) for group in groups]
    return [each for found in workers.run(calls) for each in found]


def _size_if_fit(source: Source) -> int | None:
    """Return the size of a file that a worker can read as this process would; None if it is too large, or no file."""
    size = source.size
    return size if source.member is None and size is not None and size <= LARGEST else None


def _group_in_rounds(sources: Sequence[tuple[Source, int]], most: int) -> list[list[list[Source]]]:
    """Put neighbouring files into groups that are worth a call, and up to `most` groups into a round."""
    groups: list[list[Source]] = []
    together = _GROUP_BYTES
    for source, size in sources:
        assert source.path is not None
        if together >= _GROUP_BYTES or len(groups[-1]) == _GROUP_FILES:
            groups.append([])
            together = 0
        groups[-1].append(replace(source, path=source.path.absolute()))
        together += size
    return [groups[at : at + most] for at in range(0, len(groups), most)]
