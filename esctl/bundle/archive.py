"""The zip archive of a bundle: written the same way every time, read without trusting a byte of it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import tempfile
import zipfile
from collections.abc import Iterable
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING

from esctl.errors import InputError
from esctl.ledger.check.findings import Finding
from esctl.named import open_named
from esctl.output.sink import open_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644
_UNIX = 3
_VERSION = 20
_LOCAL_HEADER = 30
_BLOCK = 1 << 20
_ENTRY = struct.Struct("<4s4B4H3L5H2L")
_FIRST_DAY = 33  # 1980-01-01, as MS-DOS counts
_END = struct.Struct("<4s4H2LH")
_MANY, _FAR = 0xFFFF, 0x7FFFFFFF
"""Numbers of files and of bytes from which on an archive needs Zip64 records."""
_DAMAGED = (KeyError, zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError)
_NAME = re.compile(r"(?:[a-z]{1,20}/)?[A-Za-z0-9][A-Za-z0-9.-]{0,60}", re.ASCII)
MOST_FILES = 2_000_000
LARGEST_FILE = 1 << 30
"""Bytes of one file: a bundle is read a file at a time."""


def write_archive(path: Path, files: Iterable[tuple[str, bytes | Path]]) -> None:
    """Write files uncompressed, with one time and mode; the archive appears once it is complete.

    `files` are names with content: bytes, or a path, which is read before the next file is asked for.

    Raises as `open_sink` does, and whatever making the files raises.
    """
    with open_sink(path) as sink:
        if stat.S_ISREG(os.fstat(sink.fileno()).st_mode):
            _write_zip(sink, files)
            return
        with tempfile.TemporaryFile() as spool:  # zip seeks back to complete the header in front of each file
            _write_zip(spool, files)
            spool.seek(0)
            shutil.copyfileobj(spool, sink, _BLOCK)


def _write_zip(stream: IO[bytes], files: Iterable[tuple[str, bytes | Path]]) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = _UNIX, (stat.S_IFREG | _MODE) << 16
            if isinstance(content, bytes):
                archive.writestr(entry, content)
                continue
            entry.file_size = content.stat().st_size  # a large file needs a Zip64 header, written in front
            with content.open("rb") as read, archive.open(entry, "w") as written:
                shutil.copyfileobj(read, written, _BLOCK)


class Archive:
    """An open bundle. `problems` lists how its form differs from what `write_archive` writes."""

    def __init__(self, file: zipfile.ZipFile, size: int) -> None:
        self._file = file
        entries = file.infolist()
        self.problems = tuple(Finding("changed", message, name) for name, message in _problems(file, entries, size))
        self._entries = {entry.filename: entry for entry in entries}

    @property
    def names(self) -> tuple[str, ...]:
        """List the files, in the archive's order."""
        return tuple(self._entries)

    def __contains__(self, name: str) -> bool:
        """Return whether a file is in the archive."""
        return name in self._entries

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None if it is missing or damaged."""
        try:
            return self._file.read(self._entries[name])
        except _DAMAGED:
            return None

    def digest(self, name: str) -> tuple[int, str] | None:
        """Return a file's size and SHA-256, read block by block, or None if it is missing or damaged."""
        found, size = sha256(), 0
        try:
            with self.stream(name) as stream:
                while block := stream.read(_BLOCK):
                    found.update(block)
                    size += len(block)
        except _DAMAGED:
            return None
        return size, found.hexdigest()

    def size(self, name: str) -> int:
        """Return a file's size in bytes. Raises KeyError if it is missing."""
        return self._entries[name].file_size

    def stream(self, name: str) -> IO[bytes]:
        """Open a file for reading. Raises KeyError if it is missing; reading it raises if it is damaged."""
        return self._file.open(self._entries[name])


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a bundle for reading; nothing is ever unpacked to disk. Raises InputError for what is not a zip archive."""
    try:
        with open(open_named(path, streams=False), "rb") as stream:  # it is read from its end
            size = os.fstat(stream.fileno()).st_size
            with zipfile.ZipFile(stream) as file:
                if len(file.infolist()) > MOST_FILES:
                    raise InputError(
                        f"{path} has more than {MOST_FILES:,} files", "it is not a bundle that esctl wrote"
                    )
                yield Archive(file, size)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file", "name a bundle that esctl bundle wrote") from error
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{path} is not a bundle: {reason}", "make one with: esctl bundle") from error


def _problems(file: zipfile.ZipFile, entries: list[zipfile.ZipInfo], size: int) -> Iterator[tuple[str, str]]:
    """Yield each deviation from the layout of `write_archive`: the file's name and a message.

    Uncompressed files that lie end to end cannot unpack to more than the archive's size.
    """
    reached, seen = 0, set[str]()
    for entry in entries:
        name = entry.filename
        if not _NAME.fullmatch(entry.orig_filename):
            yield "", f"a file in it has the name {name[:80]!r}, which no bundle has"
        elif name in seen:
            yield name, "it is in there twice"
        elif problem := _entry_problem(file, entry, reached):
            yield name, problem
        seen.add(name)
        reached = entry.header_offset + _LOCAL_HEADER + len(name.encode()) + entry.file_size
    if reached != file.start_dir or not _ends_plainly(file, entries, size):
        yield "", "there are bytes in it that belong to no file"


def _entry_problem(file: zipfile.ZipFile, entry: zipfile.ZipInfo, reached: int) -> str:
    attributes = (entry.external_attr >> 16, entry.date_time, entry.create_system, entry.create_version)
    others = (entry.flag_bits, entry.internal_attr, entry.volume, entry.reserved, entry.external_attr & 0xFFFF)
    if attributes != (stat.S_IFREG | _MODE, _EPOCH, _UNIX, _VERSION) or any(others) or entry.comment:
        return "it is encrypted, a link, a folder, or was packed by another program"
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        return "it is compressed, which no file of a bundle is"
    if entry.file_size > LARGEST_FILE:
        return f"it has more than {LARGEST_FILE:,} bytes"
    if entry.header_offset != reached:
        return "it does not begin where the file before it ends"
    if entry.header_offset < _FAR and _local_header(file, entry) != entry.FileHeader():
        return "it is told of in two ways"
    return ""


def _local_header(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    assert file.fp is not None
    file.fp.seek(entry.header_offset)
    return file.fp.read(_LOCAL_HEADER + len(entry.filename.encode()))


def _ends_plainly(file: zipfile.ZipFile, entries: list[zipfile.ZipInfo], size: int) -> bool:
    """Return whether the archive ends with its directory, byte for byte, and an end record without a comment.

    Of a large archive, which ends with Zip64 records, only the comment is checked.
    """
    count = len(entries)
    if count >= _MANY or file.start_dir >= _FAR:
        return not file.comment
    assert file.fp is not None
    file.fp.seek(min(file.start_dir, size))
    try:
        directory = b"".join(map(_directory_entry, entries))
    except struct.error:  # a size or place that no archive of this size can have
        return False
    return file.fp.read() == directory + _END.pack(b"PK\5\6", 0, 0, count, count, len(directory), file.start_dir, 0)


def _directory_entry(entry: zipfile.ZipInfo) -> bytes:
    """Return a file's entry in the directory as `write_archive` writes it."""
    name = entry.filename.encode()
    return _ENTRY.pack(
        b"PK\1\2", _VERSION, _UNIX, entry.extract_version, 0, 0, zipfile.ZIP_STORED, 0, _FIRST_DAY, entry.CRC,
        entry.file_size, entry.file_size, len(name), 0, 0, 0, 0, entry.external_attr, entry.header_offset,
    ) + name  # fmt: skip
