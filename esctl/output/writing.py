"""Write an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from esctl.errors import UsageError
from esctl.model import Answer
from esctl.output.arrow import write_arrow
from esctl.output.delimited import write_csv, write_tsv
from esctl.output.json import write_json
from esctl.output.jsonl import write_jsonl
from esctl.output.junit import write_junit
from esctl.output.markdown import write_markdown
from esctl.output.parquet import write_parquet
from esctl.output.ready import is_as_made, write_ready
from esctl.output.sarif import write_sarif
from esctl.output.selection import Selection, select_columns
from esctl.output.sink import open_sink
from esctl.output.table import write_table
from esctl.output.target import FINDINGS_FORMATS, Format, Target, Written
from esctl.output.zone import Zone, find_zone

_Writer = Callable[[Selection, Any, Target, Zone, BinaryIO], Written]
_WRITERS: dict[Format, _Writer] = {
    "json": write_json,
    "jsonl": write_jsonl,
    "csv": write_csv,
    "tsv": write_tsv,
    "markdown": write_markdown,
    "parquet": write_parquet,
    "arrow": write_arrow,
}
_REPORTERS: dict[Format, Callable[[Answer, Any, Target, BinaryIO], Written]] = {
    "sarif": write_sarif,
    "junit": write_junit,
}


def write(answer: Answer, target: Target) -> Written:
    """Run an answer's SELECT and write its rows, as they come, to the target.

    Only a table holds its rows in memory (and is bounded). Raises UsageError for an unknown column, zone or an output
    path that cannot be opened, and for an answer without findings where they are asked for, InputError where the index
    or the output device fails, BrokenPipeError when the reader has gone.
    """
    if target.limit is not None and target.limit < 0:
        raise UsageError(f"--limit {target.limit} is negative", "give 0 or more")
    connection = answer.session.connection
    if target.format in FINDINGS_FORMATS:
        with open_sink(target.destination) as sink:
            return _REPORTERS[target.format](answer, connection, target, sink)
    selection = select_columns(answer, target)
    zone = find_zone(target.tz, connection)
    if answer.ready is not None and is_as_made(answer, target):
        with open_sink(target.destination) as sink:
            return write_ready(answer.ready, answer.columns, connection, zone, sink)
    with open_sink(target.destination) as sink:
        if target.format == "table":
            return write_table(selection, connection, target, zone, sink, answer.title)
        return _WRITERS[target.format](selection, connection, target, zone, sink)
