"""Walk all commits of a store and report where they do not follow from one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.ledger.check.findings import Check, Finding, Kind
from esctl.ledger.check.summaries import Summaries
from esctl.ledger.sign.last_seen import Pin
from esctl.log.commit_json import commit_from_json, commit_to_json
from esctl.log.commits import SUMMARY_EVERY, CommitLog, commit_numbers, first_missing, open_log
from esctl.log.lines import from_line, to_line
from esctl.log.merkle import BLOCK_LEVEL, Frontier
from esctl.log.store_state import (
    FORMAT,
    Commit,
    SegmentEntry,
    StoreState,
    after_commits,
    commit_name,
    identity,
    state_without_commits,
)
from esctl.storage.local import entries, read_regular
from esctl.storage.places import exists, forget_fetched, prefetch

_LARGEST = 1 << 30


class Chain(Struct, frozen=True):
    """What the commits of a store say, as far as they can be read.

    `store_state` is that at the head, None where the commits do not add up. `segments` are those in force.
    """

    path: Path
    store_id: str
    commits: tuple[Commit, ...]
    digests: Mapping[int, str]  # SHA-256 of each commit file that is there
    segments: Sequence[SegmentEntry]
    store_state: StoreState | None
    checks: tuple[Check, ...]

    @property
    def last(self) -> int:
        """Return the number of the last commit."""
        return max(self.digests, default=0)

    @property
    def tree(self) -> Frontier:
        """Return the tree over all records, as the last commit that can be read has it."""
        return self.commits[-1].tree if self.commits else Frontier()

    @property
    def roots(self) -> dict[int, bytes]:
        """Return the root at each size that the log ever had."""
        return {commit.tree.size: commit.tree.root() for commit in self.commits} | {0: Frontier().root()}


class _Walk(Struct):
    """The commit files as they are read."""

    path: Path
    first: str  # what the `prev` of the first commit must be
    digests: dict[int, str] = field(default_factory=dict)
    commits: dict[int, Commit] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add_finding(self, seq: int, message: str, kind: Kind = "changed", commit: Commit | None = None) -> None:
        """Record a finding about a commit file."""
        at = commit.add[0].first if commit is not None and commit.add else None
        file = f"commits/{commit_name(seq)}"
        self.findings.append(Finding(kind, message, file, at))


def walk(path: Path, pin: Pin | None = None) -> Chain:
    """Read every commit of the store in a folder, whatever state it is in. `pin` helps to say which file is wrong.

    Raises InputError where there is no store at all, or one of a format that this version does not know.
    """
    forget_fetched(path)
    names = entries(path / "commits")
    if first_missing(names):
        names = entries(path / "commits")  # commits were made while the names were listed, or one is missing
    numbers = set(commit_numbers(names))
    base, identified = _check_identity(path, bool(numbers), pin)
    run = _Walk(path, base.commit_sha256)
    prefetch([path / "commits" / name for name in sorted(names) if name.endswith(".json")])
    for seq in range(1, max(numbers, default=0) + 1):
        _read_commit(run, seq, seq in numbers)
    _check_links(run, pin)
    intact = not run.findings
    summaries = Summaries.of(path, names, base)
    store_state = _add_up(run, base, summaries) if intact else None
    commits = tuple(run.commits[seq] for seq in sorted(run.commits))
    checks = (
        identified,
        Check("commits", "the store's identity", len(numbers), tuple(run.findings)),
        summaries.check(_due_summaries(run), max(run.commits, default=0), store_state is not None),
    )
    segments = store_state.segments if store_state is not None else _loose_segments(commits)
    return Chain(path, base.store_id, commits, run.digests, segments, store_state, checks)


def _check_identity(path: Path, begun: bool, pin: Pin | None) -> tuple[StoreState, Check]:
    """Return the empty store that the commits start from, and the check of format.json."""
    try:
        log: CommitLog = open_log(path)
        written = read_regular(path / "format.json", _LARGEST)
        if written != to_line(identity(log.store_id, log.erasable)):
            raise ValueError("not as it was written")
        base = state_without_commits(path, log.store_id, log.erasable)
    except (InputError, ValueError, OSError) as error:
        if not begun:
            raise InputError(f"there is no store in {path}", "make one with: esctl ingest FILE") from error
        base = _first_guess(path)
        if _is_of_another_version(path) and base.commit_sha256 == "":
            raise
        kind: Kind = "changed" if exists(path / "format.json") else "removed"
        reason = "it is not as it was written" if kind == "changed" else "it is missing"
        return base, Check("identity", "the first commit", 1, (Finding(kind, reason, "format.json"),))
    if not _is_another(path, base, pin):
        return base, Check("identity", "the first commit", 1)
    found = Finding("changed", "the commits are those of a store of another identity", "format.json")
    return replace(base, commit_sha256=_first_prev(path)), Check("identity", "the first commit", 1, (found,))


def _is_of_another_version(path: Path) -> bool:
    try:
        version = from_line(read_regular(path / "format.json", _LARGEST)).get("format")
    except (InputError, ValueError, OSError):
        return False
    return type(version) is int and version > FORMAT


def _first_prev(path: Path) -> str:
    try:
        return commit_from_json(from_line(read_regular(path / "commits" / commit_name(1), _LARGEST))).prev
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _first_guess(path: Path) -> StoreState:
    """Return an empty store that the first commit follows from, for a store whose format.json is lost."""
    return replace(state_without_commits(path, "", False), commit_sha256=_first_prev(path))


def _is_another(path: Path, base: StoreState, pin: Pin | None) -> bool:
    """Return whether the chain is whole but starts from another format.json."""
    prev = _first_prev(path)
    if prev in ("", base.commit_sha256):
        return False
    try:
        digest = sha256(read_regular(path / "commits" / commit_name(1), _LARGEST)).hexdigest()
        second = path / "commits" / commit_name(2)
        follows = exists(second) and from_line(read_regular(second, _LARGEST)).get("prev") == digest
    except (InputError, OSError, ValueError):
        return False
    return follows or (pin is not None and (pin.seq, pin.commit) == (1, digest))


def _read_commit(run: _Walk, seq: int, present: bool) -> None:
    if not present:
        run.add_finding(seq, "it is missing", "removed")
        return
    try:
        data = read_regular(run.path / "commits" / commit_name(seq), _LARGEST)
        run.digests[seq] = sha256(data).hexdigest()
        commit = commit_from_json(from_line(data))
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        run.add_finding(seq, f"it is not a commit file: {error}")
        return
    if commit.seq != seq:
        run.add_finding(seq, f"it is commit {commit.seq}, in another's place", "file replaced", commit)
        return
    run.commits[seq] = commit
    if to_line(commit_to_json(commit)) != data:
        run.add_finding(seq, "it is not as it was written", commit=commit)


def _check_links(run: _Walk, pin: Pin | None) -> None:
    """Find the files that break the chain: if commit n+1 still follows from n, n-1 was changed, else n."""
    blamed = {finding.file for finding in run.findings}
    for seq, commit in sorted(run.commits.items()):
        before = run.first if seq == 1 else run.digests.get(seq - 1)
        if before is None or commit.prev == before or (seq > 1 and seq - 1 not in run.commits):
            continue  # a file before it that is not a commit was reported already
        after = run.commits.get(seq + 1)
        known = {pin.seq: pin.commit} if pin is not None else {}
        vouched = run.digests[seq] == (after.prev if after is not None else known.get(seq))
        culprit = seq - 1 if seq > 1 and vouched and known.get(seq - 1) != before else seq
        if f"commits/{commit_name(culprit)}" not in blamed:
            run.add_finding(
                culprit, f"commit {seq} does not follow from commit {seq - 1}", commit=run.commits.get(culprit)
            )
            blamed.add(f"commits/{commit_name(culprit)}")


def _add_up(run: _Walk, base: StoreState, summaries: Summaries) -> StoreState | None:
    """Add up the commits, comparing summaries with them; return the store at its head, None after a finding."""
    store_state = base
    for batch in _batches(sorted(run.commits), summaries.numbers):
        try:
            store_state = after_commits(store_state, [(run.commits[seq], run.digests[seq]) for seq in batch])
        except InputError as error:
            run.add_finding(_first_bad(run, store_state, batch), str(error.message).partition(": ")[2] or error.message)
            return None
        summaries.compare(store_state)
    for seq, message in _odd_blocks(run):
        run.add_finding(seq, message, commit=run.commits[seq])
    return None if run.findings else store_state


def _batches(numbers: Sequence[int], summed: AbstractSet[int]) -> Iterator[Sequence[int]]:
    """Cut the numbers of commits after each that has a summary, and at least every SUMMARY_EVERY."""
    start = 0
    for at, number in enumerate(numbers, 1):
        if number in summed or at - start == SUMMARY_EVERY or at == len(numbers):
            yield numbers[start:at]
            start = at


def _due_summaries(run: _Walk) -> set[int]:
    return set(range(SUMMARY_EVERY, max(run.commits, default=0) + 1, SUMMARY_EVERY))


def _first_bad(run: _Walk, store_state: StoreState, batch: Sequence[int]) -> int:
    for seq in batch:
        try:
            store_state = after_commits(store_state, [(run.commits[seq], run.digests[seq])])
        except InputError:
            return seq
    return batch[-1]


def _odd_blocks(run: _Walk) -> Iterator[tuple[int, str]]:
    """Find commits whose tree does not match the block roots that they name, or that replace records by others."""
    tree, blocks = Frontier(), dict[str, tuple[bytes, ...]]()
    for seq, commit in sorted(run.commits.items()):
        added = b"".join(block for entry in commit.add for block in entry.blocks)
        if commit.kind == "append":
            tree = tree.append(added, BLOCK_LEVEL)
            if tree.size >> BLOCK_LEVEL != commit.tree.size >> BLOCK_LEVEL:
                yield seq, "it does not name the block roots of its records"
            elif tree.nodes != commit.tree.nodes[: len(tree.nodes)]:
                yield seq, "its tree is not that over its block roots"
        elif added != b"".join(block for name in sorted(commit.remove) for block in blocks.get(name, ())):
            yield seq, "it replaces records by others"
        blocks.update({entry.file: entry.blocks for entry in commit.add})


def _loose_segments(commits: Sequence[Commit]) -> tuple[SegmentEntry, ...]:
    held: dict[str, SegmentEntry] = {}
    for commit in commits:
        held.update({entry.file: entry for entry in commit.add})
        for name in commit.remove:
            held.pop(name, None)
    return tuple(sorted(held.values(), key=lambda entry: entry.first))
