"""The ground of questions about states, where a log holds changes of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esctl.ask.scope.scope import Scope


def folding(scope: Scope) -> Scope:
    """Return a scope in which changes of rows, if it has any, stand for what became of the rows."""
    if not any(stanza.opened for stanza in scope.view.manifest.stanzas):
        return scope
    from esctl.ask.states.row_edits import with_row_edits

    return with_row_edits(scope)
