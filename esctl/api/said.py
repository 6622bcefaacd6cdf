"""The notes of an answer: what its points were resolved to, and which findings lie in its scope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from esctl.ask.scope.scope import Scope
    from esctl.model import AsOf


def notes_of(scope: Scope, at: AsOf | None, points: Sequence[AsOf | None], *, findings: bool = True) -> list[str]:
    """Return the notes of an answer over a scope, one line each; `findings`: also on the findings in the scope."""
    from esctl.ask.events.bound_notes import known_note
    from esctl.ask.scope.notes import erased_note, findings_note, lost_note

    lines = [line for point in (at, *points) if point is not None for line in point_notes(scope, point)]
    if scope.known_at is not None:
        lines.append(known_note(scope))
    lines += [f"without {each.text}: {each.count} event{'s' * (each.count != 1)}" for each in scope.without]
    if findings:
        lines.append(findings_note(scope, at))
    return [line for line in (*lines, erased_note(scope, at), lost_note(scope)) if line]


def point_notes(scope: Scope, point: AsOf) -> list[str]:
    """Return notes on the instant and position that a point was resolved to, and on a point after the last event."""
    from esctl.ask.events.bound_notes import bound_notes

    if scope.records is None or not scope.view.manifest.files:
        return []
    as_recorded = replace(scope, view=replace(scope.view, edits=None))
    return bound_notes(as_recorded, point, scope.records.head)
