"""Records that claim to have been recorded before a time at which the log is known not to have had them."""

from __future__ import annotations

from collections.abc import Sequence

from esctl.ledger.check.commits import Chain
from esctl.ledger.check.findings import Anchor, Check, Finding
from esctl.log.commit_json import stored_time
from esctl.log.merkle import BLOCK
from esctl.log.store_state import Commit, commit_name
from esctl.model import CLOCK_SKEW_SECONDS

_SKEW = CLOCK_SKEW_SECONDS * 1_000_000
"""Microseconds by which the clock of an anchor may be ahead of the one that records."""


def check_back_dating(chain: Chain, anchors: Sequence[Anchor]) -> Check:
    """Check the times of commits against anchors: what came after one cannot have been recorded before it.

    `recorded_at` never goes back within the log, so the first commit after an anchor decides.
    """
    if not anchors:
        return Check("back-dating", "nothing", skipped="no stamp, and it was never seen here before")
    findings = [found for anchor in anchors if (found := _find_back_dated(chain.commits, anchor)) is not None]
    against = ", ".join(f"{anchor.name}: {anchor.size} records at {stored_time(anchor.at)}" for anchor in anchors)
    return Check("back-dating", against, len(anchors), tuple(findings))


def _find_back_dated(commits: Sequence[Commit], anchor: Anchor) -> Finding | None:
    first = next((one for one in commits if one.kind == "append" and one.tree.size > anchor.size), None)
    if first is None or first.at >= anchor.at - _SKEW:
        return None
    before = [one for one in commits if one.tree.size > anchor.size and one.at < anchor.at - _SKEW]
    count = before[-1].tree.size - anchor.size
    message = (
        f"{count} records claim to have been recorded from {stored_time(first.at)} on, "
        f"and the log did not have them at {stored_time(anchor.at)} ({anchor.name})"
    )
    return Finding("back-dated", message, f"commits/{commit_name(first.seq)}", anchor.size + 1, anchor.size // BLOCK)
