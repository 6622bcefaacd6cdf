"""Measure the stages that the native core does, with it and without, in turn: `python bench/native.py [EVENTS]`.

Processor time of each stage alone, in seconds per million events: the least of some turns, which other work on the
machine affects least.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from generate import generate

from esctl.engine import native
from esctl.engine.duckdb import connect, relational
from esctl.index.decode.exact_json import judge_records
from esctl.index.envelope.event_columns import _group_rows, batched
from esctl.index.envelope.event_sql import Group, sampled_columns
from esctl.log.merkle import Frontier
from esctl.log.parts import Part, segment_tables, with_positions
from esctl.log.segment import iter_leaf_hashes
from esctl.model import Cursor, Stanza
from esctl.sources.formats.lines import record_ends
from esctl.sources.pieces import batch_of, slices_of

TURNS = 5
STANZA = Stanza(
    name="bank",
    id=("id",), type=("type",), time=("time",), actor=("actor",), entity=("data.account",), data=("data",),
    entities=(("from", ("data.from",)), ("to", ("data.to",))),
)  # fmt: skip


def stages(log: bytes) -> dict[str, Callable[[], Any]]:
    """Return the stages by name, after making what each of them needs."""
    window, cursor, connection = np.frombuffer(log, np.uint8), Cursor(format="jsonl"), connect(threads=1)
    ends = record_ends(window, 0)
    raws = slices_of(window, np.append(0, ends))
    part = Part("log.jsonl", [batch_of(np.append(0, ends)[:-1], raws)], cursor)
    table = with_positions(next(iter(segment_tables([part]))), 1, 1)
    hashes = b"".join(iter_leaf_hashes(table, connection))
    judged = judge_records(raws, cursor, connection)
    numbers = pa.array(np.arange(1, len(raws) + 1))
    columns = {"position": numbers, "text": judged.text, "invalid": judged.invalid, "marked": judged.marked}
    chunk = pa.table({**columns, "grp": pa.array(np.zeros(len(raws), np.int32))})
    relational(connection).register("chunk", batched(chunk))
    group = Group(0, STANZA, 0, "UTC")
    typed = sampled_columns(connection, [group], len(raws))
    return {
        "cut lines": lambda: record_ends(window, 0),
        "leaves": lambda: list(iter_leaf_hashes(table, connection)),
        "tree": lambda: Frontier().extend(hashes),
        "check the JSON": lambda: judge_records(raws, cursor, connection),
        "envelope and payload": lambda: _group_rows(connection, chunk, group, typed, 3, frozenset()),
    }


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    if not native.is_available():
        sys.exit(f"no native core: {native.description()}")
    sink = io.BytesIO()
    generate(count, sink)
    found, least = native._load_core(), dict[tuple[str, bool], float]()
    for name, stage in stages(sink.getvalue()).items():
        for turn in range(2 * TURNS):
            native._load_core = (lambda: found) if turn % 2 else (lambda: (None, ""))  # type: ignore[assignment]
            started = time.process_time()
            stage()
            spent = (time.process_time() - started) * 1e6 / count
            least[name, bool(turn % 2)] = min(spent, least.get((name, bool(turn % 2)), spent))
        python, compiled = least[name, False], least[name, True]
        print(f"| {name} | {python:.2f} | {compiled:.2f} | {python / compiled:.1f} |", flush=True)


if __name__ == "__main__":
    main()
