"""The history of states: the state of an entity after every event. Shared by when, series and sql."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from msgspec.structs import replace

from esctl.ask.scope.plans import plan_for
from esctl.ask.scope.scope import Claim, Scope, claims, event_rows, run_fieldless_checks
from esctl.ask.states.replay import state_fields, streamed_states
from esctl.ask.states.state_fields import States
from esctl.errors import UsageError
from esctl.model import AsOf
from esctl.projection.fold import NotSetwiseError
from esctl.projection.sql import field_column
from esctl.projection.trails.running import can_run_along
from esctl.projection.trails.windows import TRAIL_COLUMNS, history_sql

EVENT_COLUMNS_OF_STATE = ("position", "time", "recorded_at", "role", "type", "actor", "id", "correlation")
"""The columns of the event that led to a state."""


def history(
    scope: Scope,
    claim: Claim,
    at: AsOf | None,
    conditions: Sequence[str] = (),
    *,
    calculating: bool = False,
    only: Set[str] | None = None,
    placed: Callable[[str], str] | None = None,
) -> States:
    """Fold one projection's entities event by event: a row per event and entity, with the state after it.

    The SQL has kind, entity, key (unique, in fold order), version, deleted, EVENT_COLUMNS_OF_STATE and a column per
    field; `calculating` is as in `states`. `only`: words that include all the fields that will be asked for. `placed`
    adds a column `low` to rows by their time. Raises UsageError for a projection that is an SQL query: it gives states
    of one point only.
    """
    if claim.projection.sql:
        raise UsageError(
            f"projection {claim.projection.name} is an SQL query: it gives states, not their history",
            "ask another projection with -p, or write it as rules",
        )
    try:
        return _fold_set_wise(scope, claim, at, conditions, calculating, only, placed)
    except NotSetwiseError:
        from esctl.ask.states.event_by_event import stream_history

        spooled, names = stream_history(scope, claim, at, conditions, only)
        spooled = spooled if placed is None else placed(spooled)
        return streamed_states(scope, claim, spooled, calculating=calculating, only=only, names=names)


def _fold_set_wise(
    scope: Scope,
    claim: Claim,
    at: AsOf | None,
    conditions: Sequence[str],
    calculating: bool,
    only: Set[str] | None,
    placed: Callable[[str], str] | None,
) -> States:
    """Fold set-wise, as `history` says. Raises NotSetwiseError if that is not possible."""
    if claim.projection.python:
        raise NotSetwiseError
    plan = plan_for(scope, claim.projection, calculating=calculating, only=only)
    envelope = [name for name in TRAIL_COLUMNS if name not in ("position", "time")]
    rows = event_rows(scope, plan.reads, [claim.condition, *conditions], at, envelope)
    more: tuple[str, ...] = ()
    if placed is not None:
        rows, more = replace(rows, sql=placed(rows.sql)), ("low",)
    run_fieldless_checks(scope, plan, rows)
    names = frozenset(field.name for field in plan.fields if only is not None)
    if only is not None:
        plan = replace(plan, fields=tuple(field for field in plan.fields if field.name in only))
    checks = "".join(f" OR check{i} IS NOT NULL" for i in range(len(plan.checks)))
    fields = "".join(f", after{i} AS {field_column(i)}" for i in range(len(plan.fields)))
    event = ", ".join((*EVENT_COLUMNS_OF_STATE, *more))
    sql = f"""SELECT kind, entity, key, version, (dead{checks}) AS deleted, {event}{fields}
        FROM ({history_sql(plan, rows, more)})"""
    return States(sql, state_fields(plan, rows.most_rows), names=names, ordered=can_run_along(plan, rows))


def historic_claims(scope: Scope) -> list[Claim]:
    """Return the claims of projections that have a history; if none has, all, for which `history` raises UsageError."""
    shared = claims(scope)
    with_history = [claim for claim in shared if not claim.projection.sql]
    return with_history or shared
