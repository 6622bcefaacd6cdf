"""Notes on a bound by sequence: whether it lies among the sequences of the log, and whether these are unique."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esctl.ask.scope.bounds import COUNT_ENTITIES, sequence_number
from esctl.engine.duckdb import explained, single_row
from esctl.engine.exact_text import json_string
from esctl.engine.quoting import literal
from esctl.index.decode.log_positions import position_number
from esctl.index.envelope.envelope_sql import sequence_text_key
from esctl.index.scan import FOLDABLE, IndexView
from esctl.model import AsOf

if TYPE_CHECKING:
    import duckdb


def sequence_notes(connection: duckdb.DuckDBPyConnection, view: IndexView, at: AsOf) -> list[str]:
    """Return notes on a bound by sequence that lies above or below all sequences, or that several events have.

    The bound is one that `bounds.bound` accepts.
    """
    own = sequence_text_key([literal(part.strip()) for part in at.value.split(",")])
    asked = own if view.has_text_sequences else str(sequence_number(at.value))
    matches = f"(sequence_key = {asked} OR starts_with(sequence_key, {asked} || chr(1)))"
    is_own = matches if view.has_text_sequences else f"sequence_key = {asked}"
    rows = view.relation(
        ["position", "sequence", "kind", "entity"], None, [FOLDABLE, "sequence IS NOT NULL"],
        f"sequence_key, {is_own} AS is_own",
    )  # fmt: skip
    sql = f"""SELECT arg_max(sequence, sequence_key), max(sequence_key) < {asked} AND NOT bool_or(is_own),
            arg_min(sequence, sequence_key), min(sequence_key) > {asked} AND NOT bool_or(is_own),
            count(DISTINCT position) FILTER (is_own),
            {COUNT_ENTITIES} FILTER (is_own),
            count(DISTINCT position) - count(DISTINCT sequence_key)
        FROM ({rows})"""
    with explained():
        row = single_row(connection, sql)
    if row is None or row[0] is None:
        return []
    highest, is_beyond, lowest, is_below, own_events, entities, repeated = row
    text = at.text.strip()
    if is_beyond:
        return [f"note: {text} lies beyond the highest sequence, {_sequence_text(highest)}"]
    if is_below:
        return [f"note: {text} lies below the lowest sequence, {_sequence_text(lowest)}"]
    several = "," not in at.value and view.has_text_sequences
    if repeated and own_events > 1 and not several:
        of = f"of {entities} entities" if entities > 1 else "of one entity"
        sequence = _sequence_text(at.value)
        return [f"note: {own_events} events {of} have the sequence {sequence}: {text} counts for each of them"]
    if repeated and not own_events and position_number(at.value) is None:
        return [f"note: no event has the sequence {_sequence_text(at.value)}, and others are given several times"]
    return []


def _sequence_text(sequence: str) -> str:
    return sequence if sequence.isprintable() else json_string(sequence)
