"""Hash the records and the files of a store in parts: each worker reads some segments, or the bytes of some sources."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from esctl.engine.workers import Call, cut_ranges, own_connection
from esctl.ledger.check.commits import Chain
from esctl.ledger.check.files import IndexPart, damage_of, digest_of, index_parts
from esctl.ledger.check.findings import Digest
from esctl.ledger.check.records import Recomputed, SegmentRead, open_segment, put_together, read_segment, sizes_of
from esctl.ledger.check.source_bytes import CheckedCursor, SourceHashes
from esctl.log.store_state import Commit, SegmentEntry

if TYPE_CHECKING:
    from esctl.engine.workers import Workers


class HashedSegment(Struct, frozen=True):
    """What a segment's file and its records hash to."""

    digest: Digest | None
    read: SegmentRead


class HashedStore(Struct, frozen=True):
    """What workers found: the digests of segments, what is wrong with index files, what the records hash to."""

    digests: Sequence[Digest | None]
    damages: Mapping[Path, str]
    records: Recomputed


def hash_in_parts(workers: Workers, chain: Chain) -> HashedStore:
    """Have all files and all records of a store hashed by workers."""
    segments, sizes = chain.segments, sizes_of(chain.commits)
    rows = sum(entry.last - entry.first + 1 for entry in segments)
    parts = workers.parts(rows)
    stretches = [segments[low - 1 : high] for low, high in cut_ranges(len(segments), parts)]
    groups = _group_sources(chain.commits, parts)
    files = index_parts(chain)
    folders = [files[low - 1 : high] for low, high in cut_ranges(len(files), parts)]
    results = workers.run(
        [
            *(
                Call(
                    hash_segments,
                    (chain.path, each, _sizes_within(sizes, each), workers.memory_limit),
                    list[HashedSegment],
                )
                for each in stretches
            ),
            *(Call(judge_sources, (chain.path, segments, *group), list[CheckedCursor]) for group in groups),
            *(Call(find_damage, (each,), list[str]) for each in folders),
        ]
    )
    hashed = [each for found in results[: len(stretches)] for each in found]
    judged = [each for found in results[len(stretches) : len(stretches) + len(groups)] for each in found]
    damages = [each for found in results[len(stretches) + len(groups) :] for each in found]
    records = put_together(segments, chain.commits, [each.read for each in hashed])
    records.judged = _sort_cursors(judged, chain.commits, records.whole)
    by_path = dict(zip([part.path for part in files], damages, strict=True))
    return HashedStore([each.digest for each in hashed], by_path, records)


def _sizes_within(sizes: Sequence[int], segments: Sequence[SegmentEntry]) -> Sequence[int]:
    low = bisect_left(sizes, min(entry.first for entry in segments) - 1)
    return sizes[low : bisect_right(sizes, max(entry.last for entry in segments))]


def _group_sources(commits: Sequence[Commit], parts: int) -> list[tuple[Sequence[Commit], frozenset[str]]]:
    """Divide sources into groups of about equal size, each with the cursors that the commits have of its sources."""
    records = {name: cursor.records for commit in commits for name, cursor in commit.cursors.items()}
    groups: list[tuple[int, list[str]]] = [(0, []) for _ in range(max(min(parts, len(records)), 1))]
    for name in sorted(records, key=lambda each: (-records[each], each)):
        at = min(range(len(groups)), key=lambda number: groups[number][0])
        groups[at] = (groups[at][0] + records[name], [*groups[at][1], name])
    return [(_cursors_of(commits, names), frozenset(names)) for _, names in groups]


def _cursors_of(commits: Sequence[Commit], names: Sequence[str]) -> Sequence[Commit]:
    found = []
    for commit in commits:
        own = {name: commit.cursors[name] for name in names if name in commit.cursors}
        if own:
            found.append(replace(commit, add=(), cursors=own))
    return found


def _sort_cursors(judged: Sequence[CheckedCursor], commits: Sequence[Commit], whole: int) -> list[CheckedCursor]:
    """Sort judged cursors as one process judges them, and drop those after a gap (beyond `whole`)."""
    places = {(commit.seq, name): at for commit in commits for at, name in enumerate(commit.cursors)}
    kept = (each for each in judged if each.size <= whole)
    return sorted(kept, key=lambda each: (each.commit, places[each.commit, each.source]))


def hash_segments(
    path: Path, segments: Sequence[SegmentEntry], sizes: Sequence[int], memory_limit: str | None
) -> list[HashedSegment]:
    """Hash segments: their files, and their records."""
    with own_connection(memory_limit) as connection:
        return [
            HashedSegment(digest_of(path / "log" / entry.file), read_segment(path, entry, sizes, connection)[0])
            for entry in segments
        ]


def judge_sources(
    path: Path, segments: Sequence[SegmentEntry], commits: Sequence[Commit], names: frozenset[str]
) -> list[CheckedCursor]:
    """Judge the cursors of some sources by their records, up to the first segment that cannot be read."""
    sources = SourceHashes(names)
    sources.expect(commits)
    for entry in segments:
        table = open_segment(path, entry, ["source", "raw", "erased_leaf"])
        if isinstance(table, str):
            break
        sources.add(table, entry.first)
    return sources.judged


def find_damage(files: Sequence[IndexPart]) -> list[str]:
    """Return what is wrong with each index file; empty if nothing is."""
    return [damage_of(each) for each in files]
