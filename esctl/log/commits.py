"""The commit log: numbered, hash-chained files that say what a store consists of.

A commit is durable before its name appears, and its name can appear only once: two writers cannot both make commit n.
Every hundredth commit a summary is kept beside, so that opening reads about a hundred files however old the store.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from esctl.errors import InputError, UsageError
from esctl.log.commit_json import commit_from_json, commit_to_json, snapshot_from_json, snapshot_to_json
from esctl.log.lines import from_line, to_line
from esctl.log.store_state import FORMAT, Commit, StoreState, commit_name, empty, identity, replay
from esctl.storage.inside import require_plain
from esctl.storage.local import (
    Filesystem,
    describe_failure,
    entries,
    make_folder,
    read_regular,
    write_exclusive,
    write_replacing,
)
from esctl.storage.places import exists, may_be_there, note_erasures, numbered, prefetch, require_order
from esctl.storage.protocol import ConflictError

SUMMARY_EVERY = 100
_COMMIT_NAME = re.compile(r"(\d{20})\.json", re.ASCII)
_SUMMARY_NAME = re.compile(r"summary-(\d{20})\.json", re.ASCII)
_LARGEST_FILE = 1 << 30
_FOLDERS = ("log", "commits")
_DAMAGED = "the store is damaged: restore it from a copy"


class CommitLog:
    """The commits of one store. Make it with `open_log` or `create_store`; reading changes no file."""

    def __init__(self, path: Path, empty_snapshot: StoreState, files: Filesystem) -> None:
        self.path = path
        self.folder = path / "commits"
        self._empty = empty_snapshot
        self._files = files

    @property
    def store_id(self) -> str:
        """Return the store's UUID."""
        return self._empty.store_id

    @property
    def erasable(self) -> bool:
        """Whether records are salted, so that they can be redacted."""
        return self._empty.erasable

    def read(self, upto: int | None = None, *, summaries: bool = True) -> StoreState:
        """Return the store as its last commit left it, or as commit number `upto` did.

        Without `summaries` every commit file is read. Raises InputError, naming the file, for a commit that is missing,
        unreadable or does not follow from the one before.
        """
        names = numbered(self.folder)
        last = self._last_seq(names)
        stop = last if upto is None else upto
        if stop > last:
            raise InputError(f"{self.folder / commit_name(stop)} is missing", _DAMAGED)
        start = self._newest_summary(names, stop) if summaries else self._empty
        prefetch([self.folder / commit_name(seq) for seq in range(start.seq + 1, stop + 1)])
        found = replay(start, [self._read_commit(seq) for seq in range(start.seq + 1, stop + 1)])
        note_erasures(self.path, len(found.redactions))
        return found

    def append(self, snapshot: StoreState, commit: Commit) -> StoreState:
        """Make a commit durable; what it names must be so already. Gives the store as it is after.

        Raises ConflictError if another writer made this commit first, InputError if it cannot be written.
        """
        data = to_line(commit_to_json(commit))
        after = replay(snapshot, [(commit, sha256(data).hexdigest())])
        target = self.folder / commit_name(commit.seq)
        with describe_failure(f"write {target}"):
            write_exclusive(self._files, target, data, commit_name(commit.seq))
        note_erasures(self.path, len(after.redactions))
        if after.seq % SUMMARY_EVERY == 0:
            self._write_summary(after)
        return after

    def sync(self) -> None:
        """Sync the names of all commits and segments to the disk, whoever made them. Raises InputError.

        A commit may be there whose writer was ended, or failed, before its name was durable.
        """
        with describe_failure(f"write {self.path}"):
            for folder in _FOLDERS:
                self._files.sync_folder(self.path / folder)

    def has(self, seq: int) -> bool:
        """Return whether commit number `seq` was made, or may be: elsewhere it may still come after a failure."""
        return may_be_there(self.folder / commit_name(seq))

    def mend_summary(self, snapshot: StoreState) -> None:
        """Write the newest summary that there should be, if it is missing or damaged. For writers only."""
        due = snapshot.seq - snapshot.seq % SUMMARY_EVERY
        if due and self._read_summary(due) is None:
            self._write_summary(self.read(due))

    def missing_summaries(self, snapshot: StoreState) -> list[int]:
        """List the commits whose summary there should be, up to a snapshot, and is missing or damaged."""
        return [seq for seq in range(SUMMARY_EVERY, snapshot.seq + 1, SUMMARY_EVERY) if self._read_summary(seq) is None]

    def write_summary(self, seq: int) -> None:
        """Write the summary of the commits up to one. For writers only."""
        self._write_summary(self.read(seq, summaries=False))

    def _write_summary(self, snapshot: StoreState) -> None:
        data = summary_line(snapshot, self._empty.commit_sha256)
        name = f"summary-{commit_name(snapshot.seq)}"
        # On a conflict, another writer makes the same.
        with describe_failure(f"write {self.folder / name}"), suppress(ConflictError):
            write_replacing(self._files, self.folder / name, data, name)

    def _newest_summary(self, names: Iterable[str], stop: int) -> StoreState:
        for seq in sorted(_numbers(_SUMMARY_NAME, names), reverse=True):
            found = self._read_summary(seq) if seq <= stop else None
            if found is not None:
                return found
        return self._empty

    def _read_summary(self, seq: int) -> StoreState | None:
        """Read a summary; None for one that is missing, damaged or of another store: it can be derived again."""
        try:
            value = from_line(read_regular(self.folder / f"summary-{commit_name(seq)}", _LARGEST_FILE))
            summary = snapshot_from_json(self._empty, value)
            commit, digest = self._read_commit(seq)
        except (OSError, InputError, ValueError, KeyError, TypeError, AttributeError):
            return None
        told = (summary.seq, summary.commit_sha256, summary.tree, summary.at)
        return summary if told == (seq, digest, commit.tree, commit.at) else None

    def _read_commit(self, seq: int) -> tuple[Commit, str]:
        path = self.folder / commit_name(seq)
        try:
            data = read_regular(path, _LARGEST_FILE)
            return commit_from_json(from_line(data)), sha256(data).hexdigest()
        except FileNotFoundError as error:
            raise InputError(f"{path} is missing", _DAMAGED) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is not a commit file: {_reason(error)}", _DAMAGED) from error

    def _last_seq(self, names: list[str]) -> int:
        present = set(_numbers(_COMMIT_NAME, names))
        last = max(present, default=0)
        missing = next((seq for seq in range(1, last + 1) if seq not in present), 0)
        newest_summary = max(_numbers(_SUMMARY_NAME, names), default=0)
        if missing or newest_summary > last:
            raise InputError(f"{self.folder / commit_name(missing or last + 1)} is missing", _DAMAGED)
        return last


def commit_numbers(names: Iterable[str]) -> Iterable[int]:
    """Return the numbers of the commit files among the names in a folder."""
    return _numbers(_COMMIT_NAME, names)


def summary_numbers(names: Iterable[str]) -> Iterable[int]:
    """Return the numbers of the commits that have a summary."""
    return _numbers(_SUMMARY_NAME, names)


def summary_line(snapshot: StoreState, identity: str) -> bytes:
    """Write a summary file: what the commits up to one add up to. `identity`: what the first of them follows from."""
    return to_line(snapshot_to_json(snapshot, identity))


def open_log(path: Path, files: Filesystem | None = None) -> CommitLog:
    """Open the commit log of the store in this folder.

    Raises InputError if there is none, or one of a format this version does not know.
    """
    try:
        value = from_line(read_regular(path / "format.json", 1 << 20))
        version, store_id, erasable = value["format"], str(value.get("store_id")), value.get("erasable")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"there is no store in {path}", "make one with: esctl ingest FILE") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path / 'format.json'} is not readable: {_reason(error)}", _DAMAGED) from error
    if type(version) is not int or version != FORMAT:
        hint = "use the version of esctl that wrote it, or a newer one"
        raise InputError(f"{path / 'format.json'} has the format {version!r}; this esctl knows {FORMAT}", hint)
    if type(erasable) is not bool or not _is_uuid(store_id):
        raise InputError(f"{path / 'format.json'} is not readable: no store_id or erasable", _DAMAGED)
    return CommitLog(path, empty(path, store_id, erasable), files or Filesystem())


def create_store(path: Path, erasable: bool = False, files: Filesystem | None = None, rights: int = 0o777) -> CommitLog:
    """Make a store in this folder, or open the one that is there. Safe to run twice at once, or again after a crash.

    `rights`: what a new one gives at most; the umask takes away more.

    Raises UsageError if the store there is not erasable as asked, InputError if it cannot be made.
    """
    files = files or Filesystem()
    target = path / "format.json"
    if not exists(target):
        with describe_failure(f"make a store in {path}"):
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=rights, exist_ok=True)
            require_plain(path)
            require_order(path)
            for name in _FOLDERS:
                make_folder(path / name)
            if list(_numbers(_COMMIT_NAME, entries(path / "commits"))):
                raise InputError(f"{target} is missing, though there are commits", _DAMAGED)
            data = to_line(identity(str(uuid.uuid4()), erasable))
            with suppress(ConflictError):  # another process made the store meanwhile: use that one
                write_exclusive(files, target, data, "format.json")
            files.sync_folder(path.parent)
    log = open_log(path, files)
    if log.erasable != erasable:
        state = "is" if log.erasable else "is not"
        raise UsageError(f"the store in {path} {state} erasable", "that is settled when a store is made")
    return log


def _numbers(pattern: re.Pattern[str], names: Iterable[str]) -> Iterable[int]:
    return (int(match[1]) for name in names if (match := pattern.fullmatch(name)))


def _is_uuid(value: str) -> bool:
    try:
        return str(uuid.UUID(value)) == value
    except ValueError:
        return False


def _reason(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
