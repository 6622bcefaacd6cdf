"""Notes on the findings in the scope of a question: invalid, repeated, undated, erased and lost records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from esctl.ask.scope.bounds import bound, entity_conditions, known_conditions
from esctl.ask.scope.scope import Scope, claims
from esctl.engine.duckdb import explained, single_row
from esctl.index.files.manifest import IS_ERASED, IS_UNDATED, UNREADABLE
from esctl.index.pruning import Test
from esctl.index.scan import FOLDABLE, Read
from esctl.model import AsOf, KafkaCursor, PostgresCursor

_COUNTS = {
    "conflicts": "conflict",
    "invalid": UNREADABLE,
    "duplicates": "duplicate_of IS NOT NULL AND NOT conflict",
    "undated": IS_UNDATED,
}
_PAYLOADS = "payloads"
_WORDS = {
    _PAYLOADS: ("payload that is not an object", "payloads that are no objects"),
    "conflicts": ("conflicting event", "conflicting events"),
    "invalid": ("invalid record", "invalid records"),
    "duplicates": ("duplicate", "duplicates"),
    "undated": ("undated event", "undated events"),
}


def findings_note(scope: Scope, at: AsOf | None = None) -> str:
    """Return one line on the findings in an answer's scope, with the command that lists them; empty for none."""
    counts = {name: count for name, count in _count_findings(scope, at).items() if count}
    if not counts:
        return ""
    listed = ", ".join(f"{count} {_WORDS[name][count != 1]}" for name, count in counts.items())
    only = f" --{next(iter(counts))}" if len(counts) == 1 else ""
    return f"note: {listed} in scope: esctl doctor{only}"


def erased_note(scope: Scope, at: AsOf | None = None) -> str:
    """Return one line on how many events are missing because they were erased; empty for none.

    It is not known which entities they concerned, or when they happened: only bounds on what the log held, and on
    positions, can exclude one.
    """
    count = sum(file.erased for file in scope.view.manifest.files)
    placed = at if at is not None and at.kind == "position" else None
    if count and (scope.known_at or placed or scope.view.upto):
        conditions: list[Test] = [IS_ERASED]
        conditions += known_conditions(scope.connection, scope.view, scope.known_at)
        conditions.append(bound(scope.connection, scope.view, placed).condition)
        with explained():
            row = single_row(
                scope.connection, f"SELECT count(*) FROM ({scope.view.relation(['position'], None, conditions)})"
            )
        count = row[0] if row else 0
    if not count:
        return ""
    perhaps = ", of whatever entity" if scope.entities else ""
    return f"note: {count} erased {'event' if count == 1 else 'events'} in scope{perhaps}: esctl log --erased"


def lost_note(scope: Scope) -> str:
    """Return one line on records that a source no longer had when they were to be read; empty for none."""
    cursors = {} if scope.records is None else scope.records.cursors
    lost = {name: cursor.lost for name, cursor in cursors.items() if isinstance(cursor, KafkaCursor) and cursor.lost}
    if lost:
        count = sum(last - first + 1 for ranges in lost.values() for first, last in ranges)
        more = f" and {len(lost) - 1} more partitions" if len(lost) > 1 else ""
        what = f"up to {count} records of {next(iter(lost))}{more} were gone before they were read"
        return f"note: {what}: esctl doctor --gaps"
    missed = missed_of(scope)
    if missed:
        return f"note: changes are missing before {next(iter(missed))}, as no slot had them: esctl doctor --gaps"
    return ""


def missed_of(scope: Scope) -> dict[str, tuple[int, int]]:
    """Return the places in a database's log between which no slot was read, by the source that continues after them."""
    cursors = {} if scope.records is None else scope.records.cursors
    found = {name: each.missed for name, each in cursors.items() if isinstance(each, PostgresCursor)}
    return {name: places for name, places in found.items() if places[1]}


def _count_findings(scope: Scope, at: AsOf | None) -> dict[str, int]:
    files = scope.view.manifest.files
    whole = {name: sum(getattr(file, name) for file in files) for name in _COUNTS}
    whole["undated"] -= sum(file.untimed for file in files)
    whole |= {_PAYLOADS: scope.view.manifest.shapeless}
    narrowed = scope.entities or scope.projection or scope.known_at or scope.without or at or scope.view.upto
    if not narrowed or not any(whole.values()):
        return whole
    conditions: list[Test] = [entity_conditions(scope.entities)]
    conditions += known_conditions(scope.connection, scope.view, scope.known_at)
    conditions.append(bound(scope.connection, scope.view, at).condition)
    if scope.projection:
        conditions += [claim.condition for claim in claims(scope)]
    listed = "(duplicate_of IS NOT NULL OR invalid IS NOT NULL OR undated IS NOT NULL)"
    found = _count_matching(scope, _COUNTS, None, [listed, *conditions])
    if whole[_PAYLOADS]:
        odd = {_PAYLOADS: "payload NOT IN ('OBJECT', 'NULL')"}
        found |= _count_matching(scope, odd, {"payload": Read((), "type")}, [FOLDABLE, *conditions])
    return found


def _count_matching(
    scope: Scope, tests: Mapping[str, str], reads: Mapping[str, Read] | None, conditions: Sequence[Test]
) -> dict[str, int]:
    rows = scope.view.relation(["position", "conflict", "invalid", "duplicate_of", "undated"], reads, conditions)
    items = ", ".join(f"count(DISTINCT position) FILTER ({test})" for test in tests.values())
    with explained():
        found = single_row(scope.connection, f"SELECT {items} FROM ({rows})")
    return dict(zip(tests, found or (), strict=False))
