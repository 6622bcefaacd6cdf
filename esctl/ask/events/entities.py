"""entities: the entities that can be replayed."""

from __future__ import annotations

from esctl.ask.scope.scope import Scope, check_entities, counted
from esctl.engine.quoting import literal
from esctl.index.files.levels import parts_of
from esctl.index.pruning import ALWAYS, Predicate, Reach
from esctl.index.scan import OWN_RANGE, IndexView
from esctl.model import Answer, Column

COLUMNS = (
    Column("entity", "text"),
    Column("kind", "text"),
    Column("events", "integer"),
    Column("first", "time"),
    Column("last", "time"),
)


def entities(scope: Scope, *, first: bool = False) -> Answer:
    """Return each entity, how many events it has (duplicates left out) and when the first and last happened.

    `first`: only some of those whose names come first, which takes no longer if there are millions.
    """
    check_entities(scope)
    within = [_first_names(scope.view)] if first else []
    tests = [test for test in (*counted(scope), *within) if test != ALWAYS]
    rows = scope.view.relation(["entity", "kind", "position", "time", "undated"], None, tests)
    count = "count(DISTINCT position)" if scope.view.has_roles else "count(*)"
    sql = f"""SELECT entity, kind, {count} AS events, {OWN_RANGE} FROM ({rows})
        GROUP BY kind, entity ORDER BY kind, entity"""
    return Answer(scope.session, sql, COLUMNS, title="entities")


def _first_names(view: IndexView) -> Predicate:
    """Write the condition that a name is not after the lowest last name of a row group, or of a part of the manifest.

    Of the row groups whose names are known, only those whose range includes that name hold such names.
    """
    listed = [group for file in view.manifest.files for group in file.groups] + parts_of(view.manifest)
    highs = [group.high for group in listed if group.high is not None]
    if not highs:
        return ALWAYS
    end = min(highs)
    return Predicate(f"entity <= {literal(end)}", Reach(entities=(end,)))
