"""The commit log: numbered, hash-chained files that say what a store consists of.

A commit is durable before its name appears, and its name can appear only once: two writers cannot both make commit n.
A summary is kept of every hundredth commit, and of the last commit of a writer that made several, so that opening reads
few files however old the store. A summary of many segments names them by parts, which are files in the same folder.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from esctl.errors import InputError, UsageError
from esctl.log.commit_json import (
    commit_from_json,
    commit_to_json,
    part_from_bytes,
    split_into_parts,
    store_state_from_json,
    store_state_to_json,
)
from esctl.log.lines import from_line, to_line
from esctl.log.segments import SegmentEntry, SegmentPart, chunks_of
from esctl.log.store_state import (
    FORMAT,
    Commit,
    StoreState,
    after_commits,
    commit_name,
    identity,
    state_without_commits,
)
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
from esctl.storage.places import exists, list_numbered, may_be_there, note_erasures, prefetch, require_order
from esctl.storage.protocol import ConflictError

SUMMARY_EVERY = 100
_COMMIT_NAME = re.compile(r"(\d{20})\.json", re.ASCII)
HEAD_AFTER = 8
"""Commits since the newest summary at which a writer that ends adds another: opening reads these commits."""
HEAD_BYTES = 1 << 18
"""A summary n times as large as this is written n times less often."""
_SUMMARY_NAME = re.compile(r"(?:summary|head)-(\d{20})\.json", re.ASCII)
_HEAD = "head-"
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
        self._summed, self._summed_bytes = 0, 0  # number and bytes of the newest summary read or written
        self._last_bytes = 0
        self._replaced = False  # a commit after that summary replaced segments: opening reads parts

    @property
    def store_id(self) -> str:
        """Return the store's UUID."""
        return self._empty.store_id

    @property
    def erasable(self) -> bool:
        """Return whether records are salted, so that they can be erased."""
        return self._empty.erasable

    def read(self, upto: int | None = None, *, summaries: bool = True) -> StoreState:
        """Return the store state after the last commit, or after commit number `upto`.

        Without `summaries` every commit file is read. Raises InputError, naming the file, for a commit that is missing,
        unreadable or does not follow from the one before.
        """
        names = list_numbered(self.folder)
        if first_missing(names):
            names = list_numbered(self.folder)  # commits were made while the names were listed, or one is missing
        last = self._last_seq(names)
        stop = last if upto is None else upto
        if stop > last:
            raise InputError(f"{self.folder / commit_name(stop)} is missing", _DAMAGED)
        start = self._newest_summary(names, stop) if summaries else self._empty
        prefetch([self.folder / commit_name(seq) for seq in range(start.seq + 1, stop + 1)])
        following = [self._read_commit(seq) for seq in range(start.seq + 1, stop + 1)]
        self._replaced = any(commit.kind != "append" for commit, _ in following)
        found = after_commits(start, following)
        note_erasures(self.path, len(found.redactions))
        return found

    def head(self, seq: int) -> int:
        """Return the last position of the log after commit number `seq`, by its file. Raises as `read` does."""
        return self._read_commit(seq)[0].tree.size if seq else 0

    def append(self, store_state: StoreState, commit: Commit) -> StoreState:
        """Make a commit durable and return the store state after it. What it names must be durable already.

        Raises ConflictError if another writer made this commit first, InputError if it cannot be written.
        """
        data = to_line(commit_to_json(commit))
        after = after_commits(store_state, [(commit, sha256(data).hexdigest())])
        target = self.folder / commit_name(commit.seq)
        with describe_failure(f"write {target}"):
            write_exclusive(self._files, target, data, commit_name(commit.seq))
        note_erasures(self.path, len(after.redactions))
        self._replaced = self._replaced or commit.kind != "append"
        return self._write_summary(after) if after.seq % SUMMARY_EVERY == 0 else after

    def sync(self) -> None:
        """Sync the names of all commits and segments to the disk, whoever made them. Raises InputError.

        The writer of a commit may have ended or failed before the commit's name was durable.
        """
        with describe_failure(f"write {self.path}"):
            for folder in _FOLDERS:
                self._files.sync_folder(self.path / folder)

    def has(self, seq: int) -> bool:
        """Return whether commit number `seq` was made or, in a store kept elsewhere, may yet appear after a failure."""
        return may_be_there(self.folder / commit_name(seq))

    def keep_head(self, store_state: StoreState) -> None:
        """Write a summary of the last commit if opening would read much after the newest one. Needs the store's lock.

        A large summary is written less often, because writing it takes time in proportion to its size.
        """
        most = (1 if self._replaced else HEAD_AFTER) * (1 + self._summed_bytes // HEAD_BYTES)
        if store_state.seq - self._summed >= most:
            with suppress(InputError):
                self._write_summary(store_state, _HEAD)

    def mend_summary(self, store_state: StoreState) -> None:
        """Write the newest summary of a hundredth commit if it is missing or damaged. Needs the store's lock."""
        due = store_state.seq - store_state.seq % SUMMARY_EVERY
        if due and self._read_summary(due) is None:
            self._write_summary(self.read(due))

    def missing_summaries(self, store_state: StoreState) -> list[int]:
        """List the hundredth commits, up to a store state, whose summary is missing or damaged."""
        whole: dict[SegmentPart, bool] = {}
        due = range(SUMMARY_EVERY, store_state.seq + 1, SUMMARY_EVERY)
        return [seq for seq in due if not self._is_whole(self._read_summary(seq), whole)]

    def _is_whole(self, summary: StoreState | None, known: dict[SegmentPart, bool]) -> bool:
        if summary is None:
            return False
        for part in chunks_of(summary.segments):
            if isinstance(part, SegmentPart) and part not in known:
                try:
                    known[part] = bool(read_part(self.path, part))
                except InputError:
                    known[part] = False
        return all(known.get(part, True) for part in chunks_of(summary.segments) if isinstance(part, SegmentPart))

    def write_summary(self, seq: int) -> None:
        """Write the summary of the commits up to number `seq`. Needs the store's lock."""
        self._write_summary(self.read(seq, summaries=False))

    def _write_summary(self, store_state: StoreState, kind: str = "summary-") -> StoreState:
        """Write a summary, after the parts that it names; return the store state with these in place of segments."""
        parted, parts = split_into_parts(store_state)
        data = summary_line(parted, self._empty.commit_sha256)
        for name, content in {**parts, f"{kind}{commit_name(store_state.seq)}": data}.items():
            # On a conflict, another writer makes the same file.
            with describe_failure(f"write {self.folder / name}"), suppress(ConflictError):
                write_replacing(self._files, self.folder / name, content, f"summary-{commit_name(store_state.seq)}")
        self._summed, self._summed_bytes, self._replaced = store_state.seq, len(data), False
        return parted

    def _newest_summary(self, names: Iterable[str], stop: int) -> StoreState:
        for seq, name in sorted(((seq, name) for name, seq in summary_names(names).items()), reverse=True):
            summary = self._read_summary(seq, name) if seq <= stop else None
            if summary is not None:
                self._summed, self._summed_bytes = seq, self._last_bytes
                return summary
        return self._empty

    def _read_summary(self, seq: int, name: str = "") -> StoreState | None:
        """Return a summary, or None if it is missing, damaged or of another store: it can be derived again."""
        try:
            data = read_regular(self.folder / (name or f"summary-{commit_name(seq)}"), _LARGEST_FILE)
            summary = store_state_from_json(self._empty, from_line(data))
            commit, digest = self._read_commit(seq)
        except (OSError, InputError, ValueError, KeyError, TypeError, AttributeError):
            return None
        summed = (summary.seq, summary.commit_sha256, summary.tree, summary.at)
        if summed != (seq, digest, commit.tree, commit.at):
            return None
        self._last_bytes = len(data)
        return summary

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
        if missing := first_missing(names):
            raise InputError(f"{self.folder / commit_name(missing)} is missing", _DAMAGED)
        return max(_numbers(_COMMIT_NAME, names), default=0)


def first_missing(names: Sequence[str]) -> int:
    """Return the first commit number missing from a folder's names that a later commit or a summary needs, or 0."""
    present = set(_numbers(_COMMIT_NAME, names))
    last = max(present, default=0)
    missing = next((seq for seq in range(1, last + 1) if seq not in present), 0)
    return missing or (last + 1 if max(_numbers(_SUMMARY_NAME, names), default=0) > last else 0)


def is_head_summary(name: str) -> bool:
    """Return whether a summary is of a writer's last commit: it is removed once there is a newer summary."""
    return name.startswith(_HEAD)


def commit_numbers(names: Iterable[str]) -> Iterable[int]:
    """Return the numbers of the commit files among the names in a folder."""
    return _numbers(_COMMIT_NAME, names)


def read_part(store: Path, part: SegmentPart) -> tuple[SegmentEntry, ...]:
    """Return the segments in a part of a store's summaries. Raises InputError, naming the part, if it is damaged."""
    path = store / "commits" / part.file
    try:
        return part_from_bytes(part, read_regular(path, part.bytes))
    except (OSError, InputError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not as it was written", "write it anew with: esctl repair") from error


def old_heads(names: Iterable[str]) -> list[str]:
    """List the summaries of writers' last commits for which there is a newer summary."""
    found = summary_names(names)
    newest = max(found.values(), default=0)
    return [name for name, seq in found.items() if is_head_summary(name) and seq < newest]


def summary_names(names: Iterable[str]) -> dict[str, int]:
    """Return the names of summaries among those in a folder, each with the number of its commit."""
    return {name: int(match[1]) for name in names if (match := _SUMMARY_NAME.fullmatch(name))}


def summary_line(store_state: StoreState, identity: str) -> bytes:
    """Return the bytes of a summary file. `identity`: the digest that the first commit follows from."""
    return to_line(store_state_to_json(store_state, identity))


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
    return CommitLog(path, state_without_commits(path, store_id, erasable), files or Filesystem())


def create_store(path: Path, erasable: bool = False, files: Filesystem | None = None, rights: int = 0o777) -> CommitLog:
    """Make a store in this folder, or open the one that is there. Safe to run twice at once, or again after a crash.

    `rights`: the widest mode of a new store's folder; the umask narrows it.

    Raises UsageError if an existing store differs in `erasable`, InputError if the store cannot be made.
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
