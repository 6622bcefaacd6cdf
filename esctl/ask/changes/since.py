"""changes since: the states of entities that have had events after a position, for keeping a copy of them."""

from __future__ import annotations

from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.scope import Claim, Scope, claims, counted
from esctl.ask.states.replay import COLUMNS, state_row, states
from esctl.model import Answer


def changes_since(scope: Scope, position: int) -> Answer:
    """Return the present state of each entity with an event after a position; one that was deleted has a null state.

    The columns are those of `replay`. Positions only grow, so a copy of the states at `position` with these rows put
    in place of its own is what `replay` gives now, however late the events are.
    """
    check_order(scope)
    touched = scope.view.relation(["kind", "entity"], None, [*counted(scope), f"position > {int(position)}"])
    among = f"(kind, entity) IN (SELECT kind, entity FROM ({touched}))"
    parts = [
        states(scope, Claim(claim.projection, f"({claim.condition}) AND {among}"), None) for claim in claims(scope)
    ]
    rows = " UNION ALL ".join(f"SELECT {state_row(part)} FROM ({part.sql})" for part in parts)
    return Answer(scope.session, f"SELECT * FROM ({rows}) ORDER BY kind, entity", COLUMNS, title="changes")
