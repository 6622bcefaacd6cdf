"""doctor: what is wrong with the log, check by check, or event by event."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from esctl.ask.health import check_rows, checks
from esctl.ask.health.check_fields import mixed_types
from esctl.ask.health.check_sequences import gaps
from esctl.ask.health.check_topics import partitions, topics_of
from esctl.ask.health.checks import CheckContext, HealthCheck
from esctl.ask.health.read_twice import read_twice
from esctl.ask.health.repeats import repeats
from esctl.ask.scope.bounds import COUNT_ENTITIES
from esctl.ask.scope.filters import Filters
from esctl.ask.scope.scope import Scope, check_entities
from esctl.engine.duckdb import explained, single_row
from esctl.engine.quoting import literal
from esctl.errors import UsageError
from esctl.model import Answer, Column, Findings
from esctl.projection.row_changes.rules import has_rows

CHECKS = (
    HealthCheck("duplicates", "an event delivered again", checks.duplicates),
    HealthCheck("conflicts", "an id given again to other content", checks.conflicts),
    HealthCheck("numberings", "a source whose ids are known from others with other content", checks.numberings),
    HealthCheck("read-twice", "an event that another source tells too, which is read differently", read_twice),
    HealthCheck("repeats", "an event without an id that another source tells in the same words", repeats),
    HealthCheck("invalid", "a record that could not be read", checks.invalid),
    HealthCheck("undated", "an event without a time that can be read", checks.undated),
    HealthCheck("homeless", "an event of no entity", checks.homeless),
    HealthCheck("payloads", "an event whose payload is not an object", checks.payloads),
    HealthCheck("late", "an event of a time before one already recorded of its entity", checks.late),
    HealthCheck("clock", "a time before that of the record before it in its source", checks.clock),
    HealthCheck("clock-change", "a time that clocks show twice, or never, as they are changed", checks.clock_change),
    HealthCheck("gaps", "numbers missing from a sequence that leaves none out", gaps),
    HealthCheck("future", "an event that happened after it was recorded", checks.future),
    HealthCheck("recording", "a record dated by a clock that was ahead, or dated after one that was", checks.recording),
    HealthCheck("no-creation", "an entity that begins otherwise than those of its kind", checks.no_creation),
    HealthCheck("unhandled", "an event of a type that its projection has no rule for", checks.unhandled),
    HealthCheck("mixed-types", "a field of another JSON type than in most events of the type", mixed_types),
)
"""Their names are also those of the command's options."""
ROW_CHECKS = (
    HealthCheck("schema-changes", "a change of a table's columns", check_rows.schema_changes),
    HealthCheck("transactions", "a transaction whose changes are not those that it counts", check_rows.transactions),
    HealthCheck("unseen", "a row that is told of in parts alone", check_rows.unseen),
)
"""Checks of change logs, made if there is one."""
TOPIC_CHECKS = (HealthCheck("partitions", "an entity with events in several partitions of a topic", partitions),)
"""Checks of topics, made if there are several partitions."""

SUMMARY = (
    Column("check", "text"),
    Column("count", "integer"),
    Column("examples", "json"),
    Column("entities", "integer"),
    Column("worst", "text"),
    Column("list", "text"),
)
OCCURRENCES = (
    Column("check", "text"),
    Column("position", "integer"),
    Column("time", "time"),
    Column("recorded_at", "time"),
    Column("source", "text"),
    Column("kind", "text"),
    Column("entity", "text"),
    Column("type", "text"),
    Column("id", "text"),
    Column("detail", "text"),
)


class Result(Struct, frozen=True):
    """What one check found: how many positions, the first five, how many entities, and the worst or first in words."""

    check: HealthCheck
    count: int
    examples: tuple[int, ...]
    entities: int
    worst: str | None


def examine(scope: Scope, filters: Filters) -> list[Result]:
    """Make every check over the events of a scope, within the filters' times."""
    check_entities(scope)
    context = CheckContext(scope, filters)
    rows = ROW_CHECKS if any(map(has_rows, scope.view.manifest.stanzas)) else ()
    made = (*CHECKS, *rows, *(TOPIC_CHECKS if len(topics_of(context)) > 1 else ()))
    return [_result(context, check) for check in made]


def _result(context: CheckContext, check: HealthCheck) -> Result:
    columns = "position, kind, entity, detail, weight"
    sql = f"""WITH found AS MATERIALIZED (SELECT {columns} FROM ({check.occurrences(context)}))
        SELECT count(DISTINCT position), (SELECT min(position, 5) FROM (SELECT DISTINCT position FROM found)),
               {COUNT_ENTITIES},
               arg_min('@' || position || ': ' || detail, {{'w': -coalesce(weight, 0), 'p': position, 'd': detail}})
        FROM found"""
    with explained():
        row = single_row(context.scope.connection, sql)
    assert row is not None
    count, examples, entities, worst = row
    return Result(check, count, tuple(examples or ()), entities, worst)


def summary(scope: Scope, results: Sequence[Result]) -> Answer:
    """Return one row per check."""
    rows = ", ".join(f"({number}, {_row(result)})" for number, result in enumerate(results))
    names = ", ".join(f'"{column.name}"' for column in SUMMARY)
    sql = f"SELECT {names} FROM (VALUES {rows}) v(number, {names}) ORDER BY number"
    message = "\"count\" || ' in all, for example at ' || examples || '; ' || coalesce(worst, '')"
    findings = Findings(
        tuple((result.check.name, result.check.finds) for result in results),
        'CASE WHEN "count" > 0 THEN "check" END',
        message,
        "NULL",
    )
    return Answer(scope.session, sql, SUMMARY, title="health", findings=findings)


def _row(result: Result) -> str:
    name = result.check.name
    examples = f"[{','.join(map(str, result.examples))}]"
    counts = f"{result.count}::BIGINT, {literal(examples)}, {result.entities}::BIGINT"
    return f"{literal(name)}, {counts}, {literal(result.worst)}::VARCHAR, {literal(f'esctl doctor --{name}')}"


def occurrences(scope: Scope, filters: Filters, names: Sequence[str]) -> Answer:
    """Return what some checks found: one row per event, and per entity that it concerns.

    Raises UsageError if no check is named, or one that there is not.
    """
    check_entities(scope)
    context = CheckContext(scope, filters)
    chosen = _named_checks(names)
    columns = ", ".join(f'"{column.name}"' for column in OCCURRENCES)
    parts = [
        f'SELECT {number} AS number, {literal(check.name)} AS "check", * FROM ({check.occurrences(context)})'
        for number, check in enumerate(chosen)
    ]
    sql = f"""SELECT {columns} FROM ({" UNION ALL ".join(parts)})
        ORDER BY number, position, kind NULLS LAST, entity NULLS LAST, detail"""
    findings = Findings(
        tuple((check.name, check.finds) for check in chosen),
        '"check"',
        "detail || ' (@' || position || coalesce(', ' || id, '') || ')'",
        "coalesce(entity, source)",
    )
    return Answer(scope.session, sql, OCCURRENCES, title="findings", findings=findings)


def _named_checks(names: Sequence[str]) -> list[HealthCheck]:
    known = (*CHECKS, *ROW_CHECKS, *TOPIC_CHECKS)
    unknown = [name for name in names if name not in {check.name for check in known}]
    if unknown or not names:
        message = f"doctor has no check {unknown[0]!r}" if unknown else "no check of doctor is named"
        raise UsageError(message, f"its checks are: {', '.join(check.name for check in known)}")
    return [check for check in known if check.name in names]
