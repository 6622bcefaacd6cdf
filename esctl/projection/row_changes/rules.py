"""Fold rules that follow from presets: rows of tables are folded as rows, and states have no envelope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esctl.index.decode.rows import DIALECTS, MORE, OUTBOX, PATHS, ROWS, SET, TRUNCATED, UNSET, UNTIL
from esctl.index.envelope.mapping import CUSTOM
from esctl.projection.expressions import Expression
from esctl.projection.spec import DEFAULT, TOMBSTONES, Operation, Projection, Rule

if TYPE_CHECKING:
    from esctl.index.scan import IndexView
    from esctl.model import Stanza

COPIES = "copies"
"""The role of a row that a table holds several times, before the event or after it."""
_WHERE = "the projection of rows"
_ROW = Expression("data", _WHERE)
_REPLACE = (Operation("replace", "", _ROW, lenient=True),)
_MERGE = (Operation("merge", "", _ROW, lenient=True),)
_DELETE = (Operation("delete"),)

_RULES: tuple[tuple[str, str | tuple[str, ...] | None, tuple[Operation, ...]], ...] = (
    ("*", ("", "copy", COPIES), _REPLACE),
    ("*", "partial", _MERGE),
    ("delete", ("", "partial", "copy", "each"), _DELETE),  # not where other copies are left
    ("truncate", None, _DELETE),
    ("*", ("old", "ended"), _DELETE),
)
"""Rules by type and role of an event; few, because each is tested on every event. A whole row replaces the one before,
whatever columns that had."""


_CHANGE_MEMBERS = frozenset({SET, UNSET, TRUNCATED, PATHS, ROWS, MORE, UNTIL})
"""Members of payloads that say how a row changes, and are not columns of it."""


def _leave_out(operations: tuple[Operation, ...], parts: frozenset[str]) -> tuple[Operation, ...]:
    return tuple(replace(one, without=parts) if parts and one.value is _ROW else one for one in operations)


_FRAMEWORKS: Mapping[str, tuple[tuple[tuple[str, ...], tuple[Operation, ...]], ...]] = {
    "django_simple_history": ((("+", "~"), _REPLACE), (("-",), _DELETE)),
    "django_auditlog": ((("0", "1", "create", "update"), _MERGE), (("2", "delete"), _DELETE)),
    "paper_trail": ((("create", "update"), _MERGE), (("destroy",), _DELETE)),
}
"""What the change records of a framework do, by preset and event type."""


def _framework_rules(number: int, preset: str) -> Iterator[Rule]:
    only = frozenset({number})
    for kinds, operations in _FRAMEWORKS[preset]:
        yield from (Rule(kind, None, None, operations, _WHERE, stanzas=only) for kind in kinds)


def default_projection(view: IndexView) -> Projection:
    """Return the projection of entities that no other claims: rows as rows, all others by merging their payloads."""
    stanzas = view.manifest.stanzas
    of_rows = frozenset(number for number, stanza in enumerate(stanzas) if has_rows(stanza))
    frameworks = {number: stanza.name for number, stanza in enumerate(stanzas) if stanza.name in _FRAMEWORKS}
    if not of_rows and not frameworks:
        return DEFAULT
    parts = _CHANGE_MEMBERS & frozenset(view.fields)
    rules = [Rule(kind, role, None, _leave_out(operations, parts), _WHERE) for kind, role, operations in _RULES]
    if len(of_rows) < len(stanzas):
        others = frozenset(range(len(stanzas))) - of_rows - frameworks.keys()
        rules = [
            *(replace(rule, stanzas=others) for rule in DEFAULT.rules),
            *(replace(r, stanzas=of_rows) for r in rules),
        ]
        rules += [rule for number, name in frameworks.items() for rule in _framework_rules(number, name)]
    digest = f"rows {sorted(of_rows)}" + (f" {sorted(frameworks.items())}" if frameworks else "")
    rules += [TOMBSTONES] if any(stanza.tombstone for stanza in stanzas) else []
    return replace(DEFAULT, name="(rows)", rules=tuple(rules), digest=digest)


def adapt_projection(projection: Projection, view: IndexView) -> Projection:
    """Return a projection as it folds a log: without envelopes, and with default rules if it has none of its own."""
    if projection.rules is DEFAULT.rules:
        default = default_projection(view)
        if default is not DEFAULT:
            projection = replace(projection, rules=default.rules, digest=f"{projection.digest} {default.digest}")
    return _without_envelopes(projection, view)


def _without_envelopes(projection: Projection, view: IndexView) -> Projection:
    """Return a projection whose merges of whole payloads leave out members that only belong to the envelope."""
    merges = any(_merges_all(one) for rule in projection.rules for one in rule.operations)
    left_out = _envelope_members(view) if merges else {}
    if not any(left_out):
        return projection
    rules: list[Rule] = []
    for rule in projection.rules:
        if not any(map(_merges_all, rule.operations)):
            rules.append(rule)
            continue
        for without, numbers in left_out.items():
            stanzas = numbers if rule.stanzas is None else numbers & rule.stanzas
            made = tuple(replace(one, without=without) if _merges_all(one) else one for one in rule.operations)
            if stanzas:
                bound = rule.stanzas if len(left_out) == 1 else stanzas
                rules.append(replace(rule, operations=made, stanzas=bound))
    return replace(projection, rules=tuple(rules))


def _envelope_members(view: IndexView) -> dict[frozenset[str], frozenset[int]]:
    """Return sets of members that only belong to the envelope, each with the stanzas in use that have this set."""
    used = {number: view.manifest.stanzas[number] for number in sorted(set(view.manifest.sources.values()))}
    if all(stanza.name == CUSTOM or has_rows(stanza) for stanza in used.values()):
        return {}  # the presets need not be loaded
    from esctl.index.envelope.presets.envelope_only import envelope_only

    found: dict[frozenset[str], frozenset[int]] = {}
    for number, stanza in used.items():
        names = envelope_only(stanza) & frozenset(view.fields)
        found[names] = found.get(names, frozenset()) | {number}
    return found


def _merges_all(operation: Operation) -> bool:
    path = operation.value.path if operation.value is not None else None
    return operation.name in ("merge", "merge_patch", "replace") and path == ("data",)


def table_sql() -> str:
    """Write SQL for the table that an entity is a row of, or is itself."""
    return "regexp_extract(entity, '^(?:[^/?]|[?][^{])*')"


def decides_fold(stanza: Stanza) -> bool:
    """Return whether a stanza decides how the events read by it are folded."""
    return has_rows(stanza) or stanza.name in _FRAMEWORKS


def has_rows(stanza: Stanza) -> bool:
    """Return whether records read by a stanza are changes of rows."""
    return any(encoding in DIALECTS and encoding != OUTBOX for _, encoding in stanza.opened)


def row_stanzas(stanzas: Sequence[Stanza]) -> list[int]:
    """Return the numbers of the stanzas by which changes of rows are read."""
    return [number for number, stanza in enumerate(stanzas) if has_rows(stanza)]
