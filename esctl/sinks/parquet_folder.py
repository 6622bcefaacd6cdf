"""Keep states in a folder of Parquet files, and a manifest that says which of them count."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from esctl.ask.scope.basis import parse_basis, to_json
from esctl.engine.attached import naming_file
from esctl.engine.duckdb import Session, explained, single_row
from esctl.engine.quoting import literal, text_list
from esctl.errors import InputError, UsageError
from esctl.sinks import kept
from esctl.sinks.columns import Field, read_fields
from esctl.sinks.kept import KeptProgress
from esctl.sinks.places import check_folder
from esctl.sinks.protocol import EMPTY_CONTENT, Changes, Content, NeedsWholeError, Progress
from esctl.sinks.tabular import Staged, content_sql, duckdb_type, stage
from esctl.storage.local import TEMPORARY, Filesystem, create_new, entries, read_regular, remove, write_replacing

MANIFEST = "manifest.json"
FILE_ROWS = 100_000
"""About how many rows a file has: a change rewrites the files that it falls into."""
_LARGEST = 64 << 20
_OWN_NAME = re.compile(rf"[0-9a-f]{{32}}\.parquet|{re.escape(TEMPORARY)}.*")
_REMAKE_HINT = "remove the folder, and make the view anew: esctl view rebuild"
_FOLDER_HINT = "it must be a folder that you may write, with room left"
_CHANGED_TABLE = "esctl_changed"
"""The table of the new rows."""
_SORTED_TABLE = "esctl_sorted"
"""The table of the rows that are being written: it keeps their order, so that a file is a range of row numbers."""


class FolderPart(Struct, frozen=True):
    """A file: it has the keys (kind, entity) from its first one up to the first one of the next file."""

    file: str
    kind: str
    entity: str
    rows: int


class ParquetFolder:
    """A view in Parquet files sorted by kind and entity; a change takes effect when the manifest is replaced."""

    def __init__(self, session: Session, folder: Path, *, writing: bool) -> None:
        self._session = session
        self._folder = folder
        self._writing = writing
        self._made = False  # by us, with nothing in it yet
        self._lock: int | None = None
        self._kept: KeptProgress | None = None
        self._parts: tuple[FolderPart, ...] = ()
        self._files = Filesystem()

    def __enter__(self) -> Self:
        """Open the folder; one that is written is locked until it is closed."""
        exists = check_folder(self._folder)
        if not exists and not self._writing:
            return self
        try:
            if self._writing:
                self._take_lock(exists)
            self._read()
            if self._writing:
                self._sweep()  # what a killed process left
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock; a folder that was made and never filled is removed."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._made:
            with suppress(OSError):
                self._folder.rmdir()

    def progress(self) -> Progress | None:
        """Return the progress of the files; None if nothing is there yet."""
        return self._kept.read() if self._kept is not None else None

    def content(self) -> Content:
        """Return the rows of the files."""
        if self.progress() is None or self._kept is None or not self._parts:
            return EMPTY_CONTENT
        sql = content_sql(self._source_sql(self._parts), self._kept.fields)
        with naming_file(self._folder, _REMAKE_HINT):
            self._session.connection.execute(f"SELECT * FROM ({sql}) LIMIT 0").fetchall()
        return Content(sql, self._kept.fields)

    def apply(self, changes: Changes, progress: Progress) -> None:
        """Rewrite the files that the changes fall into, then the manifest; remove the files that it no longer names.

        A file is synced before the manifest is replaced.
        """
        staged = stage(self._session, changes.rows)
        old = self._kept
        known, fresh = kept.start_from(old, whole=changes.whole)
        fields = staged.columns(known, column_type, fresh=fresh)
        if not fresh and len(fields) != len(known):
            raise NeedsWholeError  # files that stay would lack a column
        try:
            parts = self._write_parts(staged, fields, () if fresh else self._parts)
            new = KeptProgress(progress, fields)
            write_replacing(self._files, self._folder / MANIFEST, to_text(new, parts), "manifest")
        except BaseException as error:
            self._undo()
            if isinstance(error, OSError):
                raise InputError(f"cannot write {self._folder}: {error.strerror or error}", "") from error
            raise
        self._kept, self._parts, self._made = new, parts, False
        self._sweep()
        staged.discard()

    def drop(self) -> None:
        """Remove the files, and the folder if nothing else is in it."""
        if self._kept is None:
            return
        remove(self._folder / MANIFEST)
        self._kept, self._parts = None, ()
        self._sweep()
        with suppress(OSError):
            self._folder.rmdir()

    def _take_lock(self, exists: bool) -> None:
        try:
            if not exists:
                self._folder.mkdir()
                self._made = True
            self._lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait until it is done, or stop it"
            raise InputError(f"{self._folder} is being written by another process", hint) from None
        except OSError as error:
            raise InputError(f"cannot write {self._folder}: {error.strerror or error}", "") from error

    def _read(self) -> None:
        try:
            data = read_regular(self._folder / MANIFEST, _LARGEST)
        except FileNotFoundError:
            others = [name for name in os.listdir(self._folder) if not _OWN_NAME.fullmatch(name)]
            if others:
                raise UsageError(
                    f"{self._folder} holds other things: {others[0]!r}", "give a folder of its own with --to"
                ) from None
            return
        try:
            self._kept, self._parts = from_text(data, str(self._folder / MANIFEST))
        except InputError as error:
            names = [name for name in entries(self._folder) if name != MANIFEST]
            if not names or not all(map(_OWN_NAME.fullmatch, names)):
                raise  # the manifest may be one of others
            self._kept, self._parts = KeptProgress(None, damage=error.message), ()

    def _source_sql(self, parts: Sequence[FolderPart]) -> str:
        return f"read_parquet({text_list([str(self._folder / part.file) for part in parts])})"

    def _write_parts(
        self, staged: Staged, fields: tuple[Field, ...], parts: tuple[FolderPart, ...]
    ) -> tuple[FolderPart, ...]:
        """Write the new files; return the files that count from now on."""
        types = {field.column: column_type(field) for field in fields}
        cells = f"SELECT * REPLACE (timezone('UTC', time) AS time) FROM ({staged.cells(fields, types)})"
        if not parts:
            return tuple(self._write_files(cells, staged.count))
        stay = f"(kind, entity) NOT IN (SELECT kind, entity FROM ({staged.touched_sql}))"
        with explained():
            self._session.connection.execute(f"CREATE OR REPLACE TEMP TABLE {_CHANGED_TABLE} AS {cells}")
        listed: list[FolderPart] = []
        for run, changes in self._runs(staged, parts):
            if not changes:
                listed += run
                continue
            old = f"SELECT * FROM {self._source_sql(run)} WHERE {stay}"
            new = f"SELECT * FROM {_CHANGED_TABLE} WHERE {_bounds_sql(parts, run)}"
            most = changes + sum(part.rows for part in run)
            listed += self._write_files(f"{old} UNION ALL BY NAME {new} ORDER BY kind, entity", most)
        self._session.connection.execute(f"DROP TABLE {_CHANGED_TABLE}")
        return tuple(listed)

    def _runs(self, staged: Staged, parts: tuple[FolderPart, ...]) -> Iterator[tuple[tuple[FolderPart, ...], int]]:
        """Yield runs of files that stay, or are rewritten together, with the number of changes that fall into each."""
        firsts = ", ".join(f"({literal(part.kind)}, {literal(part.entity)})" for part in parts[1:])
        place = f"(SELECT count(*) FROM (VALUES {firsts}) f(k, e) WHERE (f.k, f.e) <= (t.kind, t.entity))"
        sql = f"SELECT {place if firsts else '0'} AS p, count(*) FROM ({staged.touched_sql}) t GROUP BY p"
        with explained():
            hits: dict[int, int] = dict(self._session.connection.execute(sql).fetchall())

        def together(number: int) -> tuple[bool, int]:
            # A file that stays large enough is rewritten by itself, so that no more than its rows are sorted at once.
            alone = number in hits and parts[number].rows - hits[number] >= FILE_ROWS // 2
            return number in hits, number if alone else -1

        for _, numbers in groupby(range(len(parts)), together):
            run = list(numbers)
            yield tuple(parts[number] for number in run), sum(hits.get(number, 0) for number in run)

    def _write_files(self, rows: str, most: int) -> list[FolderPart]:
        """Write sorted rows to files of about equal size. `most`: an upper bound of their number."""
        connection = self._session.connection
        with naming_file(self._folder, _FOLDER_HINT):
            if most < 2 * FILE_ROWS:
                return self._write_file(rows)
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {_SORTED_TABLE} AS {rows}")
            row = single_row(connection, f"SELECT count(*) FROM {_SORTED_TABLE}")
            assert row is not None
            size = -(-row[0] // max(row[0] // FILE_ROWS, 1)) or 1
            found = []
            for start in range(0, row[0], size):
                found += self._write_file(
                    f"SELECT * FROM {_SORTED_TABLE} WHERE rowid >= {start} AND rowid < {start + size}"
                )
            connection.execute(f"DROP TABLE {_SORTED_TABLE}")
        return found

    def _write_file(self, rows: str) -> list[FolderPart]:
        """Write a file of rows, if there are any."""
        path = self._folder / f"{secrets.token_hex(16)}.parquet"
        create_new(path).close()  # with the rights of its folder
        target = f"{literal(str(path))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, USE_TMP_FILE false)"
        connection = self._session.connection
        written = single_row(connection, f"COPY ({rows}) TO {target}")
        first = single_row(connection, f"SELECT kind, entity FROM read_parquet({literal(str(path))}) LIMIT 1")
        if written is None or first is None:
            return []  # what no manifest names is swept
        with path.open("rb+") as file:
            self._files.sync(file)
        kind, entity = first
        return [FolderPart(path.name, kind, entity, written[0])]

    def _undo(self) -> None:
        """Remove what was written, unless the manifest names it already, because a later step failed."""
        with suppress(InputError, OSError):
            self._read()
            self._made = self._made and self._kept is None
            self._sweep()

    def _sweep(self) -> None:
        """Remove files of ours that the manifest does not name, if it can be read."""
        if self._kept is not None and self._kept.progress is None:
            return
        named = {part.file for part in self._parts}
        for name in entries(self._folder):
            if _OWN_NAME.fullmatch(name) and name not in named:
                with suppress(OSError):
                    self._files.unlink(self._folder / name)


def column_type(field: Field) -> str:
    """Return the type of a field's column: that of DuckDB, with JSON as text."""
    return "VARCHAR" if field.kind == "json" else duckdb_type(field)


def to_text(new: KeptProgress, parts: Sequence[FolderPart]) -> bytes:
    """Write a manifest: one JSON object, the basis as `--basis-from` reads it."""
    progress = new.read()
    manifest = {
        "store": progress.store,
        "projection": progress.projection,
        "basis": json.loads(to_json(progress.basis)),
        "rows": sum(part.rows for part in parts),
        "files": [part.file for part in parts],
        "columns": {field.column: column_type(field) for field in new.fields},
        "fields": msgspec.to_builtins(new.fields),
        "parts": msgspec.to_builtins(tuple(parts)),
    }
    return json.dumps(manifest, ensure_ascii=False, indent=1).encode() + b"\n"


def from_text(data: bytes, where: str) -> tuple[KeptProgress, tuple[FolderPart, ...]]:
    """Read a manifest. Raises InputError for one that `to_text` did not write."""
    try:
        manifest = json.loads(data)
        basis = parse_basis(json.dumps(manifest["basis"]))
        fields = read_fields(manifest["fields"])
        parts = msgspec.convert(manifest["parts"], tuple[FolderPart, ...])
        if basis is None or not all(_OWN_NAME.fullmatch(part.file) for part in parts):
            raise ValueError
        return KeptProgress(Progress(str(manifest["store"]), str(manifest["projection"]), basis), fields), parts
    except (ValueError, LookupError, TypeError, RecursionError, msgspec.MsgspecError) as error:
        raise InputError(f"{where} is not as esctl wrote it", _REMAKE_HINT) from error


def _bounds_sql(parts: Sequence[FolderPart], run: Sequence[FolderPart]) -> str:
    """Write the condition that a key falls into a run of neighbouring files."""
    start, end = parts.index(run[0]), parts.index(run[-1]) + 1
    tests = [f"(kind, entity) >= ({literal(run[0].kind)}, {literal(run[0].entity)})"] if start else []
    if end < len(parts):
        tests.append(f"(kind, entity) < ({literal(parts[end].kind)}, {literal(parts[end].entity)})")
    return " AND ".join(tests) or "true"
