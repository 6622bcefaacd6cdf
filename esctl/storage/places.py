"""Operations on the files of a store, wherever it is kept: on this machine, or elsewhere behind a mirror."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from esctl.errors import InputError
from esctl.storage.local import describe_failure, entries, subfolders
from esctl.storage.mirrors import mirror_of
from esctl.storage.protocol import ConflictError


def files_below(folder: Path) -> list[Path]:
    """List the regular files in a folder and all below it, the deepest first; no link is followed."""
    return [path for each in subfolders(folder) for path in files_below(each)] + [
        folder / name for name in sorted(entries(folder))
    ]


@contextmanager
def explained_writing(path: Path) -> Iterator[None]:
    """Turn a failure to replace a file, also because another machine replaced it first, into an InputError."""
    try:
        with describe_failure(f"write {path}"):
            yield
    except ConflictError:
        raise InputError(f"{path} was changed by another machine meanwhile", "run the command again") from None


def list_numbered(folder: Path) -> list[str]:
    """List the files of a folder in which numbered files are only ever added; none if it does not exist."""
    mirror = mirror_of(folder)
    return mirror.numbered(folder) if mirror else entries(folder)


def exists(path: Path) -> bool:
    """Return whether a file of a store exists."""
    mirror = mirror_of(path)
    return mirror.exists(path) if mirror else path.exists()


def may_be_there(path: Path) -> bool:
    """Return whether a file that failed to be written may exist: elsewhere, the write may still be under way."""
    return bool(mirror_of(path)) or path.exists()


def require_order(folder: Path) -> None:
    """Raise InputError if two writers can both be first in the place where a store is kept."""
    if mirror := mirror_of(folder):
        mirror.require_order()


def fetched_path(path: Path) -> Path:
    """Return the path of a file, fetched whole if it is kept elsewhere, so that it can be read by name."""
    if mirror := mirror_of(path, links=True):
        with suppress(FileNotFoundError):
            mirror.fetch(path)
    return path


def prefetch(paths: Sequence[Path]) -> None:
    """Fetch several small, unchanging files together, if they are kept elsewhere."""
    if len(paths) > 1 and (mirror := mirror_of(paths[0])):
        mirror.prefetch(paths)


def note_erasures(store: Path, count: int, identity: str = "") -> None:
    """Make a store's mirror drop what was erased: the log has `count` erasures; `identity` as the mirror takes it."""
    if mirror := mirror_of(store):
        mirror.note_erasures(count, identity)


def forget_fetched(store: Path) -> None:
    """Empty a store's mirror, so that everything is read anew from where it is kept."""
    if mirror := mirror_of(store):
        mirror.purge()


def ages(folder: Path) -> dict[str, float]:
    """Return for how many seconds a folder's files have been unchanged or, after `retire`, out of use."""
    if mirror := mirror_of(folder):
        return mirror.ages(folder)
    found, now = {}, time.time()
    for name in entries(folder):
        with suppress(FileNotFoundError):
            found[name] = now - (folder / name).lstat().st_mtime
    return found


def retire(path: Path) -> None:
    """Start the age of a file anew: it is out of use, and stays for those who still read it."""
    if mirror := mirror_of(path):
        mirror.retire(path)
        return
    with suppress(OSError):
        os.utime(path, follow_symlinks=False)


def is_seen(folder: Path) -> bool:
    """Return whether a worker sees a folder of a store; for a store kept elsewhere, make it in the mirror first."""
    if mirror_of(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder.is_dir()


def is_writable(folder: Path) -> bool:
    """Return whether files can be made in a folder of a store."""
    mirror = mirror_of(folder)
    return mirror.is_writable(folder) if mirror else os.access(folder, os.W_OK)
