"""changes since: the states of entities with events after a position, to keep a copy of the states up to date."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from esctl.ask.scope.bounds import is_glob
from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.scope import Claim, Scope, claims, counted
from esctl.ask.states.replay import COLUMNS, resumed_states, state_row, states
from esctl.ask.states.state_fields import States
from esctl.engine.duckdb import explained
from esctl.engine.quoting import literal
from esctl.index.pruning import Predicate, Reach
from esctl.model import Answer

_MOST_NAMED = 10_000
"""The most entities to name in the query: the index finds named entities, and is scanned whole for the others."""


def changes_since(scope: Scope, position: int) -> Answer:
    """Return the present state of each entity with an event after a position; that of a deleted entity is null.

    The columns are those of `replay`. Positions only grow, so a copy of the states at `position` in which these rows
    replace the old ones is what `replay` gives now, however late the events are.
    """
    check_order(scope)
    later = Predicate(f"position > {int(position)}", Reach(min_position=int(position) + 1))
    touched = scope.view.relation(["kind", "entity"], None, [*counted(scope), later])
    among = f"(kind, entity) IN (SELECT kind, entity FROM ({touched}))"
    named = _changed_entities(scope, touched)
    if named:
        listed = ", ".join(f"({literal(kind)}, {literal(entity)})" for kind, entity in named)
        among = f"(kind, entity) IN (VALUES {listed})"
        scope = replace(scope, entities=tuple({name for _, name in named}))
    parts = [_states(scope, claim, position, "" if named else among) for claim in claims(scope)]
    rows = " UNION ALL ".join(f"SELECT {state_row(part)} FROM ({part.sql})" for part in parts)
    sql = f"SELECT * FROM ({rows}) WHERE {among} ORDER BY kind, entity"
    return Answer(scope.session, sql, COLUMNS, title="changes")


def _states(scope: Scope, claim: Claim, position: int, among: str) -> States:
    """Return the states of the entities that changed, perhaps with others; `among`: the condition for those that did.

    If there are saved states, only entities with events before their last saved one are folded anew.
    """
    shelf = None if scope.shelf is None else replace(scope.shelf, always=True)
    found = resumed_states(replace(scope, shelf=shelf), claim, position)
    if found is not None:
        return found
    return states(scope, Claim(claim.projection, f"({claim.condition}) AND {among}") if among else claim, None)


def _changed_entities(scope: Scope, touched: str) -> Sequence[tuple[str, str]]:
    """List the kinds and names of the entities that changed; empty if they are too many or a name would be a glob."""
    sql = f"SELECT DISTINCT kind, entity FROM ({touched}) LIMIT {_MOST_NAMED + 1}"
    with explained():
        found: list[tuple[str, str]] = scope.connection.execute(sql).fetchall()
    return () if len(found) > _MOST_NAMED or any(is_glob(name) for _, name in found) else sorted(found)
