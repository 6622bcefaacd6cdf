"""trace: the events that are tied to one, as a tree of causes and in order of time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from esctl.ask.events.links import EDGES, TIES, gather
from esctl.ask.scope.bounds import known_conditions
from esctl.ask.scope.event_names import ambiguity_text, events_of
from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained, single_row
from esctl.engine.exact_text import json_string, json_string_sql
from esctl.engine.quoting import literal
from esctl.errors import NotFoundError, did_you_mean
from esctl.index.scan import FIRST_DELIVERY
from esctl.model import Answer, Column

MOST_LINKS = 100
"""How many links are followed by default."""

COLUMNS = (
    Column("position", "integer"),
    Column("time", "time"),
    Column("depth", "integer"),
    Column("tree", "text"),
    Column("parent", "integer"),
    Column("link", "text", spare=True),
    Column("inferred", "boolean"),
    Column("cut", "boolean"),
    Column("entity", "text"),
    Column("kind", "text"),
    Column("also", "json", spare=True),
    Column("type", "text"),
    Column("actor", "text"),
    Column("id", "text", spare=True),
    Column("source", "text"),
)

_MOST_NAMED = 5
"""The most events of a cycle that a note names."""
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
_OLDEST = "{'t': time, 'p': position}"


def trace(scope: Scope, name: str, most_links: int = MOST_LINKS) -> Answer:
    """Return the events tied to an id (of an event, a correlation, an alias; or `@POSITION`), in order of time.

    `parent` is the event's cause (`link` causation). An event without a known cause is put below the earliest event
    that shares a correlation or an alias (`link` says which) with it or with an event that it caused: that edge is
    `inferred`. `also` lists further entities that the event concerns. If causes form a cycle, its earliest event is
    taken as uncaused and marked `cut`. Raises NotFoundError for an id that no event has.
    """
    beyond = gather(scope, _start_conditions(name), most_links)
    with explained():
        if single_row(scope.connection, "SELECT 1 FROM tie_reached LIMIT 1") is None:
            raise NotFoundError(f"nothing is tied to {name!r}", _nearest(scope, name))
        notes = (*_namesakes(scope, name), *_find_parents(scope))
    if beyond:
        links = f"{most_links} link{'s' * (most_links != 1)}"
        notes = (*notes, f"note: there is more beyond {links}: --depth N")
    return Answer(scope.session, _answer_sql(scope), COLUMNS, notes=notes, title="trace")


def trace_all(scope: Scope, positions: Sequence[int], most_links: int) -> Answer:
    """Return the events at some positions with those tied to them, as `trace` does with one."""
    gather(scope, [f"position IN ({', '.join(map(str, positions))})"] if positions else [], most_links)
    with explained():
        notes = _find_parents(scope)
    return Answer(scope.session, _answer_sql(scope), COLUMNS, notes=notes, title="trace")


def _start_conditions(name: str) -> list[str]:
    """Write the conditions of the events that an id names."""
    if re.fullmatch(r"@[0-9]{1,18}", name):
        return [f"position = {int(name[1:])}"]
    names = {name, name.removeprefix("id:")}
    alike = ", ".join(literal(each) for each in sorted(names))
    aliases = ", ".join(literal(each) for each in sorted(names | {_trace_id(name)}))
    return [
        f"id IN ({alike}) OR correlation IN ({alike})",
        f"len(list_filter(aliases, lambda a: a.value IN ({aliases}))) > 0",
        # An event that is not in the log is still named by the events that it caused.
        f"causation IN ({alike}) AND causation NOT IN (SELECT id FROM tie_pool WHERE id IS NOT NULL)",
    ]


def _namesakes(scope: Scope, name: str) -> tuple[str, ...]:
    ambiguity = ambiguity_text(
        name, events_of(scope.connection, scope.view, [name, name.removeprefix("id:")], FIRST_DELIVERY)
    )
    return (f"note: {ambiguity}: what is tied to each is shown; trace one by its position",) if ambiguity else ()


def _trace_id(name: str) -> str:
    found = _TRACEPARENT.fullmatch(name)
    return found[1] if found else name


def _nearest(scope: Scope, name: str) -> str:
    """Return a hint that names the id nearest to one that no event has."""
    hint = "list ids with: esctl log --columns position,id,correlation,causation"
    if name.startswith("@"):
        return hint
    known = known_conditions(scope.connection, scope.view, scope.known_at)
    ids = scope.view.relation(["id", "correlation", "aliases"], None, [FIRST_DELIVERY, *known])
    row = single_row(
        scope.connection,
        f"""SELECT value FROM (SELECT DISTINCT unnest(list_concat([id, correlation],
                list_transform(coalesce(aliases, []), lambda a: a.value))) AS value FROM ({ids}))
            WHERE value IS NOT NULL
            ORDER BY jaro_winkler_similarity(lower(value), lower({literal(name)})) DESC, value LIMIT 1""",
    )
    return did_you_mean(row or (), hint)


def _find_parents(scope: Scope) -> tuple[str, ...]:
    """Make the tables `trace_caused` and `trace_hung`: the recorded parents and the inferred ones. Return notes."""
    connection = scope.connection
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE trace_caused AS
        SELECT child AS position, arg_min(cause, {{'r': remote, 'p': cause}}) AS parent FROM ({EDGES})
        WHERE child IN (SELECT position FROM tie_reached) AND cause IN (SELECT position FROM tie_reached)
        GROUP BY child""")
    connection.execute("CREATE OR REPLACE TEMP TABLE trace_cut (position BIGINT)")
    notes = _cut_cycles(scope)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE trace_hung AS {_inferred_parents()}")
    return notes


_ROOTED = """WITH RECURSIVE rooted AS (
        SELECT position, position AS root FROM tie_reached
        WHERE position NOT IN (SELECT position FROM trace_caused)
        UNION ALL SELECT c.position, r.root FROM trace_caused c JOIN rooted r ON c.parent = r.position)
    SELECT position, root FROM rooted"""
"""Each event with the one that its chain of causes begins with; events whose chain ends in a cycle are left out."""


def _cut_cycles(scope: Scope) -> tuple[str, ...]:
    rows = scope.connection.execute(f"""SELECT position, parent, epoch_us(time), coalesce(id, '@' || position)
        FROM trace_caused JOIN tie_pool USING (position)
        WHERE position NOT IN (SELECT position FROM ({_ROOTED})) ORDER BY position""").fetchall()
    times = {position: (time, position) for position, _, time, _ in rows}
    names = {position: name if name.isprintable() else json_string(name) for position, _, _, name in rows}
    notes = []
    for cycle in _cycles({position: parent for position, parent, _, _ in rows}):
        in_order = sorted(cycle, key=lambda position: times[position])
        scope.connection.execute("INSERT INTO trace_cut VALUES (?)", in_order[:1])
        listed = [names[position] for position in in_order]
        notes.append(f"note: the causation of {_enumerate_names(listed)} is a cycle: cut at {listed[0]}")
    scope.connection.execute("DELETE FROM trace_caused WHERE position IN (SELECT position FROM trace_cut)")
    return tuple(notes)


def _enumerate_names(names: Sequence[str]) -> str:
    others = [f"{len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else []
    *first, last = [*names[:_MOST_NAMED], *others]
    return f"{', '.join(first)} and {last}"


def _cycles(parents: Mapping[int, int]) -> list[list[int]]:
    """Find the cycles among events, each of which has one parent."""
    found: list[list[int]] = []
    seen: set[int] = set()
    for start in parents:
        path: dict[int, None] = {}
        at = start
        while at not in seen and at not in path:
            path[at] = None
            at = parents[at]
        if at in path:
            steps = list(path)
            found.append(steps[steps.index(at) :])
        seen.update(path)
    return found


def _inferred_parents() -> str:
    """Select for each tree of causes the event to put it below because they share an id, and the name of that id.

    A tree is as old as its earliest event. Each id leads to the earliest event that has it in the oldest tree with it,
    so a tree is only ever put below an older one, and no cycle can arise.
    """
    return f"""WITH rooted AS MATERIALIZED ({_ROOTED}),
        aged AS (SELECT root, min({_OLDEST}) AS age FROM rooted JOIN tie_pool USING (position) GROUP BY root),
        tied AS MATERIALIZED (
            SELECT t.*, r.root, age, {_OLDEST} AS oldest
            FROM ({TIES}) t JOIN rooted r USING (position) JOIN aged USING (root) JOIN tie_pool USING (position)),
        heads AS (
            SELECT space, name, value, arg_min(position, {{'a': age, 'o': oldest}}) AS parent, min(age) AS age
            FROM tied GROUP BY space, name, value)
        SELECT root AS position, arg_min({{'parent': l.parent, 'link': t.name}},
            {{'far': t.position <> root, 's': t.space, 'n': t.name, 'a': l.age, 'v': t.value}}) AS tie
        FROM tied t JOIN heads l USING (space, name, value) WHERE l.age < t.age GROUP BY root"""


def _answer_sql(scope: Scope) -> str:
    own = ["position", "time", "role_order", "entity", "kind", "type", "actor", "id", "source"]
    rows = scope.view.relation(own, None, [FIRST_DELIVERY, "position IN (SELECT position FROM tie_reached)"])
    others = "list_filter(list(entity ORDER BY role_order)[2:], lambda e: e IS NOT NULL)"
    also = f"'[' || array_to_string(list_transform({others}, lambda e: {json_string_sql('e')}), ',') || ']'"
    events = f"""SELECT position, any_value(time) AS time, arg_min(entity, role_order) AS entity,
            arg_min(kind, role_order) AS kind, CASE WHEN count(entity) > 1 THEN {also} END AS also,
            any_value(type) AS type, any_value(actor) AS actor, any_value(id) AS id, any_value(source) AS source
        FROM ({rows}) GROUP BY position"""
    names = ", ".join(column.name for column in COLUMNS)
    return f"""WITH RECURSIVE parents AS MATERIALIZED (
            SELECT position, parent, 'causation' AS link, false AS inferred FROM trace_caused
            UNION ALL SELECT position, tie.parent, tie.link, true FROM trace_hung),
        depths AS (
            SELECT position, 0 AS depth FROM tie_reached WHERE position NOT IN (SELECT position FROM parents)
            UNION ALL SELECT p.position, d.depth + 1 FROM parents p JOIN depths d ON p.parent = d.position)
        SELECT {names} FROM (
            SELECT e.*, depth, parent, link, coalesce(inferred, false) AS inferred,
                   e.position IN (SELECT position FROM trace_cut) AS cut,
                   CASE WHEN depth > 0 THEN repeat('   ', depth - 1) || '└─ ' ELSE '' END
                   || coalesce(type, '(no type)') AS tree
            FROM ({events}) e JOIN depths USING (position) LEFT JOIN parents USING (position))
        ORDER BY time, position"""
