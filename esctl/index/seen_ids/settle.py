"""Decide, as records are understood, which sources share a numbering of ids.

This is decided at the end of each commit in which ids were known from other sources. A source changes its numbering
from its first record on: the index goes back to that record and continues from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from esctl.index.chunks import ends
from esctl.index.decode.log_rows import runs_of
from esctl.index.files.manifest import Manifest, Met, Move, Tally
from esctl.index.seen_ids.numberings import judge_moves, numbering_of_kin, summed_tallies, with_moves, with_numberings
from esctl.log.store_state import StoreState

if TYPE_CHECKING:
    import pyarrow as pa

    from esctl.index.seen_ids.search import Meeting

Runs = Sequence[tuple[str, int, int]]


class Settled(Struct, frozen=True):
    """The outcome for a chunk: its tallies, or moves, after which the chunk or more must be understood again."""

    tallies: tuple[Tally, ...]
    unjudged: bool
    moves: tuple[Move, ...] = ()
    at: int = 0


def settle(store_state: StoreState, manifest: Manifest, table: pa.Table, meetings: Sequence[Meeting]) -> Settled:
    """Tally the sources of a chunk, which follows a manifest, and judge them at the end of each commit."""
    runs = runs_of(table)
    last = ends(table)[1]
    by_commit: dict[int, list[Meeting]] = {}
    for meeting in meetings:
        by_commit.setdefault(meeting.commit, []).append(meeting)
    whole = _tally(runs, table, table.num_rows, meetings)
    if not meetings and not manifest.unjudged:
        return Settled(whole, unjudged=False)
    told = [tally for file in manifest.files for tally in file.tallies]
    seen: list[Meeting] = []
    for number, (commit, stop) in enumerate(_commit_ends(table)):
        seen += by_commit.get(commit, ())
        at = int(table["position"][stop - 1].as_py())
        if at < manifest.judged or not (commit in by_commit or (manifest.unjudged and not number)):
            continue
        if at == last and not _is_commit_end(store_state, table):
            return Settled(whole, unjudged=True)
        tallies = summed_tallies([*told, *_tally(runs, table, stop, seen)])
        if moves := judge_moves(manifest, tallies, at):
            return Settled((), unjudged=True, moves=moves, at=at)
    return Settled(whole, unjudged=False)


def _commit_ends(table: pa.Table) -> list[tuple[int, int]]:
    """List the commits in a chunk: when each was recorded, and the row after its last."""
    import numpy as np
    import pyarrow as pa

    times = table["recorded_at"].combine_chunks().cast(pa.int64()).to_numpy()
    stops = [*(np.flatnonzero(np.diff(times)) + 1).tolist(), len(times)]
    return [(int(times[stop - 1]), stop) for stop in stops]


def _is_commit_end(store_state: StoreState, table: pa.Table) -> bool:
    from esctl.log.reader import read_table

    last = ends(table)[1]
    if last >= store_state.head:
        return True
    after = read_table(store_state, last + 1, last + 1, ["recorded_at"])["recorded_at"][0]
    return bool(after.value != table["recorded_at"][-1].value)


def _tally(runs: Runs, table: pa.Table, stop: int, meetings: Sequence[Meeting]) -> tuple[Tally, ...]:
    met: dict[str, list[Met]] = {}
    for each in meetings:
        met.setdefault(each.source, []).append(Met(each.numbering, each.known, each.same))
    found = (
        Tally(source, int(table["position"][start].as_py()), min(end, stop) - start, tuple(met.pop(source, ())))
        for source, start, end in runs
        if start < stop
    )
    return summed_tallies(found)


def rewound(manifest: Manifest, table: pa.Table, found: Settled) -> Manifest:
    """Return the manifest to continue from: before the first record of any source that moved, with the moves applied.

    Sources of the chunk that begin after the moves get the numberings of their kin, as new ones do.
    """
    names = {move.source for move in found.moves}
    kept = tuple(takewhile(lambda file: names.isdisjoint(tally.source for tally in file.tallies), manifest.files))
    head = manifest.head if len(kept) == len(manifest.files) else (kept[-1].last if kept else 0)
    after = with_moves(replace(manifest, head=head, files=kept, judged=found.at, unjudged=True), found.moves)
    before = {tally.source for file in manifest.files for tally in file.tallies}
    new = {}
    for source, start, _ in reversed(runs_of(table)):
        if source not in before and table["position"][start].as_py() > found.at:
            new[source] = numbering_of_kin(after, source, after.stanzas[after.sources[source]])
        else:
            new.pop(source, None)
    return with_numberings(after, {source: number for source, number in new.items() if number})
