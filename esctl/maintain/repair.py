"""Repair derived files, report lost evidence, and never touch evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from esctl.errors import InputError
from esctl.index.files.write import clear_faulty, locked
from esctl.ledger.check.commits import Chain, walk
from esctl.ledger.check.files import index_problem, unnamed_files
from esctl.ledger.sign.last_seen import Pin, read_pin
from esctl.log.commits import open_log
from esctl.log.compacting import may_be_merging
from esctl.log.lock import HOLDER, store_lock
from esctl.log.segments import find_unnamed
from esctl.log.store_state import StoreState, commit_name
from esctl.maintain.losses import find_losses
from esctl.storage.inside import odd_entries, require_plain
from esctl.storage.local import TEMPORARY, Filesystem, describe_failure, entries, subfolders
from esctl.storage.places import exists, files_below

if TYPE_CHECKING:
    from esctl.index.update import Updater

Result = Literal["mended", "to be mended", "lost", "kept"]
_FOLDERS = (".", "log", "commits", "checkpoints")


class RepairStep(Struct, frozen=True):
    """One thing that was wrong, and what was done about it. `first`, `last`: the positions it is about."""

    what: str
    result: Result
    file: str
    message: str
    first: int | None = None
    last: int | None = None


class _Run(Struct):
    chain: Chain
    files: Filesystem
    dry: bool
    steps: list[RepairStep] = field(default_factory=list)

    def mend(self, what: str, file: str, message: str, action: Callable[[], object]) -> None:
        """Repair a derived file, unless this is a dry run."""
        if not self.dry:
            with describe_failure(f"mend {self.chain.path / file}"):
                action()
        self.steps.append(RepairStep(what, "to be mended" if self.dry else "mended", file, message))

    def unlink(self, what: str, file: str, message: str) -> None:
        """Remove a file that is not evidence."""
        self.mend(what, file, message, lambda: self.files.unlink(self.chain.path / file))


def repair(path: Path, updater: Updater, *, dry: bool = False, files: Filesystem | None = None) -> list[RepairStep]:
    """Repair the derived files of the store in a folder; with `dry`, only report what would be repaired.

    If evidence is lost, what was derived from it is kept, because it may be all that is left. Raises InputError if
    there is no store, or if another process is writing to it.
    """
    if not path.is_dir():  # locking would make the folder
        raise InputError(f"there is no store in {path}", "make one with: esctl ingest FILE")
    files = files or Filesystem()
    removed = _remove_odd(path, files, dry)
    if dry and removed:  # what they hide can be checked only when they are gone
        return removed
    require_plain(path)
    pin = _pin(path)
    with nullcontext() if dry else store_lock(path):
        run = _Run(walk(path, pin), files, dry, removed)
        lost = find_losses(run.chain, pin, updater.connection)
        run.steps += [RepairStep("evidence", "lost", one.file, one.message, one.first, one.last) for one in lost]
        _mend_leftovers(run, bool(lost))
        _mend_indexes(run, updater, bool(lost))
    return run.steps


def _remove_odd(path: Path, files: Filesystem, dry: bool) -> list[RepairStep]:
    """Remove links, FIFOs and the like from folders without evidence, and never follow them."""
    steps = []
    for odd in [each for each in odd_entries(path) if each.is_derived]:
        if not dry:
            with describe_failure(f"remove {path / odd.file}"):
                files.unlink(path / odd.file)
        message = f"it is {odd.what}, which no store has"
        steps.append(RepairStep("intruder", "to be mended" if dry else "mended", odd.file, message))
    return steps


def _pin(path: Path) -> Pin | None:
    with suppress(InputError):
        return read_pin(path)
    return None


def _mend_leftovers(run: _Run, lost: bool) -> None:
    path = run.chain.path
    for file in (Path(folder) / name for folder in _FOLDERS for name in sorted(entries(path / folder))):
        if may_be_merging(path / file):
            message = "a compaction may be writing it; once it is an hour old, compact or repair removes it"
            run.steps.append(RepairStep("temporary file", "kept", str(file), message))
        elif file.name.startswith(TEMPORARY):
            run.unlink("temporary file", str(file), "left by a process that was ended")
    if exists(path / HOLDER) and not run.dry:
        run.unlink("lock", HOLDER, "left by a process that was ended")
    store_state = run.chain.store_state
    if store_state is None or lost:
        return
    for name in sorted(find_unnamed(store_state.segments, entries(path / "log"))):
        first, last = map(int, name[:41].split("-"))
        if first <= store_state.head:
            run.unlink("segment", f"log/{name}", "replaced by others, or never committed: no commit names it")
        else:
            message = "no commit names it; an interrupted ingest leaves such, and the next one removes it"
            run.steps.append(RepairStep("segment", "kept", f"log/{name}", message, first, last))
    _mend_summaries(run, store_state)


def _mend_summaries(run: _Run, store_state: StoreState) -> None:
    log = open_log(store_state.path, run.files)
    for seq in log.missing_summaries(store_state):
        file = f"commits/summary-{commit_name(seq)}"
        run.mend("summary", file, "missing or damaged: written anew", partial(log.write_summary, seq))


def _mend_indexes(run: _Run, updater: Updater, lost: bool) -> None:
    store_state, path = run.chain.store_state, run.chain.path
    mended = False
    for folder in subfolders(path / "index"):
        place = f"index/{folder.name}"
        find = partial(index_problem, folder, run.chain)
        if problem := find():
            if lost or store_state is None:
                message = f"{problem}; it may be all that is left of the records"
                run.steps.append(RepairStep("index", "kept", place, message))
                continue
            if not run.dry and not (problem := clear_faulty(folder, find, run.files)):
                continue  # another process was building it, and came to its end
            mended = True
            own = folder == updater.folder
            end = "built anew" if own else "removed, to be built when its mapping is in force again"
            run.steps.append(RepairStep("index", "to be mended" if run.dry else "mended", place, f"{problem}: {end}"))
            if own and not run.dry:
                updater.run(store_state)
        else:
            _sweep_index(run, folder)
    states = path / "snapshots"
    if mended:
        for file in sorted(files_below(states)):
            run.unlink("snapshot", str(file.relative_to(path)), "of states that were read from a damaged index")


def _sweep_index(run: _Run, folder: Path) -> None:
    """Remove what builders left in an index. Raises InputError if another process keeps building it."""
    if not any(_left_in_index(run, folder)):
        return
    with describe_failure(f"write {folder}"), nullcontext() if run.dry else locked(folder):
        for what, name, message in list(_left_in_index(run, folder)):  # anew: a builder may have come to its end
            run.unlink(what, f"index/{folder.name}/{name}", message)


def _left_in_index(run: _Run, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield what may be removed from an index, if nobody is building it: what it is, its name, and why."""
    for name in sorted(name for name in entries(folder) if name.startswith(TEMPORARY)):
        yield "temporary file", name, "left by a process that was ended"
    if run.chain.store_state is not None and run.chain.store_state.redactions:
        for name in unnamed_files(folder):
            yield "index", name, "no manifest names it, and it may hold what was erased"
