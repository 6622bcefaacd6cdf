"""The scope of questions about states if a log holds changes of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from esctl.ask.scope.scope import Scope
    from esctl.model import AsOf


def folding(scope: Scope, at: AsOf | None = None) -> Scope:
    """Return the scope with its changes of rows, if it has any, replaced by what became of the rows by `at`."""
    return folding_each(scope, at)[0]


def folding_each(scope: Scope, *points: AsOf | None) -> list[Scope]:
    """Return the scope as of each of some points; it is the same one for all points at which it is the same."""
    if not any(stanza.opened for stanza in scope.view.manifest.stanzas):
        return [scope] * len(points)
    from esctl.ask.states.row_edits import is_prefix, with_row_edits

    own = [None if at is None or is_prefix(scope, at) else at for at in points]
    shared = with_row_edits(scope) if None in own else scope
    return [shared if at is None else with_row_edits(scope, at) for at in own]


def folding_apart(scope: Scope, instants: Sequence[int], bound: Callable[[int], AsOf]) -> dict[int, Scope]:
    """Return the scopes as of those instants at which a scope with changes of rows is another one, by their numbers.

    `bound` gives the point of an instant.
    """
    if scope.view.edits is None:
        return {}
    from esctl.ask.states.row_edits import points_apart, with_row_edits

    stored = replace(scope, view=replace(scope.view, edits=None))
    return {number: with_row_edits(stored, bound(instants[number])) for number in points_apart(stored, instants)}
