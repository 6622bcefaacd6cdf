"""Which stretches of a log have ids that were given in an earlier one, told by the hashes in their runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.engine.workers import Call
from esctl.index.files.manifest import IdRun
from esctl.index.seen_ids.run_file import DamagedRunError, OpenRun, in_several
from esctl.index.seen_ids.runs import Ids

if TYPE_CHECKING:
    from esctl.engine.workers import Workers

_HASHES = 1 << 64
_DAMAGED = -1
"""Stands for a run that is not what was written."""


def unseen_before(ids: Ids, first: int) -> tuple[IdRun, ...]:
    """Return the run of a log before a position in which no id was given."""
    return (IdRun("", 0, "", "", 0, 1, 1, first - 1, ids.made_by()),) if first > 1 else ()


def find_repeated(workers: Workers, folder: Path, runs: Sequence[IdRun]) -> list[int] | None:
    """Return the numbers of the runs in a folder that have a hash of an earlier one; workers share out the hashes.

    None where a run is not what was written.
    """
    parts = workers.parts(sum(run.count for run in runs))
    bounds = [(_HASHES * part // parts, _HASHES * (part + 1) // parts) for part in range(parts)]
    found = workers.run([Call(repeated, (folder, tuple(runs), *bound), list[int]) for bound in bounds])
    late = sorted({number for numbers in found for number in numbers})
    return None if _DAMAGED in late else late


def repeated(folder: Path, runs: Sequence[IdRun], low: int, high: int) -> list[int]:
    """Return the numbers of the runs that have a hash of an earlier one, from `low` on and below `high`."""
    numbers = [number for number, run in enumerate(runs) if run.count]
    try:
        return [numbers[each] for each in in_several([OpenRun(folder, runs[number]) for number in numbers], low, high)]
    except DamagedRunError:
        return [_DAMAGED]
