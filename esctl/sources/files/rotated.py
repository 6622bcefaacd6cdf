"""Files next to a followed one that its rotation may have made: app.log.1, app.log.2.gz, app-2024-01-31.log."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

_PACKED = re.compile(r"\.(?:gz|zst|zstd|bz2|xz)$")
_WORDS = re.compile(r"[._~-]+(?:old|bak|prev|previous|last|orig)?~?")
_UNFINISHED = re.compile(r"(?:tmp|temp|lock|lck|pid|idx|index|swp|part|partial)\d*$", re.IGNORECASE)
_NUMBERED = re.compile(r"\.([0-9]{1,9})")
PROBE = 4096
"""Bytes at the start of a file that show whether it is still the same."""

FileId = tuple[int, int]
"""Device and inode."""


class Sibling(Struct, frozen=True):
    """A file next to a followed one: its path, device and inode, last modification (ns) and size.

    `number`: the generation in its name, counted back from the newest, or None.
    """

    path: Path
    file_id: FileId
    written: int
    size: int
    number: int | None
    is_packed: bool


class Look(Struct, frozen=True):
    """A file at the time of a look: its size and the digest of its first bytes."""

    size: int
    digest: str


def is_rotated(name: str, other: str) -> bool:
    """Return whether a file's name is that of an older generation of `name`, packed or not."""
    bare = _PACKED.sub("", other)
    if other == name or _UNFINISHED.search(bare):
        return False
    if other.startswith(name):
        rest = bare[len(name) :]
        return bool(_WORDS.fullmatch(rest) or (rest[:1] in "._-" and re.search(r"\d", rest))) or not rest
    stem, suffix = os.path.splitext(name)
    rest = bare[len(stem) : len(bare) - len(suffix)]
    if re.fullmatch(rf"{re.escape(stem)}[._-]\d+", bare):
        return True
    is_between = bare.startswith(stem) and bare.endswith(suffix) and bare != name
    return bool(is_between and suffix and rest[:1] in tuple("._-") and re.search(r"\d", rest))


def list_siblings(path: Path, left: FileId | None = None) -> list[Sibling]:
    """List the older generations next to a file, the least recently written first.

    `left`: one of them, whose name shows how they are named if that is unusual. A compressed one whose original is
    still there may be half written, and is left out.
    """
    found = _list_in_folder(path.parent, path.name, left)
    if path.is_symlink():  # for example to the file of the day
        target = Path(os.path.realpath(path))
        found += [each for each in _list_in_folder(target.parent, target.name, left) if each not in found]
    names = {each.path for each in found}
    whole = [each for each in found if not each.is_packed or _without_suffix(each.path) not in names]
    return sorted(whole, key=lambda each: (each.written, -(each.number or 0), each.path.name))


def _list_in_folder(folder: Path, name: str, left: FileId | None) -> list[Sibling]:
    try:
        with os.scandir(folder) as entries:
            there = {entry.name: entry.inode() for entry in entries}
    except OSError:
        return []
    patterns = {_generalise_name(name)} | {
        _generalise_name(other) for other, inode in there.items() if left and inode == left[1]
    }
    names = [
        other for other in there if other != name and (is_rotated(name, other) or _generalise_name(other) in patterns)
    ]
    return [found for other in names if (found := _sibling(folder / other, name)) is not None]


def _generalise_name(name: str) -> str:
    """Return a name with 0 for each number and no suffix of compression: the same for the files of all days."""
    return re.sub(r"\d+", "0", _PACKED.sub("", name))


def _sibling(path: Path, name: str) -> Sibling | None:
    try:
        there = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(there.st_mode):
        return None
    numbered = _NUMBERED.fullmatch(_PACKED.sub("", path.name)[len(name) :]) if path.name.startswith(name) else None
    number = int(numbered[1]) if numbered else None
    is_packed = bool(_PACKED.search(path.name))
    return Sibling(path, (there.st_dev, there.st_ino), there.st_mtime_ns, there.st_size, number, is_packed)


def _without_suffix(path: Path) -> Path:
    return path.with_name(_PACKED.sub("", path.name))


def look_at(found: Iterable[Sibling]) -> dict[FileId, Look]:
    """Return a Look at each file by its place, to recognise it later: an inode is soon reused."""
    return {each.file_id: Look(each.size, _digest(each.path, each.size)) for each in found}


def is_known(each: Sibling, known: Mapping[FileId, Look]) -> bool:
    """Return whether a file was looked at before, under whatever name and whatever was added to it since."""
    before = known.get(each.file_id)
    if before is None or not before.size <= each.size:
        return False
    return _digest(each.path, before.size) == before.digest and (before.size > 0 or not each.size)


def _digest(path: Path, size: int) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.sha256(file.read(min(size, PROBE))).hexdigest()
    except OSError:
        return ""


def missing_names(found: Iterable[Sibling], left: Sibling) -> list[str]:
    """Return the names that the numbering lacks between the file that was left and the newest."""
    others = {each.number: each for each in found if each.number is not None}
    is_upwards = any(number < (left.number or 0) and each.written < left.written for number, each in others.items())
    if left.number is None or is_upwards:
        return []
    name = _PACKED.sub("", left.path.name).removesuffix(str(left.number))
    return [f"{name}{number}" for number in range(min(others, default=1) and 1, left.number) if number not in others]
