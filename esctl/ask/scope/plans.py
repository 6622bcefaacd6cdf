"""Compilation of the projections of a scope, against the fields of its index and their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import cache

from msgspec.structs import replace

from esctl.ask.scope.bounds import is_glob
from esctl.ask.scope.scope import Scope, counted
from esctl.engine.duckdb import explained
from esctl.engine.exact_text import unmark_text_sql
from esctl.index.files.manifest import PayloadPath
from esctl.index.scan import FOLDABLE, IndexView, Read
from esctl.projection.expressions import Expression
from esctl.projection.fold import MOST_FIELDS, Keys, Plan, guard_sql, plan
from esctl.projection.query_reads import EarlierShapes, Reads, measure_shapes, nested_types
from esctl.projection.spec import MOST_NAMES, Projection, Rule, family, with_names, with_tombstones
from esctl.projection.values import naming_place, to_text


def payload_keys(scope: Scope) -> Callable[[PayloadPath], Sequence[str]]:
    """Return a function that lists the keys objects at a payload path have had, most frequent first."""

    def keys(path: PayloadPath) -> Sequence[str]:
        rows = scope.view.relation([], {"j": Read(path, "json")})
        listed = f"SELECT unnest(json_keys(j)) AS k FROM ({rows}) WHERE json_type(j) = 'OBJECT'"
        sql = f"SELECT {unmark_text_sql('k')} FROM ({listed}) GROUP BY k ORDER BY count(*) DESC, k"
        with explained():
            return [name for (name,) in scope.connection.execute(sql).fetchall()]

    return lambda path: scope.lookups.once(lambda: keys(path))


def plan_for(
    scope: Scope,
    projection: Projection,
    *,
    calculating: bool = False,
    only: Set[str] | None = None,
    before: EarlierShapes | None = None,
    stepped: bool = False,
) -> Plan:
    """Compile a projection against the scope's index.

    `calculating`: other expressions will compute with its fields, or with those in `only` if given. `before`: what
    need not be measured again. `stepped`: as in `plan`.
    """
    projection = complete_projection(scope, projection)
    keys = cache(payload_keys(scope))
    paths = measured_paths(scope.view, projection, calculating, only)
    paths += _member_paths(scope.view, projection, keys, only) if calculating else []
    tests = counted(scope)
    shapes = scope.lookups.once(lambda: measure_shapes(scope.connection, scope.view, paths, tests, before))
    reads = Reads(scope.view, shapes, lenient=True)
    if calculating:
        nested = scope.lookups.once(lambda: nested_types(scope.connection, scope.view, paths, tests))
        reads.nested_types.update(nested)
    return plan(projection, reads, keys, stepped=stepped)


def complete_projection(scope: Scope, projection: Projection) -> Projection:
    """Return a projection with the rules that depend on the log: on its tombstones, and on names that events give."""
    if any(stanza.tombstone for stanza in scope.view.manifest.stanzas):
        projection = with_tombstones(projection)
    is_named = any(operation.named is not None for rule in projection.rules for operation in rule.operations)

    def names_of(rule: Rule, named: Expression) -> list[str]:
        return scope.lookups.once(lambda: _list_names(scope, rule, named))

    return with_names(projection, names_of) if is_named else projection


def _list_names(scope: Scope, rule: Rule, named: Expression) -> list[str]:
    """List the names that an expression gives in the events of a rule; of all entities, unless a few are asked for."""
    few = bool(scope.entities) and not any(is_glob(name) for name in scope.entities)
    reads = Reads(scope.view, {}, lenient=True)
    with naming_place(named.where):
        name = to_text(named.compile(reads.resolve)).sql
    # Its condition may depend on numbers that are not measured here: it decides which events count, not which names.
    guard = guard_sql(replace(rule, when=None), reads)
    rows = scope.view.relation(reads.columns, reads.by_alias(), counted(scope) if few else [FOLDABLE])
    sql = f"SELECT DISTINCT {name} AS name FROM ({rows}) WHERE {guard} AND {name} IS NOT NULL LIMIT {MOST_NAMES + 1}"
    with explained():
        return sorted(name for (name,) in scope.connection.execute(sql).fetchall())


def _member_paths(view: IndexView, projection: Projection, keys: Keys, only: Set[str] | None) -> list[PayloadPath]:
    """List the payload paths of the members of whole objects that are merged or replace a state."""
    found: list[PayloadPath] = []
    for operation in (operation for rule in projection.rules for operation in rule.operations):
        path = operation.value.path if operation.value is not None and not operation.field else None
        if path is not None and path[0] == "data":
            inner = tuple(path[1:])
            names = view.fields if not inner else keys(inner)
            few = [name for name in names if only is None or name in only]
            found += [(*inner, name) for name in few] if len(names) <= MOST_FIELDS else []
    return found


def measured_paths(
    view: IndexView, projection: Projection, calculating: bool = False, only: Set[str] | None = None
) -> list[PayloadPath]:
    """List the payload paths whose digits matter: all but those that are only carried and may not be numbers.

    The arguments are those of `plan_for`.
    """

    def is_reckoned(field: str) -> bool:
        return field in reckoned or (calculating and (only is None or field in only))

    operations = [operation for rule in projection.rules for operation in rule.operations]
    reckoned = {operation.field for operation in operations if family(operation.name) not in ("", "list")}
    reckoned.update(field for field, _ in projection.types)
    paths = [path for rule in projection.rules if rule.when for path in rule.when.paths()]
    for operation in operations:
        if operation.value is None or (operation.field == "" and operation.value.path is not None):
            continue
        carried = operation.value.copied_paths()
        paths += [
            path
            for path in operation.value.paths()
            if path not in carried
            or any(is_reckoned(operation.field or member) for member in carried[path])
            or view.static_type(tuple(path[1:])) == "NUMBER"
        ]
    return [tuple(path[1:]) for path in paths if path[0] == "data" and len(path) > 1]
