"""What may be in a store: folders and plain files. A link, FIFO, device or socket in it is never followed or opened."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from esctl.errors import InputError
from esctl.storage.local import TEMPORARY

FOLDERS = ("log", "commits", "checkpoints", "index", "snapshots")
DERIVED = ("index", "snapshots")
_LOCKS = ("lock", "lock.pid")
_FILES = ("format.json", "mapping.json", "views.json", *_LOCKS)
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFREG: "a file",
}


class Odd(Struct, frozen=True):
    """Something in a store that does not belong there; `file` is its path within the store."""

    file: str
    what: str

    @property
    def is_derived(self) -> bool:
        """Return whether it is where nothing is evidence, so that it can simply be removed."""
        first = self.file.partition("/")[0]
        return first in (*DERIVED, *_LOCKS) or first.startswith(TEMPORARY)


def require_plain(store: Path) -> None:
    """Raise InputError, naming the first, if a store has anything in it but folders and plain files."""
    for odd in odd_entries(store):
        path = store / odd.file
        hint = f"remove it with: rm {shlex.quote(str(path))}" if odd.is_derived else "restore the store from a copy"
        raise InputError(f"{path} is {odd.what}: nothing in a store is followed out of it", hint)


def odd_entries(store: Path) -> Iterator[Odd]:
    """Yield what is no folder or plain file, or is one in place of the other, or is a lock with a second name."""
    try:
        with os.scandir(store) as found:
            top = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise InputError(f"cannot read {store}: {error.strerror or error}", "the store must be readable") from error
    for entry in top:
        if entry.name in FOLDERS:
            yield from _odd_folder(entry, entry.name)
        elif entry.name in _FILES or entry.name.startswith(TEMPORARY):
            yield from _odd_file(entry, entry.name)


def _odd_folder(entry: os.DirEntry[str], place: str) -> Iterator[Odd]:
    if not entry.is_dir(follow_symlinks=False):
        if what := _describe_entry(entry):
            yield Odd(place, what)
        return
    waiting = [(entry.path, place)]
    while waiting:
        path, within = waiting.pop()
        try:
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda each: each.name)
        except FileNotFoundError:
            continue  # removed meanwhile
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}", "the store must be readable") from error
        for each in entries:
            name = f"{within}/{each.name}"
            if each.is_dir(follow_symlinks=False):
                waiting.append((each.path, name))
            else:
                yield from _odd_file(each, name)


def _odd_file(entry: os.DirEntry[str], place: str) -> Iterator[Odd]:
    if not entry.is_file(follow_symlinks=False):
        if what := _describe_entry(entry):
            yield Odd(place, what)
    elif entry.name in _LOCKS and (there := _stat(entry)) and there.st_nlink > 1:
        yield Odd(place, "a file of two names")  # locking truncates it, under both names


def _describe_entry(entry: os.DirEntry[str]) -> str:
    there = _stat(entry)
    return "" if there is None else _KINDS.get(stat.S_IFMT(there.st_mode), "no plain file")


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return what the system tells of an entry; None if it was removed meanwhile."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
