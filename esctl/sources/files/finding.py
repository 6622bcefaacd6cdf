"""Names on the command line -> sources -> byte streams."""

from __future__ import annotations

import difflib
import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from msgspec import Struct

from esctl.errors import InputError, UsageError, shell_word
from esctl.named import open_stdin
from esctl.sources.files.archives import Member, members_of, open_member
from esctl.sources.protocol import Note
from esctl.sources.streams import LIMITS, ByteStream, Limits, open_path

STDIN = "-"
_MOST_NAMED = 10
_SIDECAR = re.compile(
    r"(readme|license|licence|changelog|copying)([._-].*)?"
    r"|notice(\.(txt|md))?"  # notice.log is one of Zeek's
    r"|(.*[._-])?manifest(\.(json|txt|xml|ya?ml|csv))?|_manifest.*"
    r"|(.*[._-])?(checksums?|(sha(1|224|256|384|512)|md5)(sums?)?)(\.txt)?|.*\.(crc|sfv|sig|asc|p7s)"
    r"|_success|_started.*|_committed.*|_(common_)?metadata|thumbs\.db|desktop\.ini"
    r"|.*_cloudtrail-digest_.*",
    re.IGNORECASE,
)
_OTHER_KIND = re.compile(
    r".*\.(py|pyc|ipynb|sh|bash|zsh|ps1|bat|js|mjs|ts|css|html?|md|rst|adoc|go|rs|java|class|rb|php|cpp|hpp"
    r"|png|jpe?g|gif|svg|ico|webp|so|dll|exe|toml|ini|cfg)",
    re.IGNORECASE,
)
"""Programs, pages, pictures and settings, which lie next to logs but hold none."""
SKIPPED_IN_FOLDERS = frozenset({"esctl.toml"})


def is_sidecar(name: str) -> bool:
    """Return whether a file that was found, not named, holds no events by its name: a README, manifest, program, ..."""
    last = name.rpartition("/")[2]
    return _SIDECAR.fullmatch(last) is not None or _OTHER_KIND.fullmatch(last) is not None


class Source(Struct, frozen=True):
    """One file, stdin, or a member of an archive: `name` as it is recorded, `path` None for stdin."""

    name: str
    path: Path | None
    member: Member | None = None

    @property
    def reopenable(self) -> bool:
        """Return whether reading it twice gives the same bytes (false for stdin, pipes, sockets)."""
        return self.path is not None and os.path.isfile(self.path)  # unlike `is_file`, False if it cannot be looked at

    @property
    def size(self) -> int | None:
        """Return the bytes of the file on disk or of the member; None if it is no plain file or cannot be looked at."""
        if self.member is not None:
            return self.member.size
        try:
            return os.path.getsize(self.path) if self.path is not None and os.path.isfile(self.path) else None
        except OSError:
            return None


def expand(arguments: Sequence[str], limits: Limits = LIMITS, note: Note = lambda text: None) -> list[Source]:
    """Turn files, globs, folders, archives and "-" into sources, in the order given, each once.

    Folders are read recursively, sorted, without hidden files and files that hold no events (these are noted). Members
    of zip and tar archives are sources `archive!member`. Raises InputError for a file that does not exist.
    """
    found: dict[str, Source] = {}
    for argument in arguments:
        left_out = LeftOut()
        for source in _expand_one(argument):
            if source.path is not None and os.path.isdir(argument) and is_sidecar(source.name):
                left_out.add(source.name)
            else:
                found.update(
                    (each.name, found.get(each.name, each)) for each in expand_archive(source, limits, left_out)
                )
        left_out.write_note(note)
    return list(found.values())


class LeftOut:
    """The files that were found but, by their names, hold no events; of many only the first names are kept."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._count = 0

    def add(self, name: str) -> None:
        """Add the name of such a file."""
        self._names += [name] if self._count < _MOST_NAMED else []
        self._count += 1

    def write_note(self, note: Note) -> None:
        """Write a note that names the files, if there are any."""
        if self._count:
            more = f" and {self._count - _MOST_NAMED} more" if self._count > _MOST_NAMED else ""
            named = ", ".join(self._names)
            note(f"left out, as by their names they hold no events: {named}{more}; a file is read if named")


def expand_archive(source: Source, limits: Limits, left_out: LeftOut) -> list[Source]:
    """Return a file, or the members of an archive, without those that hold no events. Raises InputError."""
    found = _members(source, limits)
    for each in found:
        if each.member is not None and is_sidecar(each.member.name):
            left_out.add(each.name)
    return [each for each in found if each.member is None or not is_sidecar(each.member.name)]


def _members(source: Source, limits: Limits) -> list[Source]:
    if source.path is None or not source.reopenable:
        return [source]
    members = members_of(source.name, source.path, limits)
    if members is None:
        return [source]
    return [Source(f"{source.name}!{_escape_invalid(member.name)}", source.path, member) for member in members]


def expand_followed(arguments: Sequence[str]) -> list[Source]:
    """Turn files, globs and "-" into sources that are followed; a file need not be there yet.

    Raises UsageError for a folder, InputError for a pattern that nothing matches.
    """
    found: dict[str, Source] = {}
    for argument in arguments:
        if os.path.isdir(argument):
            raise UsageError(f"{argument} is a folder, and only files can be followed", "name the files, or a pattern")
        is_name = argument != STDIN and not os.path.lexists(argument) and not glob.has_magic(argument)
        for source in [Source(_normalise_name(argument), Path(argument))] if is_name else _expand_one(argument):
            found.setdefault(source.name, source)
    return list(found.values())


def _expand_one(argument: str) -> Iterator[Source]:
    if argument == STDIN:
        yield Source(STDIN, None)
        return
    if os.path.lexists(argument):
        yield from _expand_path(argument)
        return
    found = sorted(glob.glob(argument, recursive=True)) if glob.has_magic(argument) else []
    matches = [match for match in found if not _is_endless(match)]
    if not matches:
        raise InputError(f"{argument}: no such file or folder", _missing_hint(argument))
    for match in matches:
        yield from _expand_path(match)


def _expand_path(text: str) -> Iterator[Source]:
    path = Path(text)
    if not os.path.isdir(path):
        yield Source(_normalise_name(text), path)
        return
    for folder, folders, names in os.walk(text):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name not in SKIPPED_IN_FOLDERS:
                file = os.path.join(folder, name)
                if not _is_endless(file):
                    yield Source(_normalise_name(file), Path(file))


def _is_endless(path: str) -> bool:
    """Return whether a path that was found, not named, is a FIFO, device or socket: grep -r skips these too."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False  # reported when it is opened
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _normalise_name(text: str) -> str:
    # A name that is not UTF-8 is recorded with its invalid bytes written as `\\xff`, because names are kept as text.
    return os.path.normpath(_escape_invalid(text)).replace(os.sep, "/")


def _escape_invalid(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _missing_hint(argument: str) -> str:
    if glob.has_magic(argument):
        return "the pattern matches nothing; patterns are relative to the working directory"
    folder, name = os.path.split(argument)
    try:
        neighbours = os.listdir(folder or ".")
    except OSError:
        return f"the folder {folder} cannot be read" if folder else ""
    close = difflib.get_close_matches(name, neighbours, n=1)
    if not close:
        return "give a file, a folder, a glob or - for stdin"
    return f"did you mean {shell_word(os.path.join(folder, close[0]))}?"


def open_stream(source: Source, limits: Limits = LIMITS) -> ByteStream:
    """Open a source for reading, decompressed by its magic bytes (gz, zst, bz2, xz), never by its suffix.

    Raises InputError when it cannot be opened; damage found later raises InputError from `readinto`.
    """
    if source.path is None:
        return ByteStream(source.name, cast(IO[bytes], open_stdin().buffer), None, limits=limits)
    if source.member is not None:
        raw = open_member(source.path, source.member, limits)
        return ByteStream(source.name, raw, source.member.size, limits=limits)
    return open_path(source.name, source.path, limits=limits)
