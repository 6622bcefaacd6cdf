"""Members of zip and tar archives as byte streams: nothing is unpacked to disk except to a nameless file."""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

from msgspec import Struct

from esctl.errors import InputError
from esctl.sources.inflate import BARE, Inflated
from esctl.sources.streams import Limits, open_path, opening

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_TAR = re.compile(r"\.(tar(\.\w+)?|tgz|tbz2?|txz|tzst)\Z", re.IGNORECASE)
_USTAR = slice(257, 262)
_DOCUMENTS = ("[Content_Types].xml", "META-INF/MANIFEST.MF", "mimetype")  # what office documents and jars begin with
_LISTED = b"PK\x01\x02"  # what the entry of each member begins with in the directory of a zip archive
_LOCAL = 30  # bytes of a local header of zip, before its name
_MOST_MEMBERS = 1_000_000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Member(Struct, frozen=True):
    """A file in an archive: where its bytes are (for tar, in the unpacked archive), and how many there are."""

    archive: str  # as the person named it
    name: str
    kind: str  # zip or tar
    at: int
    packed: int
    size: int
    crc: int = 0
    method: int = 0
    refusal: str = ""  # why it cannot be read


def members_of(name: str, path: Path, limits: Limits) -> list[Member] | None:
    """List the files in an archive, sorted by name, each name once; None if the file is not an archive.

    Raises InputError for an archive that is damaged.
    """
    with opening(name), path.open("rb") as file:
        head = file.read(512)
    try:
        if head.startswith(_ZIP):
            return _in_zip(name, path)
        if head[_USTAR] == b"ustar" or (_TAR.search(name) and _is_tar(name, path, limits)):
            return _in_tar(name, path, limits)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{name}: damaged archive: {error}", "unpack what can be unpacked of it by hand") from error
    return None


def _is_tar(name: str, path: Path, limits: Limits) -> bool:
    stream = open_path(name, path, limits=limits)
    try:
        return stream.read(512)[_USTAR] == b"ustar"
    finally:
        stream.close()


def _in_zip(name: str, path: Path) -> list[Member] | None:
    with _Directory(name, path) as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if any(entry.filename in _DOCUMENTS for entry in entries[:50]):
            return None
        found = [
            Member(
                archive=name,
                name=entry.filename,
                kind="zip",
                at=entry.header_offset,
                packed=entry.compress_size,
                size=entry.file_size,
                crc=entry.CRC,
                method=entry.compress_type,
                refusal=_refusal(entry),
            )
            for entry in entries
            if not entry.is_dir()
        ]
    return _select_members(found)


def _refusal(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & 1:
        return "it is encrypted"
    return "" if entry.compress_type in _METHODS else "it is packed in a way that is not read"


def _in_tar(name: str, path: Path, limits: Limits) -> list[Member]:
    found = []
    damage = _spool(name, path, _file_state(path), limits)[1]
    try:
        with _unpacked_tar(name, path, limits) as file, tarfile.TarFile(fileobj=file) as archive:
            for count, entry in enumerate(archive, 1):
                _check_count(name, count)
                if entry.isreg():
                    why = "" if entry.sparse is None else "it is kept as a sparse file"
                    size = entry.size
                    found.append(Member(name, entry.name, "tar", entry.offset_data, size, size, refusal=why))
            damage = damage or _damage_at(name, file, archive.offset)
    except tarfile.TarError as error:
        damage = damage or InputError(f"{name}: {error}")
    rest = [Member(name, "the rest", "tar", 0, 0, 0, refusal=damage.message)] if damage else []
    return [*_select_members(found), *rest]


def _damage_at(name: str, file: IO[bytes], end: int) -> InputError | None:
    """Return the damage where the members of a tar end: TarFile takes any header that is none for the end."""
    file.seek(end)
    is_end = file.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
    return None if is_end else InputError(f"{name}: damaged or cut off at byte {end:,}")


def _check_count(name: str, count: int) -> None:
    """Raise InputError if an archive has too many members."""
    if count > _MOST_MEMBERS:
        raise InputError(f"{name} has more than {_MOST_MEMBERS:,} members", "unpack it by hand")


class _Directory(io.BufferedReader):
    """A zip archive, whose members are counted where they are listed, before a thing is made of each."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._archive = name

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        _check_count(self._archive, data.count(_LISTED))
        return data


def _select_members(found: list[Member]) -> list[Member]:
    """Return the members sorted, without hidden ones; of several with one name the last, as if unpacked."""
    named = {member.name: member for member in found if not _is_hidden(member.name)}
    return [named[name] for name in sorted(named)]


def _is_hidden(name: str) -> bool:
    parts = [part for part in re.split(r"[/\\]", name) if part not in (".", "..", "")]
    return not parts or any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _unpacked_tar(name: str, path: Path, limits: Limits) -> IO[bytes]:
    """Return the bytes of a tar: the file itself or, if it is compressed, an unpacked nameless copy, made once."""
    file, _ = _spool(name, path, _file_state(path), limits)
    if file is None:
        return cast(IO[bytes], path.open("rb"))
    again = os.fdopen(os.dup(file.fileno()), "rb")
    again.seek(0)
    return cast(IO[bytes], again)


def _file_state(path: Path) -> tuple[int, ...]:
    there = path.stat()
    return there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns


@lru_cache(maxsize=4)
def _spool(name: str, path: Path, state: tuple[int, ...], limits: Limits) -> tuple[IO[bytes] | None, InputError | None]:
    """Return an unpacked nameless copy of a tar (None if it is not compressed), and the damage that ended it."""
    stream, damage = open_path(name, path, limits=limits), None
    try:
        if not stream.compressed:
            return None, None
        file = cast(IO[bytes], tempfile.TemporaryFile())  # noqa: SIM115  # kept for the next members
        try:
            while block := stream.read(1 << 20):
                file.write(block)
        except InputError as error:
            damage = error
        file.flush()
        return file, damage
    finally:
        stream.close()


def open_member(path: Path, member: Member, limits: Limits) -> IO[bytes]:
    """Open a member for reading. Raises InputError if it cannot be read.

    Reading raises InputError, OSError, EOFError or zlib.error if the member is damaged or unpacks too far.
    """
    name = f"{member.archive}!{member.name}"
    if member.refusal:
        raise InputError(f"{name} cannot be read: {member.refusal}", "unpack the archive by hand")
    if member.kind == "tar":
        with opening(name):
            damage = _spool(member.archive, path, _file_state(path), limits)[1]
            file = _unpacked_tar(member.archive, path, limits)
        return cast(IO[bytes], _Slice(file, member.at, member.size, damage))
    with opening(name):
        zipped = path.open("rb")
        header = os.pread(zipped.fileno(), _LOCAL, member.at)
    begin = member.at + _LOCAL + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    piece = _Slice(cast(IO[bytes], zipped), begin, member.packed)
    return cast(IO[bytes], _ZipContent(name, piece, member, limits))


class _Slice(io.RawIOBase):
    """A range of bytes of a file, read by position, because others may read the same file."""

    def __init__(self, file: IO[bytes], at: int, size: int, damage: InputError | None = None) -> None:
        self._file = file
        self._damage = damage
        self._at = at
        self._end = at + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._file.fileno(), min(len(buffer), self._end - self._at), self._at)
        if not data and self._at < self._end:
            raise self._damage or EOFError("it ends before its own end")
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def read1(self, size: int) -> bytes:
        """Read up to `size` bytes."""
        data = bytearray(size)
        return bytes(data[: self.readinto(data)])

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _ZipContent(io.RawIOBase):
    """The content of a member of a zip archive, checked against the limits and its own checksum."""

    def __init__(self, name: str, piece: _Slice, member: Member, limits: Limits) -> None:
        self._name, self._piece, self._member, self._limits = name, piece, member, limits
        is_deflated = member.method == zipfile.ZIP_DEFLATED
        self._inflated = Inflated(cast(IO[bytes], piece), BARE) if is_deflated else None
        self._crc = self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        got = self._piece.readinto(view) if self._inflated is None else self._inflated.readinto1(view)
        self._crc = zlib.crc32(view[:got], self._crc)
        self._given += got
        self._limits.check(self._name, self._given, self._member.packed)
        if not got and (self._crc != self._member.crc or self._given != self._member.size):
            raise OSError("its checksum does not fit")
        return got

    def close(self) -> None:
        self._piece.close()
        super().close()
