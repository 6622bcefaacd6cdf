"""Compare an index with the records in parts: each worker reads a range of the log again.

A range is read as if none of its ids had occurred before. If an earlier range has the hash of one of its ids, it is
read once more, with the ids of all earlier ranges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from esctl.engine.duckdb import connect, explained, relational
from esctl.engine.workers import Call, cut_ranges, own_connection
from esctl.errors import EsctlError
from esctl.index.extend import begun_as
from esctl.index.files.manifest import IdRun, IndexFile, Manifest
from esctl.index.pruning import Predicate
from esctl.index.scan import IndexView
from esctl.index.seen_ids.repeated import find_repeated, unseen_before
from esctl.index.seen_ids.run_file import DamagedRunError
from esctl.index.update import Updater
from esctl.ledger.check.index import Reread, linked_folder, stored_sums
from esctl.log.reader import first_positions
from esctl.log.store_state import StoreState, sendable
from esctl.model import MappingConfig

if TYPE_CHECKING:
    from esctl.engine.workers import Workers


class Stretch(Struct, frozen=True):
    """Positions of the log that are read again: those of an index file, or some of them."""

    file: IndexFile
    first: int
    last: int


class Range(Struct, frozen=True):
    """Neighbouring stretches that one worker reads."""

    stretches: tuple[Stretch, ...]

    @property
    def first(self) -> int:
        """Return the first position."""
        return self.stretches[0].first

    @property
    def last(self) -> int:
        """Return the last position."""
        return self.stretches[-1].last


class IndexComparison(Struct, frozen=True):
    """An index, the log that it is compared with, and the folder that workers write to."""

    folder: Path
    there: Manifest
    store_state: StoreState
    mapping: MappingConfig
    known: Manifest
    place: Path
    memory_limit: str | None


class RangeResult(Struct, frozen=True):
    """What the records of a range give, and their ids; if there is a `problem`, nothing else counts.

    Sums are texts, because JSON's integers are too short for them.
    """

    problem: str = ""
    counts: Mapping[str, Mapping[str, int]] = {}
    fields: Mapping[str, tuple[tuple[str, str], ...]] = {}
    loose: Mapping[str, tuple[str, ...]] = {}
    sums: Mapping[int, str] = {}
    ids: IdRun | None = None


def reread_in_parts(
    workers: Workers, updater: Updater, store_state: StoreState, folder: Path, there: Manifest
) -> tuple[Reread, Manifest, dict[int, int]] | None:
    """Return what `compare_index` needs, from workers; None if something is wrong, which one process must name."""
    try:
        known = updater.with_new_sources(store_state, begun_as(store_state, there), first_positions(store_state), there)
    except EsctlError:
        return None
    about = IndexComparison(
        folder, there, sendable(store_state), updater.config, known, workers.folder, workers.memory_limit
    )
    ranges = _ranges(there, workers.parts(store_state.head), store_state.head)
    asked = [Call(read_again, (about, each, ()), RangeResult) for each in ranges]
    spans = [Call(stored_in_span, (about, span), dict[int, str]) for span in workers.spans(there)]
    results = workers.run([*asked, *spans])
    results_of_ranges: list[RangeResult] = results[: len(asked)]
    if any(each.problem for each in results_of_ranges) or any(_PROBLEM in sums for sums in results[len(asked) :]):
        return None
    settled = _with_repeats(workers, about, ranges, results_of_ranges)
    if settled is None or any(each.problem for each in settled):
        return None
    again, stored = Reread(), Reread()
    for each in settled:
        again.merge(_to_reread(each))
    for sums in results[len(asked) :]:
        stored.merge(_to_reread(RangeResult(sums=sums)))
    return again, known, dict(stored.sums)


_PROBLEM = -1
"""The key of the error message, instead of a block, if sums could not be computed."""


def _ranges(there: Manifest, parts: int, head: int) -> list[Range]:
    """Cut the records of an index into ranges of about equal size."""
    found = []
    for low, high in cut_ranges(min(there.head, head), parts):
        inside = [file for file in there.files if file.first <= high and file.last >= low]
        found.append(Range(tuple(Stretch(file, max(file.first, low), min(file.last, high)) for file in inside)))
    return [each for each in found if each.stretches]


def _with_repeats(
    workers: Workers, about: IndexComparison, ranges: Sequence[Range], results: Sequence[RangeResult]
) -> list[RangeResult] | None:
    """Have ranges read again that repeat ids of earlier ones; None if it cannot be found out which do."""
    runs = [each.ids for each in results if each.ids is not None]
    late = find_repeated(workers, about.place, runs)
    if late is None:
        return None
    fresh = workers.run([Call(read_again, (about, ranges[each], tuple(runs[:each])), RangeResult) for each in late])
    return [dict(zip(late, fresh, strict=True)).get(number, each) for number, each in enumerate(results)]


def read_again(about: IndexComparison, wanted: Range, before: Sequence[IdRun]) -> RangeResult:
    """Read the records of a range again, as if after events with the ids in `before`, whose runs are in order."""
    try:
        with linked_folder(about.folder, about.there, about.place) as own, explained():
            for run in before:
                if run.count:
                    (own / run.file).symlink_to(about.place / run.file)
            return _read_again(about, wanted, before, own)
    except (EsctlError, DamagedRunError) as error:
        return RangeResult(problem=str(error))


def _read_again(about: IndexComparison, wanted: Range, before: Sequence[IdRun], own: Path) -> RangeResult:
    updater = Updater(connect(about.memory_limit, 1, own), about.mapping, own)
    ids, first = updater.ids, wanted.first
    known = replace(about.known, head=first - 1, ids=tuple(before) or unseen_before(ids, first))
    again = Reread()
    stretches = [(each.file, each.first, each.last) for each in wanted.stretches]
    for manifest, file, understood in updater.understand_as(about.store_state, about.there, known, stretches):
        again.add(relational(updater.connection), file, understood)
        known = manifest
    fresh = [run for run in known.ids if run.count and run.file not in {each.file for each in before}]
    run = None if before else _move_run(about.place, own, ids.merge_into_one(own, fresh, first, wanted.last))
    return RangeResult(
        counts=again.counts,
        fields={name: tuple(sorted(pairs)) for name, pairs in again.fields.items()},
        loose={name: tuple(sorted(names)) for name, names in again.loose.items()},
        sums={block: str(total) for block, total in again.sums.items()},
        ids=run,
    )


def _move_run(place: Path, own: Path, run: IdRun) -> IdRun:
    """Move a run to the folder that all workers see."""
    if run.count:
        (own / run.file).rename(place / run.file)
    return run


def _to_reread(result: RangeResult) -> Reread:
    again = Reread()
    for name, counts in result.counts.items():
        again.counts[name] = Counter(counts)
        again.fields[name] = set(result.fields[name])
        again.loose[name] = set(result.loose[name])
    again.sums.update({block: int(total) for block, total in result.sums.items()})
    return again


def stored_in_span(about: IndexComparison, span: Predicate) -> dict[int, str]:
    """Return the sum of the stored rows of a span for each block; under _PROBLEM, why that failed."""
    try:
        with own_connection(about.memory_limit) as connection, explained():
            view = IndexView(about.folder, about.there, about.store_state.head, within=span)
            return {block: str(total) for block, total in stored_sums(connection, view).items()}
    except EsctlError as error:
        return {_PROBLEM: error.message}
