"""What can be wrong with a log: each check as the events that fail it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property

from msgspec import Struct

from esctl.ask.scope.bounds import entity_conditions, known_conditions
from esctl.ask.scope.filters import Filters, filter_conditions
from esctl.ask.scope.ignored import ignored_positions
from esctl.ask.scope.scope import Scope, claims
from esctl.engine.exact_text import json_string_sql, time_text
from esctl.engine.quoting import like_pattern, literal
from esctl.index.files.manifest import IS_UNDATED, UNREADABLE, Manifest
from esctl.index.pruning import ALWAYS, Predicate, Test, all_of, any_of
from esctl.index.scan import FIRST_DELIVERY, FOLDABLE, IndexView, Read
from esctl.index.seen_ids.apart import apart
from esctl.model import CLOCK_SKEW_SECONDS
from esctl.projection.fold import role_test
from esctl.projection.row_changes.rules import row_stanzas
from esctl.projection.spec import Projection, Rule
from esctl.timespec import utc_now

OCCURRENCE_COLUMNS = ("position", "time", "recorded_at", "source", "kind", "entity", "type", "id")
"""The columns of an occurrence's event; it also has `detail` (text) and `weight` (how bad it is; NULL: all alike)."""

PUSHED = 16
"""Microseconds after another commit up to which a commit was dated by that one: no commit is so fast. More than one, as
commits without records may lie between."""
MOST = 0.9
"""The share of a kind's entities that must begin with one type for it to be the type that creates them."""


class CheckContext(Struct, frozen=True, dict=True):
    """What checks look at: the log as `scope` knew it, and which of its events are to be reported."""

    scope: Scope
    filters: Filters

    @cached_property
    def known(self) -> list[Predicate]:
        """Return the conditions on what the log held at the scope's `known_at`."""
        return list(known_conditions(self.scope.connection, self.scope.view, self.scope.known_at))

    @cached_property
    def wanted(self) -> list[Test]:
        """Return the conditions of the events asked for: the scope's entities and projection, within its times."""
        own = [claim.condition for claim in claims(self.scope)] if self.scope.projection else []
        tests: list[Test] = [entity_conditions(self.scope.entities), *own, *filter_conditions(self.scope, self.filters)]
        return [test for test in tests if test != ALWAYS]

    def events(
        self,
        columns: Iterable[str],
        conditions: Sequence[str],
        extra: str = "",
        reads: Mapping[str, Read] | None = None,
        view: IndexView | None = None,
    ) -> str:
        """Select rows of the log as it was known, or of the files in `view`; `wanted` marks the events asked for."""
        marked = f"coalesce({all_of(self.wanted).sql}, false) AS wanted"
        more = f"{marked}, {extra}" if extra else marked
        return (view or self.scope.view).relation(columns, reads, [*conditions, *self.known], more)

    def asked(self, conditions: Sequence[str], detail: str, weight: str = "NULL") -> str:
        """Select the events asked for that meet some conditions, as occurrences."""
        extra = f"{detail} AS detail, CAST({weight} AS DOUBLE) AS weight"
        return self.scope.view.relation(OCCURRENCE_COLUMNS, None, [*conditions, *self.known, *self.wanted], extra)


class HealthCheck(Struct, frozen=True):
    """One check: its name, which is also the option that lists it, what it finds, and the SQL of the occurrences."""

    name: str
    finds: str
    occurrences: Callable[[CheckContext], str]


_TYPES = {"position": "BIGINT", "time": "TIMESTAMP", "recorded_at": "TIMESTAMP", "weight": "DOUBLE"}
_EMPTY = ", ".join(
    f"CAST(NULL AS {_TYPES.get(name, 'VARCHAR')}) AS {name}" for name in (*OCCURRENCE_COLUMNS, "detail", "weight")
)
NONE = f"SELECT {_EMPTY} WHERE false"
"""No occurrences."""


def span(microseconds: str) -> str:
    """Write SQL for a length of time as text: `49:03:07.5`."""
    return f"CAST(to_microseconds({microseconds}) AS VARCHAR)"


def occurrence_items(items: str, *more: str) -> str:
    """Write the columns of occurrences: OCCURRENCE_COLUMNS from the relation `items`, then `more`."""
    return ", ".join([*(f"{items}.{name}" for name in OCCURRENCE_COLUMNS), *more])


def duplicates(context: CheckContext) -> str:
    """Select events delivered again with the same id and content."""
    return context.asked(["duplicate_of IS NOT NULL", "NOT conflict"], "'the same as @' || duplicate_of")


def conflicts(context: CheckContext) -> str:
    """Select events that have the id of an earlier one, and other content."""
    return context.asked(["conflict"], "'has the id of @' || duplicate_of || ', and other content'")


def numberings(context: CheckContext) -> str:
    """Select the first event of each source found to have a numbering of its own that the mapping does not declare."""
    found = [
        context.asked(
            [f"position = {numbering.first}"],
            literal(f"{numbering.source} has a numbering of its own: {numbering.why}"),
        )
        for numbering in apart(context.scope.view.manifest).values()
    ]
    return " UNION ALL ".join(f"SELECT * FROM ({part})" for part in found) or NONE


def invalid(context: CheckContext) -> str:
    """Select records that could not be read."""
    return context.asked([UNREADABLE], "invalid")


def undated(context: CheckContext) -> str:
    """Select events without a time of their own that can be read."""
    found = context.asked(["invalid IS NULL", IS_UNDATED], "undated")
    return f"SELECT * REPLACE (CAST(NULL AS TIMESTAMP) AS time) FROM ({found})"


def clock_change(context: CheckContext) -> str:
    """Select events whose times, in the zone that they were read in, a clock shows twice or never."""
    detail = """CASE wall WHEN 'never' THEN 'a time that clocks skip: read with the offset before the gap'
        ELSE 'a time that clocks show twice: the first, unless the order of the records says otherwise' END"""
    return context.asked(["invalid IS NULL", "wall IS NOT NULL"], detail)


def homeless(context: CheckContext) -> str:
    """Select homeless events, except those that the mapping declares to have no entity."""
    declared = ignored_positions(context.scope)
    apart = [f"position NOT IN ({declared})"] if declared else []
    return context.asked(["invalid IS NULL", "entity IS NULL", *apart], "'is of no entity'")


def payloads(context: CheckContext) -> str:
    """Select events of an entity whose payload is not an object, so that a merge takes nothing from it."""
    if not context.scope.view.manifest.shapeless:
        return NONE
    rows = context.events(
        OCCURRENCE_COLUMNS, ["entity IS NOT NULL", FIRST_DELIVERY], reads={"kind_of": Read((), "type")}
    )
    detail = "'its payload is not an object but ' || lower(kind_of) || ', of which a merge takes nothing' AS detail"
    columns = ", ".join([*OCCURRENCE_COLUMNS, detail, "CAST(NULL AS DOUBLE) AS weight"])
    return f"SELECT {columns} FROM ({rows}) WHERE wanted AND kind_of NOT IN ('OBJECT', 'NULL')"


def future(context: CheckContext) -> str:
    """Select events that happened after they were recorded, by more than clocks may differ."""
    ahead = "(epoch_us(time) - epoch_us(recorded_at))"
    dated = [FIRST_DELIVERY, "undated IS NULL", f"{ahead} > {CLOCK_SKEW_SECONDS * 1_000_000}"]
    return context.asked(dated, f"{span(ahead)} || ' after it was recorded'", ahead)


def recording(context: CheckContext) -> str:
    """Select records dated ahead of this machine's clock, and records dated only by the commit before them.

    `recorded_at` never goes back: if the clock does, a commit is dated a microsecond after the one before it.
    """
    now = (utc_now() - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    ahead = f"(epoch_us(recorded_at) - {now})"
    commits = f"SELECT DISTINCT recorded_at FROM ({context.scope.view.relation(['recorded_at'], None, context.known)})"
    steps = f"SELECT recorded_at, lag(recorded_at) OVER (ORDER BY recorded_at) AS earlier FROM ({commits})"
    pushed = f"""SELECT epoch_us(recorded_at) FROM ({steps})
        WHERE epoch_us(recorded_at) - epoch_us(earlier) <= {PUSHED}"""
    is_ahead = f"{ahead} > {CLOCK_SKEW_SECONDS * 1_000_000}"
    detail = f"""CASE WHEN {is_ahead} THEN 'recorded ' || {span(ahead)} || ' after what the clock says now'
        ELSE 'recorded when the clock was behind the commit before, and dated by that' END"""
    condition = f"({is_ahead} OR epoch_us(recorded_at) IN ({pushed}))"
    return context.asked([condition], detail, f"CASE WHEN {is_ahead} THEN {ahead} END")


def late(context: CheckContext) -> str:
    """Select events that happened before an event of their entity that was recorded in an earlier commit."""
    dated = f"{FOLDABLE} AND undated IS NULL"
    rows, view = context.events(OCCURRENCE_COLUMNS, [dated]), context.scope.view
    commits = f"""SELECT kind, entity, recorded_at, max(time) AS latest, min(time) AS earliest
        FROM ({view.relation(["kind", "entity", "recorded_at", "time"], None, [dated, *context.known])})
        GROUP BY kind, entity, recorded_at"""
    before = f"""SELECT kind, entity, recorded_at, earliest, max(latest) OVER (
            PARTITION BY kind, entity ORDER BY recorded_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS seen
        FROM ({commits})"""
    behind = "(epoch_us(seen) - epoch_us(e.time))"
    detail = f"{span(behind)} || ' before ' || {time_text('seen')} || ', which was already recorded'"
    return f"""SELECT {occurrence_items("e", f"{detail} AS detail", f"CAST({behind} AS DOUBLE) AS weight")}
        FROM ({rows}) e JOIN (SELECT * FROM ({before}) WHERE earliest < seen) c
        ON e.kind = c.kind AND e.entity = c.entity AND e.recorded_at = c.recorded_at
        WHERE e.time < seen AND e.wanted"""


def clock(context: CheckContext) -> str:
    """Select events whose time lies before that of the record before them in their source.

    Undated events say nothing about a clock. In a source that begins with the newest record, the record before is the
    one at the next position.
    """
    declared = ignored_positions(context.scope)  # markers of transactions may have times in another unit
    conditions = [FIRST_DELIVERY, "undated IS NULL", *([f"position NOT IN ({declared})"] if declared else [])]
    times = context.scope.view.relation(
        ["source", "position", "role_order", "time"], None, [*conditions, *context.known]
    )
    place = _in_time(context.scope.view.manifest)
    before = f"OVER (PARTITION BY source ORDER BY {place}, role_order)"
    steps = f"""SELECT position, role_order, time, lag(time) {before} AS earlier, lag(position) {before} AS neighbour
        FROM ({times})"""
    back = "(epoch_us(earlier) - epoch_us(e.time))"
    side = "CASE WHEN neighbour < e.position THEN 'before' ELSE 'behind' END"
    detail = f"{span(back)} || ' back from @' || neighbour || ', the record ' || {side} || ' it'"
    return f"""SELECT {occurrence_items("e", f"{detail} AS detail", f"CAST({back} AS DOUBLE) AS weight")}
        FROM ({context.events(OCCURRENCE_COLUMNS, conditions, "role_order")}) e
        JOIN (SELECT * FROM ({steps}) WHERE time < earlier) s
        ON e.position = s.position AND e.role_order = s.role_order
        WHERE e.wanted"""


def _in_time(manifest: Manifest) -> str:
    """Write the sort key that orders the records of a source as they happened."""
    backwards = {number for number, stanza in enumerate(manifest.stanzas) if stanza.newest_first}
    names = [literal(name) for name, number in manifest.sources.items() if number in backwards]
    return f"CASE WHEN source IN ({', '.join(names)}) THEN -position ELSE position END" if names else "position"


def no_creation(context: CheckContext) -> str:
    """Select the first events of entities that begin with another type than nearly all of their kind.

    Rows are left out, as a change log begins in the middle of their lives; `unseen` finds those never seen whole.
    """
    of_rows = [f"stanza <> {number}" for number in row_stanzas(context.scope.view.manifest.stanzas)]
    rows = context.events(OCCURRENCE_COLUMNS, [FOLDABLE, *of_rows], f"{context.scope.view.key()} AS key")
    members = ", ".join(f"{name} := {name}" for name in (*OCCURRENCE_COLUMNS, "wanted"))
    firsts = f"SELECT arg_min(struct_pack({members}), key) AS e FROM ({rows}) GROUP BY kind, entity"
    usual = f"""SELECT kind, type AS usual, beginning, entities FROM (
            SELECT kind, type, count(*) AS beginning, sum(count(*)) OVER (PARTITION BY kind) AS entities
            FROM (SELECT unnest(e) FROM firsts) GROUP BY kind, type)
        WHERE type IS NOT NULL AND beginning >= {MOST} * entities"""
    detail = f"""'begins with ' || coalesce({json_string_sql("f.type")}, 'an event without a type') || '; '
        || beginning || ' of ' || entities || ' of kind ' || {json_string_sql("f.kind")}
        || ' begin with ' || {json_string_sql("usual")}"""
    return f"""WITH firsts AS MATERIALIZED ({firsts})
        SELECT {occurrence_items("f", f"{detail} AS detail", "CAST(NULL AS DOUBLE) AS weight")}
        FROM (SELECT unnest(e) FROM firsts) f JOIN ({usual}) u ON f.kind = u.kind
        WHERE f.type IS DISTINCT FROM usual AND f.wanted"""


def unhandled(context: CheckContext) -> str:
    """Select events of types for which the projection of their entity has no rule, or none for their role."""
    parts = []
    for claim in claims(context.scope):
        of_type, of_role = _handled(claim.projection)
        if of_role == ALWAYS:
            continue
        begin = literal(f"projection {claim.projection.name} has no rule for this type")
        role = f"coalesce(' in the role ' || {json_string_sql('role')}, ' without a role')"
        detail = f"{begin} || CASE WHEN {of_type.sql} THEN {role} ELSE '' END"
        parts.append(context.asked([FOLDABLE, claim.condition, f"NOT coalesce({of_role.sql}, false)"], detail))
    return " UNION ALL ".join(f"SELECT * FROM ({part})" for part in parts) or NONE


def _handled(projection: Projection) -> tuple[Predicate, Predicate]:
    """Return the conditions of events of a type that a projection has a rule for: in any role, and in theirs."""
    if projection.sql or projection.python:
        return ALWAYS, ALWAYS
    types = [(_type_test(rule), rule.role) for rule in projection.rules]
    # Several roles are only in rules of our own, for rows, which handle all of them together.
    own = [f"({test} AND {role_test(role)})" if isinstance(role, str) else test for test, role in types]
    return any_of(test for test, _ in types), ALWAYS if ALWAYS.sql in own else any_of(own)


def _type_test(rule: Rule) -> str:
    if rule.pattern == "*":
        return ALWAYS.sql
    return f"type LIKE {like_pattern(rule.pattern)}" if rule.is_glob else f"type = {literal(rule.pattern)}"
