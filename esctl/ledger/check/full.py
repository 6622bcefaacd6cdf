"""Check every record against the tree, and the index against every record."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esctl.errors import InputError
from esctl.ledger.check.commits import Chain
from esctl.ledger.check.findings import Check, Finding, FullChecks
from esctl.ledger.check.index import Difference, compare_index
from esctl.ledger.check.records import Recomputed, odd_places, recompute
from esctl.ledger.check.source_bytes import CheckedCursor
from esctl.model import MappingConfig

if TYPE_CHECKING:
    from esctl.engine.workers import Workers


Comparison = tuple[Sequence[Difference], str, int]
"""Differences of an index from the records, why it could not be judged (or ""), how many records were compared."""


def check_records(chain: Chain, mapping: MappingConfig | None, workers: Workers | None = None) -> FullChecks:
    """Hash all records again and compare the index with them, in two threads or by workers."""
    if workers is not None and workers.parts(chain.tree.size) > 1:
        from esctl.ledger.check.log_parts import hash_in_parts

        hashed = hash_in_parts(workers, chain)
        checked = _make_checks(chain, hashed.records, _compare(chain, mapping, workers))
        return replace(checked, digests=hashed.digests, damages=hashed.damages)
    with ThreadPoolExecutor(1) as pool:
        comparing = pool.submit(_compare, chain, mapping)
        found = recompute(chain.path, chain.segments, chain.commits)
        return _make_checks(chain, found, comparing.result())


def _make_checks(chain: Chain, found: Recomputed, compared: Comparison) -> FullChecks:
    differences, unjudged, count = compared
    odd = odd_places(found, chain.commits, chain.segments)
    blocks = {finding.block for finding in (*odd, *found.order)}
    records = [*found.order, *(_narrow_down(finding, differences) for finding in odd)]
    own = [_index_finding(one) for one in differences if one.block not in blocks]
    return FullChecks(
        (
            Check(
                "records", f"{len(found.blocks)} block roots and the roots of all commits", found.count, tuple(records)
            ),
            Check("times", "the commits", found.count, tuple(found.times)),
            _check_cursors(found.judged),
            Check("index", "the records", count, tuple(own), unjudged),
        ),
        found.roots,
    )


def _check_cursors(judged: Sequence[CheckedCursor]) -> Check:
    unjudged, note = sum(not each.checked for each in judged), ""
    if unjudged:
        note = f"{unjudged} are of tabular, thinned or erased records, which only their leaves vouch for"
    findings = tuple(each.finding for each in judged if each.finding is not None)
    return Check("cursors", "the commits", len(judged) - unjudged, findings, note=note)


def _compare(chain: Chain, mapping: MappingConfig | None, workers: Workers | None = None) -> Comparison:
    if mapping is None or chain.store_state is None:
        return (), "the commits do not add up" if chain.store_state is None else "no mapping", 0
    try:
        return compare_index(chain.store_state, mapping, workers)
    except InputError as error:
        return (), error.message, 0


def _narrow_down(finding: Finding, differences: Sequence[Difference]) -> Finding:
    """Return a finding about a block, narrowed down to a record if the index shows which one differs."""
    first = min((one for one in differences if one.block == finding.block), key=lambda one: one.position, default=None)
    if first is None or first.position < (finding.position or 0):
        return finding
    message = f"{finding.message}; the index has another record there"
    return replace(finding, kind=first.kind, position=first.position, message=message)


def _index_finding(one: Difference) -> Finding:
    return Finding("index out of step", one.message, one.file, one.position, one.block)
