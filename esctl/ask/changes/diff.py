"""diff: what differs between the states at two points, and which events did it."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.scope.basis import projections_hash
from esctl.ask.scope.bounds import entity_conditions
from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.plans import plan_for
from esctl.ask.scope.scope import (
    Claim,
    Scope,
    check_entities,
    claims,
    counted,
    event_rows,
    known_limits,
    limit,
    projection_notes,
    run_fieldless_checks,
)
from esctl.ask.states.replay import states
from esctl.ask.states.state_fields import States
from esctl.ask.states.trail import differ, trail
from esctl.engine.duckdb import explained, single_row
from esctl.engine.exact_text import members_sql, unmark_text_sql
from esctl.engine.quoting import literal
from esctl.index.pruning import Test, all_of, any_of
from esctl.index.scan import FOLDABLE
from esctl.model import Answer, AsOf, Column, Totals
from esctl.projection.fold import NotSetwiseError
from esctl.projection.pairs import SIDES, pair_sql
from esctl.projection.query_reads import Reads
from esctl.projection.sql import touched_sql

COLUMNS = (
    Column("entity", "text"),
    Column("kind", "text"),
    Column("change", "text"),
    Column("field", "text"),
    Column("before", "json"),
    Column("after", "json"),
    Column("positions", "json"),
)
ORDER = ("kind", "entity", "field")
SUMMARY_COLUMNS = (
    Column("kind", "text"),
    Column("change", "text"),
    Column("entities", "integer"),
    Column("fields", "integer"),
)

NARROW_RATIO = 50
"""Events are few if the log has more than this many times their number."""
_NO_TOUCHES = "SELECT '' AS kind, '' AS entity, 0::BIGINT AS position, '' AS field, true AS resets WHERE false"


class Side(Struct, frozen=True):
    """One side of a comparison: a scope at a point (None: at the end)."""

    scope: Scope
    at: AsOf | None = None


def diff(scope: Scope, a: AsOf, b: AsOf, *, summary: bool = False) -> Answer:
    """Return one row per entity and field that differs between the states at `a` and at `b`.

    If `a` is the later point, `before` is the later value. `positions` are the events between the two points that
    touched the field.
    """
    return compare(Side(scope, a), Side(scope, b), summary=summary)


def compare(before: Side, after: Side, *, summary: bool = False) -> Answer:
    """Return the differences between two sides in the rows of `diff`.

    The sides may also differ in `known_at` or in the events excluded by a what-if. If their rules differ, all entities
    are compared, and `positions` is empty.
    """
    scope = before.scope
    for side in (before, after):
        check_entities(side.scope)
        check_order(side.scope)
    if _is_one_view(before, after) and _have_same_rules(scope, after.scope):
        rows = " UNION ALL ".join(differences(before, after, claim) for claim in claims(scope))
    else:
        rows = _differences_of_states(before, claims(scope), after, claims(after.scope))
    notes = projection_notes(scope)
    if summary:
        sql = f"""SELECT kind, change, count(DISTINCT entity) AS entities, count(field) AS fields FROM ({rows})
            GROUP BY ALL"""
        totals = Totals(sql, ("kind", "change"), {"entities": "sum", "fields": "sum"}, _sort_summary)
        return Answer(
            scope.session, _sort_summary(sql), SUMMARY_COLUMNS, notes=notes, title="differences", totals=totals
        )
    listed = "'[' || array_to_string(positions, ',') || ']' AS positions"
    return Answer(
        scope.session,
        f"SELECT * EXCLUDE (resets) REPLACE ({listed}) FROM ({rows}) ORDER BY {', '.join(ORDER)}",
        COLUMNS,
        notes=notes,
        title="differences",
        order=ORDER,
    )


def _sort_summary(summary: str) -> str:
    return f"SELECT * FROM ({summary}) ORDER BY kind, change"


def _is_one_view(before: Side, after: Side) -> bool:
    """Return whether the sides have the same events, but for those that a bound or a what-if takes from one of them."""
    return before.scope.view.edits == after.scope.view.edits


def _have_same_rules(one: Scope, other: Scope) -> bool:
    """Return whether two scopes fold alike, including the code of functions of the same name."""
    if one.config == other.config:
        return (one.projections, one.projection) == (other.projections, other.projection)
    return _identify_rules(one) == _identify_rules(other)


def _identify_rules(scope: Scope) -> tuple[str, str]:
    found = scope.lookups.once(lambda: projections_hash(scope.projections, scope.projection, scope.config))
    return scope.projection, found


def _differences_of_states(before: Side, claims_before: list[Claim], after: Side, claims_after: list[Claim]) -> str:
    """Select the differences in the rows of `differences`, from the states of each side, folded by itself."""
    parts = [(before, claims_before), (after, claims_after)]
    one, other = (_all_fields(side, shared) for side, shared in parts)
    touches = [_NO_TOUCHES]
    if _have_same_rules(before.scope, after.scope):
        apart = apart_conditions(before, after)
        touches = [_touches(side.scope, claim, claim, apart, side.at) for side, shared in parts for claim in shared]
    return _join_fields(one, other, " UNION ALL ".join(touches))


def differences(before: Side, after: Side, claim: Claim) -> str:
    """Select the differences in a claim's entities: entity, kind, change, field, before, after, positions, resets.

    `positions` is a list; `resets` is false only if it is known that none of these events set or removed the field.
    """
    if not _is_one_view(before, after):
        return _differences_of_states(before, [claim], after, [claim])
    scope = before.scope
    apart = apart_conditions(before, after)
    events = scope.view.relation(["kind", "entity"], None, [FOLDABLE, entity_conditions(scope.entities), *apart])
    try:
        return _fold_differences(before, after, claim, events)
    except NotSetwiseError:
        # What a query says of an entity may depend on all of them.
        narrowed = claim if claim.projection.sql else _claim_on_events(claim, events)
        one, other = (_all_fields(side, [narrowed]) for side in (before, after))
        return _join_fields(one, other, _select_touches(before, after, claim, narrowed, apart))


def _claim_on_events(claim: Claim, events: str, count: int | None = None) -> Claim:
    """Return a claim on only the entities of some events; `count`: how many events these are, if known."""
    # The limit cuts nothing off: without it DuckDB expects more entities than rows to look up among them, and keeps
    # the rows in memory instead. Two columns take less memory per row than one of pairs.
    limited = "" if count is None else f" LIMIT {count}"
    entities = f"SELECT DISTINCT kind, entity FROM ({events}){limited}"
    return Claim(claim.projection, f"{claim.condition} AND (kind, entity) IN ({entities})")


def _fold_differences(before: Side, after: Side, claim: Claim, events: str) -> str:
    """Select the differences by one fold within both bounds. Raises NotSetwiseError if that is not possible.

    `events` selects the events that only one side has.
    """
    inside = [_inside_condition(side) for side in (before, after)]
    if claim.projection.python or claim.projection.sql or None in inside:
        raise NotSetwiseError
    shared = _common_scope(before.scope, after.scope)
    plan = plan_for(shared, claim.projection)
    bounded = None not in (before.at, after.at)
    bounds = (before.at, after.at) if bounded else (None, None)
    sides = [f"{test} AS {name}" for test, name in zip(inside, SIDES.values(), strict=True)]
    # Finding the entities first takes longer than folding all, unless they are few. If folding may fail, it is done
    # all the same, so that no other entity can.
    count = shared.lookups.once(lambda: _count_rows(shared, events))
    few = plan.may_fail or count * NARROW_RATIO < shared.view.manifest.events
    concerned = _claim_on_events(claim, events, count) if few else claim
    rows = event_rows(shared, plan.reads, [concerned.condition], bounds[0], also=bounds[1], more=sides)
    run_fieldless_checks(shared, plan, rows)
    none = "CAST(NULL AS VARCHAR)"
    numbers = range(len(plan.fields))
    bare = " AND ".join(["there_a <> there_b", *(f"before{i} IS NULL AND after{i} IS NULL" for i in numbers)])
    everything = ", ".join(["CAST([] AS BIGINT[])", *(f"coalesce(touched{i}, [])" for i in numbers)])
    any_reset = any_of(f"coalesce(resets{i}, false)" for i in numbers).sql
    # An entity without any field has one row without a name, so that its creation or deletion is not lost.
    members = [f"CASE WHEN {bare} THEN {_member(none, none, none, f'flatten([{everything}])', any_reset)} END"]
    for i, field in enumerate(plan.fields):
        member = _member(literal(field.name), f"before{i}", f"after{i}", f"touched{i}", f"resets{i}")
        members.append(f"CASE WHEN {differ(f'before{i}', f'after{i}')} THEN {member} END")
    listed = f"""SELECT entity, kind, there_a, there_b, unnest([{", ".join(members)}]) AS f
        FROM ({pair_sql(plan, replace(rows, few=rows.few or few))})"""
    change = "CASE WHEN NOT there_a THEN 'created' WHEN NOT there_b THEN 'deleted' ELSE 'changed' END"
    return f"""SELECT entity, kind, {change} AS change, f.field AS field, f.before AS before, f.after AS after,
        coalesce(list_sort(list_distinct(f.positions)), []) AS positions, coalesce(f.resets, true) AS resets
        FROM ({listed}) WHERE f IS NOT NULL"""


def _count_rows(scope: Scope, events: str) -> int:
    with explained():
        found = single_row(scope.connection, f"SELECT count(*) FROM ({events})")
    return 0 if found is None else int(found[0])


def _member(field: str, before: str, after: str, positions: str, resets: str) -> str:
    return f"""{{'field': {field}, 'before': {before}, 'after': {after}, 'positions': {positions},
        'resets': {resets}}}"""


def _inside_condition(side: Side) -> str | None:
    """Write the condition that a row is in a side; None if the row alone cannot decide it."""
    bound = limit(side.scope, side.at)
    if bound.first_versions is not None:
        return None
    # An event without a sequence is in no bound by sequence.
    return f"coalesce({all_of([bound.condition, *_known_conditions(side.scope)]).sql}, false)"


def _common_scope(one: Scope, other: Scope) -> Scope:
    """Return a scope with the events of both scopes."""
    return replace(
        one,
        known_at=one.known_at if one.known_at == other.known_at else None,
        without=one.without if one.without == other.without else (),
    )


def _all_fields(side: Side, shared: list[Claim]) -> str:
    return " UNION ALL ".join(_fields(states(side.scope, claim, side.at)) for claim in shared)


def _join_fields(before: str, after: str, touched: str) -> str:
    """Select the differences between two lists of fields, each with the events in `touched` that concern it."""
    names = ", ".join(f"coalesce(x.{name}, y.{name}) AS {name}" for name in ("entity", "kind", "field"))
    joined = f"""SELECT {names}, x.value AS before, y.value AS after, x.entity IS NOT NULL AS was,
        y.entity IS NOT NULL AS is_now
        FROM ({before}) x FULL JOIN ({after}) y
        ON x.entity = y.entity AND x.kind = y.kind AND x.field IS NOT DISTINCT FROM y.field"""
    lives = f"""SELECT *, bool_or(was) OVER (PARTITION BY kind, entity) AS before_there,
        bool_or(is_now) OVER (PARTITION BY kind, entity) AS after_there,
        count(field) OVER (PARTITION BY kind, entity) AS fields FROM ({joined})"""
    change = "CASE WHEN NOT before_there THEN 'created' WHEN NOT after_there THEN 'deleted' ELSE 'changed' END"
    # An entity without any field has one row without a name, so that its creation or deletion is not lost.
    differing = f"""SELECT entity, kind, {change} AS change, field, before, after FROM ({lives})
        WHERE {differ("before", "after")} OR (fields = 0 AND NOT (before_there AND after_there))"""
    # The events of each field, and for each entity the events of all its fields.
    events = f"""SELECT kind, entity, field, grouping(field) AS whole,
        list(DISTINCT position ORDER BY position) AS positions, bool_or(resets) AS resets
        FROM ({touched}) WHERE position IS NOT NULL GROUP BY GROUPING SETS ((kind, entity, field), (kind, entity))"""
    return f"""SELECT d.entity, d.kind, d.change, d.field, d.before, d.after, coalesce(t.positions, []) AS positions,
        coalesce(t.resets, true) AS resets
        FROM ({differing}) d LEFT JOIN ({events}) t ON t.entity = d.entity AND t.kind = d.kind
        AND t.field IS NOT DISTINCT FROM d.field AND t.whole = CASE WHEN d.field IS NULL THEN 1 ELSE 0 END"""


def _fields(part: States) -> str:
    """Return states as rows of (kind, entity, field, value), and for each state one row without a field."""
    if part.streamed:
        named = f"""SELECT kind, entity, unnest(list_prepend(NULL, {members_sql("state")})) AS m
            FROM ({part.sql}) WHERE NOT deleted"""
        value = "CASE WHEN m IS NOT NULL THEN coalesce(CAST(m.value AS VARCHAR), 'null') END"
        return f"SELECT kind, entity, {unmark_text_sql('m.key')} AS field, {value} AS value FROM ({named})"
    items = ["{'field': CAST(NULL AS VARCHAR), 'value': CAST(NULL AS VARCHAR)}"]
    items += [f"{{'field': {literal(field.name)}, 'value': {field.column}}}" for field in part.fields]
    listed = f"SELECT kind, entity, unnest([{', '.join(items)}]) AS f FROM ({part.sql}) WHERE NOT deleted"
    return f"""SELECT kind, entity, f.field AS field, f.value AS value FROM ({listed})
        WHERE f.value IS NOT NULL OR f.field IS NULL"""


def apart_conditions(before: Side, after: Side) -> list[str]:
    """Write the conditions for the events that only one of the two sides has."""
    inside = [_inside_condition(side) for side in (before, after)]
    if None not in inside and _is_one_view(before, after):
        return [f"{inside[0]} <> {inside[1]}"]
    nothing = Reads(before.scope.view, {})
    one, other = (
        f"SELECT kind, entity, position FROM ({event_rows(side.scope, nothing, [], side.at).sql})"
        for side in (before, after)
    )
    events = f"(({one}) EXCEPT ({other})) UNION (({other}) EXCEPT ({one}))"
    return [f"(kind, entity, position) IN (SELECT (kind, entity, position) FROM ({events}))"]


def _known_conditions(scope: Scope) -> list[Test]:
    return [*known_limits(scope), *(skipped.condition for skipped in scope.without)]


def _select_touches(before: Side, after: Side, claim: Claim, narrowed: Claim, apart: list[str]) -> str:
    """Select which fields the events between two sides touched: kind, entity, position, field, resets.

    `narrowed`: the claim on only the entities with such events, for folds that need all events of an entity.
    """
    at, also = (before.at, after.at) if None not in (before.at, after.at) else (None, None)
    return _touches(_common_scope(before.scope, after.scope), claim, narrowed, apart, at, also)


def _touches(
    scope: Scope, claim: Claim, narrowed: Claim, apart: list[str], at: AsOf | None, also: AsOf | None = None
) -> str:
    if claim.projection.sql:
        return _NO_TOUCHES
    try:
        if claim.projection.python:
            raise NotSetwiseError
        plan = plan_for(scope, claim.projection)
        return touched_sql(plan, event_rows(scope, plan.reads, [claim.condition, *apart], None))
    except NotSetwiseError:
        trails = trail(scope, narrowed, at, also=also).sql
        rows = f"SELECT kind, entity, position, unnest(fields) AS field, true AS resets FROM ({trails})"
        events = scope.view.relation(["kind", "entity", "position"], None, [*counted(scope), *apart])
        return f"""SELECT * FROM ({rows})
            WHERE (kind, entity, position) IN (SELECT (kind, entity, position) FROM ({events}))"""
