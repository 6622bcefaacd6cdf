"""Check every record against the tree, and the index against every record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.ledger.check.commits import Chain
from esctl.ledger.check.findings import Check, Finding
from esctl.ledger.check.index import Difference, compare_index
from esctl.ledger.check.records import Recomputed, odd_places, recompute
from esctl.model import MappingConfig


class FullChecks(Struct, frozen=True):
    """The checks that read every record, and the roots that were found."""

    checks: tuple[Check, ...]
    roots: Mapping[int, bytes]


def check_records(chain: Chain, mapping: MappingConfig | None) -> FullChecks:
    """Hash all records again and, at the same time, rebuild the index beside the present one."""
    with ThreadPoolExecutor(1) as pool:
        comparing = pool.submit(_compared, chain, mapping)
        found = recompute(chain.path, chain.segments, chain.commits)
        differences, unjudged, count = comparing.result()
    odd = odd_places(found, chain.commits, chain.segments)
    blocks = {finding.block for finding in (*odd, *found.order)}
    records = [*found.order, *(_explained(finding, differences) for finding in odd)]
    own = [_of_index(one) for one in differences if one.block not in blocks]
    return FullChecks(
        (
            Check(
                "records", f"{len(found.blocks)} block roots and the roots of all commits", found.count, tuple(records)
            ),
            Check("times", "the commits", found.count, tuple(found.times)),
            _cursors(found),
            Check("index", "the records", count, tuple(own), unjudged),
        ),
        found.roots,
    )


def _cursors(found: Recomputed) -> Check:
    note = ""
    if found.sources.unjudged:
        note = f"{found.sources.unjudged} are of tabular, thinned or erased records, which only their leaves vouch for"
    return Check("cursors", "the commits", found.sources.checked, tuple(found.sources.findings), note=note)


def _compared(chain: Chain, mapping: MappingConfig | None) -> tuple[Sequence[Difference], str, int]:
    if mapping is None or chain.snapshot is None:
        return (), "the commits do not add up" if chain.snapshot is None else "no mapping", 0
    try:
        return compare_index(chain.snapshot, mapping)
    except InputError as error:
        return (), error.message, 0


def _explained(finding: Finding, differences: Sequence[Difference]) -> Finding:
    """Return findings narrowed down to records of a block, where the index still knows them."""
    first = min((one for one in differences if one.block == finding.block), key=lambda one: one.position, default=None)
    if first is None or first.position < (finding.position or 0):
        return finding
    message = f"{finding.message}; the index has another record there"
    return replace(finding, kind=first.kind, position=first.position, message=message)


def _of_index(one: Difference) -> Finding:
    return Finding("index out of step", one.message, one.file, one.position, one.block)
