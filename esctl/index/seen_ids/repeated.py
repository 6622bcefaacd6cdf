"""Find the stretches of a log with ids that were given in an earlier one, by the hashes in their runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.engine.workers import Call
from esctl.index.files.manifest import IdRun
from esctl.index.seen_ids.run_file import DamagedRunError, OpenRun, runs_repeating
from esctl.index.seen_ids.runs import IdRuns

if TYPE_CHECKING:
    from esctl.engine.workers import Workers

_HASHES = 1 << 64
_DAMAGED = -1
"""Returned, instead of numbers of runs, if a run is damaged."""


def unseen_before(ids: IdRuns, first: int) -> tuple[IdRun, ...]:
    """Return an empty run for the positions before `first`, as if no id was given there; () if there are none."""
    return (IdRun("", 0, "", "", 0, 1, 1, first - 1, ids.made_by()),) if first > 1 else ()


def find_repeated(workers: Workers, folder: Path, runs: Sequence[IdRun]) -> list[int] | None:
    """Return the numbers of the runs in a folder that share a hash with an earlier one; None if a run is damaged.

    Each worker looks at a range of hashes.
    """
    parts = workers.parts(sum(run.count for run in runs))
    bounds = [(_HASHES * part // parts, _HASHES * (part + 1) // parts) for part in range(parts)]
    found = workers.run([Call(repeated, (folder, tuple(runs), *bound), list[int]) for bound in bounds])
    late = sorted({number for numbers in found for number in numbers})
    return None if _DAMAGED in late else late


def repeated(folder: Path, runs: Sequence[IdRun], low: int, high: int) -> list[int]:
    """Return the numbers of the runs that share a hash in [low, high) with an earlier one, or [_DAMAGED]."""
    numbers = [number for number, run in enumerate(runs) if run.count]
    try:
        return [
            numbers[each] for each in runs_repeating([OpenRun(folder, runs[number]) for number in numbers], low, high)
        ]
    except DamagedRunError:
        return [_DAMAGED]
