"""What is said of records that were erased."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esctl.log.store_state import StoreState


def erasure_note(store_state: StoreState, position: int) -> str:
    """Return when, by whom and why a record was erased; empty if it was not."""
    from esctl.timespec import format_instant

    erasure = store_state.redaction_of(position)
    if erasure is None:
        return ""
    return f"@{position} was erased on {format_instant(erasure.at)} by {erasure.actor}: {erasure.reason}"
