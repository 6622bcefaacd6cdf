"""Write and remove the Parquet files of an index."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from esctl.errors import InputError
from esctl.index.files.groups import RowGroup
from esctl.index.files.manifest import FILES, MANIFEST, Manifest, read_manifest
from esctl.index.files.readers import READERS, hold_off_readers
from esctl.log.ranges import ByteRange, parquet_ranges
from esctl.storage.local import (
    TEMPORARY,
    Filesystem,
    checked_lock,
    describe_failure,
    entries,
    file_mode,
    remove,
    staged,
)
from esctl.storage.places import ages
from esctl.storage.places import retire as set_aside

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

ROW_GROUP = 65_536
LONGEST_BOUND = 256
"""Most characters of a name in a row group's bounds: Parquet keeps none for very long texts."""
LOCK = "lock"
LOCK_SECONDS = 600
LOOK_SECONDS = 0.2
"""Seconds to wait for the lock before checking whether it is still needed."""
LINGER_SECONDS = 600
"""Seconds that a file stays after it was merged into another, if readers of the earlier manifest may need it."""

DICTIONARY = ["kind", "entity", "type", "actor", "role", "source", "ordering", "scope", "nulls", "invalid"]
DELTA = {"position": "DELTA_BINARY_PACKED", "offset": "DELTA_BINARY_PACKED"}


class WrittenFile(Struct, frozen=True):
    """An index file as it was written."""

    file: str
    groups: tuple[RowGroup, ...]
    footer: ByteRange

    @property
    def bytes(self) -> int:
        """Return the size of the file."""
        return self.footer.offset + self.footer.bytes


def write_file(folder: Path, tables: Iterable[pa.Table], first: int, last: int) -> WrittenFile:
    """Write an index file of the positions [first, last] atomically.

    Raises InputError if the folder cannot be written.
    """
    import pyarrow.parquet as pq

    name = f"{first:020d}-{last:020d}.{secrets.token_hex(4)}.parquet"
    writer = None
    bounds: list[tuple[str | None, str | None]] = []
    with explain_write_errors(folder), staged(folder / name) as temporary:
        for table in _made_ahead(tables):
            if writer is None:
                writer = pq.ParquetWriter(
                    temporary, table.schema, compression="zstd", compression_level=1, use_dictionary=DICTIONARY,
                    column_encoding=DELTA, write_page_checksum=True, write_statistics=_with_statistics(table.schema),
                )  # fmt: skip
            writer.write_table(table, ROW_GROUP)
            starts = range(0, table.num_rows, ROW_GROUP)
            bounds += [_entity_bounds(table["entity"].slice(start, ROW_GROUP)) for start in starts]
        if writer is not None:
            writer.close()
        *ranges, footer = parquet_ranges(temporary, pq.read_metadata(temporary))
    return WrittenFile(name, tuple(RowGroup(part, *pair) for part, pair in zip(ranges, bounds, strict=True)), footer)


def _made_ahead(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables, while a thread makes the next one."""
    from concurrent.futures import ThreadPoolExecutor

    each = iter(tables)
    with ThreadPoolExecutor(1, "rows") as pool:
        waiting = pool.submit(next, each, None)
        while (table := waiting.result()) is not None:
            waiting = pool.submit(next, each, None)
            yield table


@contextmanager
def explain_write_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError raised while index files are written into an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder}: cannot write the index: {error.strerror or error}", "make room, then run the command again"
        ) from error


def _entity_bounds(entities: pa.ChunkedArray) -> tuple[str | None, str | None]:
    import pyarrow.compute as pc

    found = pc.min_max(entities)
    low, high = found["min"].as_py(), found["max"].as_py()
    return (low, high) if max(len(low or ""), len(high or "")) <= LONGEST_BOUND else (None, None)


def _with_statistics(schema: pa.Schema) -> list[str]:
    """List the columns whose statistics help a reader to skip row groups.

    Text columns without a dictionary are left out: if one has few values, DuckDB 2.0.0 takes its statistics to mean
    that all its rows are null, and `IS NULL` is true for every one of them.
    """
    import pyarrow as pa

    texts = (pa.string(), pa.large_string(), pa.string_view())
    plain = [field for field in schema if not pa.types.is_nested(field.type)]
    return [field.name for field in plain if field.name in DICTIONARY or field.type not in texts]


def clear_faulty(folder: Path, find: Callable[[], str], files: Filesystem) -> str:
    """Remove all files of an index if `find` finds a fault in it once nobody is building it; return the fault.

    The manifest is removed first. Raises InputError if the folder cannot be written.
    """
    with describe_failure(f"write {folder}"), locked(folder):
        if fault := find():
            _remove(folder, {LOCK, READERS}, files)
        return fault


def clear_stale(folder: Path, redactions: int, files: Filesystem) -> None:
    """Remove an index that holds records erased since, at once, whoever may be reading it.

    An index built after all `redactions` erasures stays. Raises InputError if the folder cannot be written.
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
        _remove(folder, kept, files)


def _remove(folder: Path, kept: Set[str], files: Filesystem) -> None:
    for name in sorted(set(entries(folder)) - kept, key=lambda name: name != MANIFEST):
        files.unlink(folder / name)
    files.sync_folder(folder)


def retire(folder: Path, names: Iterable[str]) -> None:
    """Mark for removal files that the manifest no longer names; they linger for those who read them."""
    for name in names:
        set_aside(folder / name)


def sweep_unread(folder: Path, manifest: Manifest) -> None:
    """Remove index files that the manifest does not name, at once, if no reader has announced itself."""
    with hold_off_readers(folder) as nobody:
        for name in entries(folder) if nobody else ():
            if name.endswith(FILES) and not name.startswith(TEMPORARY) and name not in manifest.names:
                with suppress(FileNotFoundError):
                    remove(folder / name)


def sweep(folder: Path, manifest: Manifest, linger: float = LINGER_SECONDS) -> None:
    """Remove index files that the manifest does not name and that no reader can still need."""
    unnamed = [name for name in entries(folder) if _is_removable(name) and name not in manifest.names]
    since = ages(folder) if unnamed else {}
    for name in unnamed:
        if since.get(name, 0) > linger:
            remove(folder / name)


def _is_removable(name: str) -> bool:
    return name.startswith(TEMPORARY) or name.endswith(FILES)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other builders out of an index folder. Raises InputError if they have been building for ten minutes."""
    with locked_unless(folder, lambda: None):
        yield


@contextmanager
def locked_unless(folder: Path, find: Callable[[], T | None]) -> Iterator[T | None]:
    """Keep other builders out of an index folder, or yield what `find` finds while waiting for them.

    A long build takes the lock again as soon as it is free, so to wait for the lock alone would be to wait for its end.
    Raises InputError if others have been building for ten minutes.
    """
    from filelock import FileLock, Timeout

    lock, found, tries = FileLock(checked_lock(folder / LOCK), mode=file_mode(folder)), None, 0
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
