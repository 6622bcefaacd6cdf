"""What a drawn log shows, as labels: so that a test can say that everything that matters is drawn."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

from tests.reference import Event, FoldError, Reference
from tests.reference.mapping import sequence_key
from tests.support.drawn_values import NUMBER_TEXTS, ODD_ENTITIES, Log
from tests.support.projections import rules_of

OPERATIONS = "set unset add subtract min max count append remove merge merge_patch replace delete"
BOUNDS = "at before known_at position version sequence"
LABELS = frozenset(
    [
        "tied times", "tied sequences", "late event", "late by sequence", "known late", "time missing", "odd time form",
        "no entity", "odd entity", "number entity", "role row", "two roles", "self-transfer",
        "null value", "missing value", "integer", "decimal", "28 digits", "exponent", "number text", "boolean", "list",
        "nested object", "mixed types", "odd field name", "case variant", "dotted twin", "data missing", "data null",
        "flat data", "duplicate", "conflict", "invalid", "duplicate key", "padded", "several batches",
        "no projection", "when", "glob", "role rule", "types", "scope", "several sequences",
        "answered", "deleted", "reopened", "deleted with other operations", "error", "shadowed error",
        "order:time", "order:position", "order:sequence",
        *(f"bound:{name}" for name in BOUNDS.split()),
        *(f"op:{name}" for name in OPERATIONS.split()),
    ]
)  # fmt: skip


def coverage(log: Log) -> set[str]:
    """Give the labels of LABELS that a log shows."""
    reference = Reference(log.projection, log.mapping)
    rows = reference.events(log.records, log.recorded_at)
    labels = {f"order:{log.mapping['order']}"} | {f"bound:{name}" for bound in log.bounds for name in bound}
    labels |= set(_deliveries(log, rows)) | set(_orders(rows)) | set(_values(rows)) | set(_rules(log.projection))
    if "data" not in log.mapping:
        labels.add("flat data")
    if isinstance(log.mapping.get("sequence"), list):
        labels.add("several sequences")
    return labels | set(_outcomes(reference))


def _deliveries(log: Log, rows: list[Event]) -> Iterator[str]:
    if len(log.batches) > 1:
        yield "several batches"
    for record in log.records:
        if isinstance(record, str):
            yield "duplicate key"
        elif isinstance(record, bytes) and record.startswith(b" "):
            yield "padded"
        elif isinstance(record, dict) and "time" not in record:
            yield "time missing"
        elif isinstance(record, dict) and (not isinstance(record["time"], str) or not record["time"].endswith("Z")):
            yield "odd time form"
    for row in rows:
        yield "invalid" if row.invalid else "conflict" if row.conflict else "duplicate" if row.duplicate_of else "new"
        if row.entity in {str(entity) for entity in ODD_ENTITIES}:
            yield "odd entity"
        yield {"42": "number entity", None: "no entity"}.get(row.entity, "named")


def _orders(rows: list[Event]) -> Iterator[str]:
    entities: dict[str, dict[int, list[Event]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.folded and row.entity is not None:
            entities[row.entity][row.position].append(row)
    for events in entities.values():
        for group in events.values():
            yield from _roles(group)
        for one, two in pairwise([group[0] for group in events.values()]):
            yield "tied times" if one.time == two.time else "late event" if two.time < one.time else "in order"
            if two.time < one.time and one.recorded_at < two.recorded_at:
                yield "known late"
            if one.sequence is not None and two.sequence is not None:
                x, y = sequence_key(one.sequence), sequence_key(two.sequence)
                yield "tied sequences" if x == y else "late by sequence" if y < x else "in sequence"


def _roles(group: list[Event]) -> Iterator[str]:
    if group[0].role:
        yield "role row"
    if len(group) > 1:
        yield "two roles"
    if {row.role for row in group} >= {"from", "to"}:
        yield "self-transfer"


def _values(rows: list[Event]) -> Iterator[str]:
    types: dict[str, set[str]] = defaultdict(set)
    for row in (row for row in rows if row.folded):
        if not isinstance(row.data, dict):
            yield "data null" if row.data is None else "data missing"
            continue
        if {"amount", "Amount"} <= row.data.keys():
            yield "case variant"
        if {"a", "a.b"} <= row.data.keys():
            yield "dotted twin"
        for key, value in row.data.items():
            types[key].add(type(value).__name__)
            if re.search(r"\W", key, re.ASCII):
                yield "odd field name"
            yield from _kinds(value)
        if len(row.data) < 3:
            yield "missing value"
    if any(len(kinds - {"NoneType"}) > 1 for kinds in types.values()):
        yield "mixed types"


def _kinds(value: Any) -> Iterator[str]:
    match value:
        case None:
            yield "null value"
        case bool():
            yield "boolean"
        case int() | Decimal():
            yield "integer" if isinstance(value, int) else "decimal"
            digits = Decimal(value).as_tuple()
            if len(digits.digits) >= 28:
                yield "28 digits"
            if isinstance(digits.exponent, int) and (digits.exponent > 0 or (digits.exponent == -8 and value < 1)):
                yield "exponent"
        case str():
            yield "number text" if value in NUMBER_TEXTS else "text"
        case list():
            yield "list"
        case dict() if any(isinstance(item, dict) for item in value.values()):
            yield "nested object"


def _rules(projection: dict[str, Any] | None) -> Iterator[str]:
    if projection is None:
        yield "no projection"
        return
    yield from {"types"} & projection.keys()
    if {"entities", "kinds"} & projection.keys():
        yield "scope"
    for pattern, body in rules_of(projection["on"]):
        yield from (f"op:{name}" if name != "when" else "when" for name in body)
        if re.search(r"[*?]", pattern):
            yield "glob"
        if pattern.endswith("]"):
            yield "role rule"
        if "delete" in body and len(body.keys() - {"when"}) > 1:
            yield "deleted with other operations"


def _outcomes(reference: Reference) -> Iterator[str]:
    try:
        states = reference.replay()
    except FoldError as problem:
        yield "error"
        if problem.shadowed:
            yield "shadowed error"
        return
    yield "answered"
    for _, entity in states:
        deletions = [row.deletes for row in reference.audit(entity)]
        if deletions[-1]:
            yield "deleted"
        if any(deletions[:-1]):
            yield "reopened"
