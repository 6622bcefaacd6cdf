"""Hypothesis strategies of small logs with many collisions: records, mapping, projection, bounds, deliveries.

`logs()` draws a `Log`; `coverage(log)` tells which of `LABELS` it shows; `to_jsonl(records)` gives its bytes. What the
specification leaves open is not drawn: digits of inexact divisions, the kind of an entity whose name is a matter of
taste, events without a sequence where the order is by sequence, ids of records whose time cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.reference import MISSING
from tests.reference.mapping import Record, dump
from tests.reference.values import rfc3339
from tests.support.coverage_labels import LABELS, coverage
from tests.support.drawn_values import (
    HOUR,
    INSTANTS,
    INVALID,
    JANUARY,
    KEYS,
    NOT_NUMBERS,
    ODD_ENTITIES,
    PAYLOAD,
    PLAIN_ENTITIES,
    TYPES,
    Log,
    to_jsonl,
)
from tests.support.projections import projections

__all__ = ["LABELS", "Log", "coverage", "logs", "mappings", "to_jsonl"]


@st.composite
def mappings(draw: DrawFn) -> dict[str, Any]:
    """Draw a [mapping] table over the records that `logs` draws."""
    flat = not draw(st.integers(0, 7))
    mapping: dict[str, Any] = {"type": "type", "time": "time", "actor": "actor"}
    if draw(st.integers(0, 4)):
        mapping["id"] = "id"
    roles = draw(st.sampled_from(["none", "none", "roles", "both"]))
    if roles != "roles":
        mapping["entity"] = "stream" if flat else draw(st.sampled_from(["stream", ["alias", "stream"], "{stream}"]))
    if roles != "none":
        mapping["entities"] = {"from": "from", "to": "to"} if flat else {"from": 'data."from"', "to": "record.data.to"}
    order = draw(st.sampled_from(["time", "time", "position", "sequence"]))
    if order == "sequence" or not draw(st.integers(0, 3)):
        mapping["sequence"] = "seq" if flat else draw(st.sampled_from(["seq", ["meta.lsn", "seq"]]))
    mapping["order"] = order
    if not draw(st.integers(0, 5)):
        mapping["kind"] = {"const": "thing"}
    return mapping if flat else {**mapping, "data": "data", "correlation": "meta.correlation"}


def _time_form(micros: int, form: int) -> Any:
    text = rfc3339(micros)
    forms: list[Any] = [text, text.replace("Z", "+00:00"), text.replace("T", " ").replace("Z", "+00")]
    forms.append(rfc3339(micros + 19_800_000_000).replace("Z", "+05:30"))
    forms.append(Decimal(micros) / 1_000_000 if micros % 1_000_000 else micros // 1_000_000)
    forms.append(micros // 1000 if micros % 1000 == 0 else micros)
    forms.append(text if "." not in text else text.replace("Z", "999Z"))  # digits beyond microseconds are cut off
    return forms[form]


@st.composite
def _payload(draw: DrawFn, keys: Sequence[str], dirty: bool) -> dict[str, Any]:
    payload = {}
    for key in keys:
        pool = PAYLOAD[key]
        value = draw(
            st.sampled_from(
                (*pool, *NOT_NUMBERS, *NOT_NUMBERS) if dirty and key in ("amount", "limit", "flag") else pool
            )
        )
        if value is not MISSING:
            payload[key] = value
    return payload


@st.composite
def _record(
    draw: DrawFn,
    number: int,
    mapping: dict[str, Any],
    types: Sequence[str],
    keys: Sequence[str],
    dirty: bool,
    odd: bool,
) -> Any:
    entities = st.sampled_from((*PLAIN_ENTITIES, *ODD_ENTITIES) if odd else PLAIN_ENTITIES[:2])
    record: dict[str, Any] = {"id": f"e{number}", "type": draw(st.sampled_from((*types, *types[:-1])))}
    timing = draw(st.integers(0, 9))
    if timing != 0:
        record["time"] = _time_form(draw(st.sampled_from(INSTANTS)), timing % 7 if timing > 6 else 0)
    stream = draw(st.integers(0, 11))
    if stream != 0:
        record["stream"] = draw(entities) if stream != 1 else None
    if draw(st.booleans()):
        record["actor"] = draw(st.sampled_from(["ann", "bob", None]))
    if "sequence" in mapping:
        record["seq"] = draw(st.sampled_from([1, 2, 3, Decimal("2.0"), 10, "9", "b", "a", "0/FFFFFF0", "0/10000020"]))
    if "data" in mapping:
        record["meta"] = {
            "lsn": draw(st.sampled_from([1, 2, "10"])),
            "correlation": draw(st.sampled_from(["c1", None])),
        }
    payload = draw(_payload(keys, dirty))
    if "entities" in mapping:
        payload |= {role: name for role in ("from", "to") if (name := draw(st.none() | entities)) is not None}
    if "data" not in mapping:
        return {**record, **payload}
    if dirty and not draw(st.integers(0, 15)):
        return {**record, "data": draw(st.sampled_from([[1], "text", 5, True]))}
    whole = {0: MISSING, 1: None}.get(draw(st.integers(0, 15)), payload)
    return record if whole is MISSING else {**record, "data": whole}


@st.composite
def _line(
    draw: DrawFn,
    number: int,
    mapping: dict[str, Any],
    types: Sequence[str],
    keys: Sequence[str],
    dirty: bool,
    odd: bool,
) -> Record:
    """Draw a record, now and then as text only a parser sees as the same thing."""
    record: dict[str, Any] = draw(_record(number, mapping, types, keys, dirty, odd))
    shape = draw(st.integers(0, 19))
    if shape == 0:
        return '{"type": "Ignored", ' + dump(record).decode().removeprefix("{")  # the last of two keys counts
    return b" \t" + dump(record) + b"  " if shape == 1 else record


@st.composite
def _delivered(draw: DrawFn, originals: Sequence[Record]) -> list[Record]:
    """Deliver records at least once: repeats, conflicts and lines that are none, the first record first."""
    records = list(originals)
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        index = draw(st.integers(0, len(records) - 1))
        again = records[index]
        if isinstance(again, dict) and draw(st.booleans()):
            again = {**again, "type": draw(st.sampled_from(TYPES)), "again": True}
        elif isinstance(again, dict) and draw(st.booleans()):
            again = dump(dict(reversed(again.items()))) + b" \r"
        records.insert(draw(st.integers(index + 1, len(records))), again)
    if not draw(st.integers(0, 4)):
        records.insert(draw(st.integers(1, len(records))), draw(st.sampled_from(INVALID)))
    return records


@st.composite
def _bounds(draw: DrawFn, mapping: dict[str, Any], recorded_at: Sequence[int]) -> dict[str, Any]:
    kinds = ["at", "before", "known_at", "position", "version", "both"] + ["sequence"] * ("sequence" in mapping)
    kind = draw(st.sampled_from(kinds))
    instant = draw(st.sampled_from([*INSTANTS, INSTANTS[0] - 1, INSTANTS[1] + 5]))
    known = draw(st.sampled_from(sorted({*recorded_at, recorded_at[0] - 1})))
    match kind:
        case "at" | "before":
            return {kind: instant}
        case "known_at":
            return {"known_at": known}
        case "both":
            return {"at": instant, "known_at": known}
        case "sequence":
            several = ["1,2", "10,a"] if isinstance(mapping["sequence"], list) else []
            return {"sequence": draw(st.sampled_from(["2", "9", *several]))}
        case _:
            return {kind: draw(st.integers(1, len(recorded_at) + 1))}


@st.composite
def logs(draw: DrawFn, max_records: int = 14) -> Log:
    """Draw a log with its mapping, a projection and bounds to ask at; half of them may err."""
    mapping = draw(mappings())
    dirty = draw(st.sampled_from([False, True]))
    odd = not draw(st.integers(0, 3))
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=5))
    keys = list(dict.fromkeys(["amount", "note", *keys] if draw(st.booleans()) else ["amount", *keys]))
    types = [*draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True)), "Closed"]
    projection = draw(
        st.none() if not draw(st.integers(0, 7)) else projections(types, keys, "entities" in mapping, dirty)
    )
    size = draw(st.sampled_from(range(max_records, 0, -1)))
    originals = [draw(_line(number, mapping, types, keys, dirty, odd)) for number in range(1, size + 1)]
    records = draw(_delivered(originals))
    batches = draw(_batches(len(records)))
    recorded_at = [JANUARY + 7 * HOUR + 30 * HOUR * batch for batch, n in enumerate(batches) for _ in range(n)]
    asked = [draw(_bounds(mapping, recorded_at)) for _ in range(draw(st.integers(1, 3)))]
    return Log(tuple(records), mapping, projection, ({}, *asked), tuple(batches), tuple(recorded_at))


@st.composite
def _batches(draw: DrawFn, total: int) -> list[int]:
    sizes: list[int] = []
    while sum(sizes) < total:
        sizes.append(min(draw(st.sampled_from([total, 1, 2, 5])), total - sum(sizes)))
    return sizes
