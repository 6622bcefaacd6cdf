"""The scope of questions about states if a log holds changes of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esctl.ask.scope.scope import Scope


def folding(scope: Scope) -> Scope:
    """Return the scope with its changes of rows, if it has any, replaced by what became of the rows."""
    if not any(stanza.opened for stanza in scope.view.manifest.stanzas):
        return scope
    from esctl.ask.states.row_edits import with_row_edits

    return with_row_edits(scope)
