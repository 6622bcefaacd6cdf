"""when: the moments at which a predicate on the state of an entity turns true, and how long it held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.scope.filters import Filters, filter_conditions
from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.own_times import own_time, undated_positions
from esctl.ask.scope.scope import Scope, check_entities, counted, projection_notes
from esctl.ask.states.history import historic_claims, history
from esctl.ask.states.replay import STATE, known_fields, predicate, state_sql
from esctl.ask.states.state_fields import States
from esctl.engine.exact_text import time_text
from esctl.engine.quoting import literal
from esctl.index.pruning import ALWAYS, all_of
from esctl.model import Answer, AsOf, Column, Findings
from esctl.projection.expressions import Expression
from esctl.projection.trails.running import AFTER, BEFORE, BEGINS, ENDS

COLUMNS = (
    Column("entity", "text"),
    Column("kind", "text"),
    Column("start", "time"),
    Column("end", "time"),
    Column("position", "integer"),
    Column("id", "text"),
    Column("type", "text"),
    Column("actor", "text"),
    Column("end_position", "integer"),
    Column("end_id", "text"),
    Column("end_type", "text"),
    Column("end_actor", "text"),
)
COUNT_COLUMNS = (Column("entities", "integer"), Column("intervals", "integer"))

_LOOKED_UP = ("id", "type", "actor")
_EVENT = ("time", "position", *_LOOKED_UP)
_ORDER = "PARTITION BY kind, entity ORDER BY key"


class Moments(Struct, frozen=True):
    """What to look for: a predicate on the state, and which of the moments at which it turns true.

    `start` and `end` bound these moments, not what is folded. `each_event`: the state after every event counts, not
    only that after the last of an entity's events at one time. `state`: include the state at the moment.
    """

    predicate: str
    which: Literal["first", "last", "every"] = "first"
    start: AsOf | None = None
    end: AsOf | None = None
    each_event: bool = False
    state: bool = False


def when(scope: Scope, wanted: Moments) -> Answer:
    """Return each interval in which the predicate held: from the event that made it true to the one that ended it.

    `end` and the columns of its event are null while the predicate still holds.
    """
    parts = _histories(scope, wanted)
    columns = (*COLUMNS, STATE) if wanted.state else COLUMNS
    inner = {STATE.name: known_fields(parts)} if wanted.state else {}
    rows = f"SELECT * FROM ({_intervals(scope, wanted, parts)}) WHERE starts_after AND starts_until"
    if wanted.which != "every":
        direction = " DESC" if wanted.which == "last" else ""
        rows = f"{rows} QUALIFY row_number() OVER ({_ORDER}{direction}) = 1"
    names = ", ".join(f'"{column.name}"' for column in columns)
    keys = scope.view.key_parts("key")
    return Answer(
        scope.session,
        f"SELECT {names} FROM ({rows}) ORDER BY kind, entity, key",
        columns,
        notes=projection_notes(scope),
        title="moments",
        findings=_findings(wanted.predicate),
        inner=inner,
        order=("kind", "entity", *keys),
        keyed=f"SELECT {names}, {', '.join(f'{part} AS {name}' for name, part in keys.items())} FROM ({rows})",
    )


def overlapping_intervals(scope: Scope, wanted: Moments) -> Answer:
    """Return the entity of each interval that overlaps the bounds, even if it began before `start`."""
    intervals = _intervals(scope, wanted, _histories(scope, wanted))
    return Answer(
        scope.session,
        f"SELECT entity FROM ({intervals}) WHERE starts_until AND coalesce(ends_after, true)",
        COLUMNS[:1],
    )


def count(answer: Answer) -> Answer:
    """Return how many entities and intervals an answer of `when` has."""
    sql = f"SELECT count(DISTINCT (kind, entity)) AS entities, count(*) AS intervals FROM ({answer.sql})"
    return replace(answer, sql=sql, columns=COUNT_COLUMNS, findings=None, order=(), keyed="")


def _histories(scope: Scope, wanted: Moments) -> list[States]:
    """Fold the entities event by event: only the fields in the predicate, unless whole states are asked for."""
    check_entities(scope)
    check_order(scope)
    words = None if wanted.state else Expression(wanted.predicate, "PREDICATE").words()
    return [history(scope, claim, None, calculating=True, only=words) for claim in historic_claims(scope)]


def _intervals(scope: Scope, wanted: Moments, parts: Sequence[States]) -> str:
    """Select all intervals: kind, entity, key, the columns of both events, and where these are relative to the bounds.

    starts_after: the first event is not before `start`; starts_until: it is not after `end`; ends_after: the last event
    is after `start`.
    """
    known = known_fields(parts)
    turns = _with_event_columns(scope, " UNION ALL ".join(_turns(scope, part, wanted, known) for part in parts))
    # The conditions of bounds are on times as they are stored.
    stored = f"SELECT * REPLACE (timezone('UTC', time) AS time) FROM ({turns})"
    after, beyond = (_not_before(scope, wanted.start, beyond=beyond) for beyond in (False, True))
    placed = f"""SELECT *, {after} AS after, {beyond} AS beyond,
        {_until(scope, wanted.end)} AS until FROM ({stored})"""
    ends = ", ".join(f"lead({name}) OVER turn AS end_{name}" for name in _EVENT)
    paired = f"""SELECT *, {ends}, lead(beyond) OVER turn AS ends_after FROM ({placed})
        WINDOW turn AS ({_ORDER})"""
    return f"""SELECT * EXCLUDE (time, end_time), {own_time(scope, "timezone('UTC', time)", "position")} AS "start",
        {own_time(scope, "timezone('UTC', end_time)", "end_position")} AS "end",
        after AS starts_after, until AS starts_until FROM ({paired}) WHERE truth"""


def _with_event_columns(scope: Scope, turns: str) -> str:
    """Add id, type and actor of their events to the rows at which the predicate turns.

    Looking these up for a few rows is cheaper than carrying them through the fold for all.
    """
    if not _is_looked_up(scope):
        return turns
    columns = ["kind", "entity", "position", *_LOOKED_UP]
    few = "position IN (SELECT position FROM turn)"
    events = scope.view.relation(columns, None, counted(scope))
    event = ", ".join(f"e.{name}" for name in _LOOKED_UP)
    return f"""WITH turn AS MATERIALIZED ({turns}) SELECT t.*, {event} FROM turn t
        JOIN (SELECT * FROM ({events}) WHERE {few}) e
        ON e.position = t.position AND e.entity = t.entity AND e.kind IS NOT DISTINCT FROM t.kind"""


def _is_looked_up(scope: Scope) -> bool:
    """Return whether an entity has at most one row per event, so that the row can be looked up."""
    return not scope.view.has_twice


def _turns(scope: Scope, part: States, wanted: Moments, known: frozenset[str]) -> str:
    """Select the rows of one projection's entities at which the predicate turns true or false."""
    moments = _moments(scope, part, wanted, known)
    if _is_followed(scope, part):
        lagged = f"SELECT *, {BEFORE}, lag(truth) OVER () AS truth_before FROM ({moments})"
        turned = f"truth <> CASE WHEN {BEGINS} THEN false ELSE truth_before END"
        return f"SELECT * EXCLUDE (kind_before, entity_before, key_before, truth_before) FROM ({lagged}) WHERE {turned}"
    lagged = f"SELECT *, lag(truth, 1, false) OVER ({_ORDER}) AS was FROM ({moments})"
    return f"SELECT * EXCLUDE (was) FROM ({lagged}) WHERE truth <> was"


def _moments(scope: Scope, part: States, wanted: Moments, known: frozenset[str]) -> str:
    """Select the moments of one projection's entities: kind, entity, key, the event's columns, truth."""
    test = predicate(scope, wanted.predicate, part, known, "PREDICATE")
    own = [f"{state_sql(part)} AS state"] if wanted.state else []
    columns = () if _is_looked_up(scope) else _LOOKED_UP
    names = ", ".join(["kind", "entity", "key", "time", "position", *columns, *own])
    truth = f"CASE WHEN NOT deleted THEN coalesce({test}, false) ELSE false END"
    if wanted.each_event:
        return f"SELECT {names}, {truth} AS truth FROM ({part.sql})"
    closing = f"SELECT *, {_closes(scope, part)} AS closes FROM ({_with_next_times(scope, part)})"
    return f"SELECT {names}, CASE WHEN closes THEN {truth} END AS truth FROM ({closing}) WHERE closes"


def _is_followed(scope: Scope, part: States) -> bool:
    """Return whether the order of the rows alone shows the next row of an entity, and none is undated."""
    return part.ordered and not scope.view.manifest.undated


def _with_next_times(scope: Scope, part: States) -> str:
    if _is_followed(scope, part):
        return f"SELECT *, {AFTER}, lead(time) OVER () AS time_after FROM ({part.sql})"
    undated = f"position IN ({undated_positions(scope)})" if scope.view.manifest.undated else "false"
    return f"SELECT *, {undated} AS undated FROM ({part.sql})"


def _closes(scope: Scope, part: States) -> str:
    """Write whether a row is the last of its entity at its time, over `_with_next_times`."""
    if _is_followed(scope, part):
        return f"({ENDS} OR time_after IS DISTINCT FROM time)"
    # Undated events that happen to share an instant are not one moment: each is its own.
    alone = f"(undated OR lead(undated, 1, false) OVER ({_ORDER}))"
    return f"({alone} OR lead(time) OVER ({_ORDER}) IS DISTINCT FROM time)"


def _not_before(scope: Scope, start: AsOf | None, *, beyond: bool = False) -> str:
    if start is None:
        return ALWAYS.sql
    return _event_within(scope, Filters(start=replace(start, inclusive=start.inclusive or beyond)))


def _until(scope: Scope, end: AsOf | None) -> str:
    return ALWAYS.sql if end is None else _event_within(scope, Filters(end=end))


def _event_within(scope: Scope, filters: Filters) -> str:
    """Write the condition that the event of a row is within the filters."""
    conditions = filter_conditions(scope, filters)
    point = filters.start or filters.end
    if point is not None and point.kind in ("time", "position"):
        return f"({all_of(conditions).sql})"
    events = scope.view.relation(["kind", "entity", "position"], None, [*counted(scope), *conditions])
    return f"((kind, entity, position) IN (SELECT (kind, entity, position) FROM ({events})))"


def _findings(text: str) -> Findings:
    until = f"""CASE WHEN "end" IS NULL THEN ' and still holds' ELSE ' until ' || {time_text('"end"')} END"""
    by = "coalesce(' ' || type, '') || coalesce(' by ' || actor, '')"
    message = f"""{literal(f"{text} from ")} || {time_text('"start"')} || {until}
        || ' (event @' || position || {by} || ')'"""
    return Findings((("when", f"no state for which {text}"),), "'when'", message, "entity")
