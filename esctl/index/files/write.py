"""Write and remove the Parquet files of an index."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from esctl.errors import InputError
from esctl.index.files.groups import RowGroup
from esctl.index.files.manifest import FILES, MANIFEST, Manifest, read_manifest
from esctl.index.files.readers import READERS, unread
from esctl.log.ranges import ByteRange, parquet_ranges
from esctl.storage.local import TEMPORARY, Filesystem, checked_lock, describe_failure, entries, remove, rights, staged
from esctl.storage.places import ages
from esctl.storage.places import retire as set_aside

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

ROW_GROUP = 65_536
LONGEST_BOUND = 256
"""Characters of an entity's name up to which a row group's bounds are kept: Parquet has none for very long texts."""
LOCK = "lock"
LOCK_SECONDS = 600
LOOK_SECONDS = 0.2
"""How long who waits for the lock waits before looking whether it is still needed."""
LINGER_SECONDS = 600
"""How long a merged file stays for readers that opened the manifest before, where there may be any."""

DICTIONARY = ["kind", "entity", "type", "actor", "role", "source", "ordering", "scope", "nulls", "invalid"]
DELTA = {"position": "DELTA_BINARY_PACKED", "offset": "DELTA_BINARY_PACKED"}


class Written(Struct, frozen=True):
    """A file as it was written."""

    file: str
    groups: tuple[RowGroup, ...]
    footer: ByteRange

    @property
    def bytes(self) -> int:
        """Return the size of the file."""
        return self.footer.offset + self.footer.bytes


def write_file(folder: Path, tables: Iterable[pa.Table], first: int, last: int) -> Written:
    """Write an index file of the positions [first, last] atomically.

    Raises InputError where the folder cannot be written.
    """
    import pyarrow.parquet as pq

    name = f"{first:020d}-{last:020d}.{secrets.token_hex(4)}.parquet"
    writer = None
    bounds: list[tuple[str | None, str | None]] = []
    with writing(folder), staged(folder / name) as temporary:
        for table in _ahead(tables):
            if writer is None:
                writer = pq.ParquetWriter(
                    temporary, table.schema, compression="zstd", compression_level=1, use_dictionary=DICTIONARY,
                    column_encoding=DELTA, write_page_checksum=True, write_statistics=_with_statistics(table.schema),
                )  # fmt: skip
            writer.write_table(table, ROW_GROUP)
            starts = range(0, table.num_rows, ROW_GROUP)
            bounds += [_bounds(table["entity"].slice(start, ROW_GROUP)) for start in starts]
        if writer is not None:
            writer.close()
        *ranges, footer = parquet_ranges(temporary, pq.read_metadata(temporary))
    return Written(name, tuple(RowGroup(part, *pair) for part, pair in zip(ranges, bounds, strict=True)), footer)


def _ahead(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Give tables while the next one is made."""
    from concurrent.futures import ThreadPoolExecutor

    each = iter(tables)
    with ThreadPoolExecutor(1, "rows") as pool:
        waiting = pool.submit(next, each, None)
        while (table := waiting.result()) is not None:
            waiting = pool.submit(next, each, None)
            yield table


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an OSError of writing files of an index into an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder}: cannot write the index: {error.strerror or error}", "make room, then run the command again"
        ) from error


def _bounds(entities: pa.ChunkedArray) -> tuple[str | None, str | None]:
    import pyarrow.compute as pc

    found = pc.min_max(entities)
    low, high = found["min"].as_py(), found["max"].as_py()
    return (low, high) if max(len(low or ""), len(high or "")) <= LONGEST_BOUND else (None, None)


def _with_statistics(schema: pa.Schema) -> list[str]:
    """List the columns whose statistics help a reader to skip row groups.

    Not texts without a dictionary: where such a column has few values, DuckDB 2.0.0 takes its statistics to say that
    all its rows are null, and `IS NULL` is true for every one of them.
    """
    import pyarrow as pa

    texts = (pa.string(), pa.large_string(), pa.string_view())
    plain = [field for field in schema if not pa.types.is_nested(field.type)]
    return [field.name for field in plain if field.name in DICTIONARY or field.type not in texts]


def clear(folder: Path, files: Filesystem) -> None:
    """Remove all that an index folder holds, its manifest first. Raises InputError where it cannot be written."""
    _clear(folder, lambda manifest: False, files)


def clear_stale(folder: Path, redactions: int, files: Filesystem) -> None:
    """Remove what an index folder holds of records that were erased since, at once, whoever may be reading it.

    An index of after the last of so many erasures stays. Raises InputError where the folder cannot be written.
    """
    _clear(folder, lambda manifest: manifest.redactions >= redactions, files)


def _clear(folder: Path, is_fresh: Callable[[Manifest], bool], files: Filesystem) -> None:
    with describe_failure(f"write {folder}"), locked(folder):
        try:
            manifest = read_manifest(folder)
        except InputError:
            manifest = None
        fresh = manifest is not None and is_fresh(manifest)
        kept = {LOCK, READERS, *([MANIFEST, *manifest.names] if fresh and manifest else [])}
        for name in sorted(set(entries(folder)) - kept, key=lambda name: name != MANIFEST):
            files.unlink(folder / name)
        files.sync_folder(folder)


def retire(folder: Path, names: Iterable[str]) -> None:
    """Mark files for removal: the manifest no longer names them, and they linger for those who read them."""
    for name in names:
        set_aside(folder / name)


def sweep_unread(folder: Path, manifest: Manifest) -> None:
    """Remove index files that the manifest does not name, at once where no reader has announced itself."""
    with unread(folder) as nobody:
        for name in entries(folder) if nobody else ():
            if name.endswith(FILES) and not name.startswith(TEMPORARY) and name not in manifest.names:
                with suppress(FileNotFoundError):
                    remove(folder / name)


def sweep(folder: Path, manifest: Manifest, linger: float = LINGER_SECONDS) -> None:
    """Remove index files that the manifest does not name and no reader can still need."""
    unnamed = [name for name in entries(folder) if _may_go(name) and name not in manifest.names]
    since = ages(folder) if unnamed else {}
    for name in unnamed:
        if since.get(name, 0) > linger:
            remove(folder / name)


def _may_go(name: str) -> bool:
    return name.startswith(TEMPORARY) or name.endswith(FILES)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other builders out of an index folder. Raises InputError where one has been at work for ten minutes."""
    with locked_unless(folder, lambda: None):
        yield


@contextmanager
def locked_unless(folder: Path, find: Callable[[], T | None]) -> Iterator[T | None]:
    """Keep other builders out of an index folder, unless what was to be built is found while they are waited for.

    Who builds for long takes the lock again as soon as it is free: those who wait would wait to the end. Raises
    InputError where others have been at work for ten minutes.
    """
    from filelock import FileLock, Timeout

    lock, found, tries = FileLock(checked_lock(folder / LOCK), mode=rights(folder)), None, 0
    while found is None:
        with suppress(Timeout):
            lock.acquire(LOOK_SECONDS)
            break
        tries += 1
        if tries * LOOK_SECONDS >= LOCK_SECONDS:
            raise InputError(f"{folder}: another process has been building the index for ten minutes", "wait for it")
        found = find()
    try:
        yield found
    finally:
        lock.release()
