"""Write an answer."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO

from esctl.errors import UsageError
from esctl.model import Answer
from esctl.output.selection import Selection, select_columns
from esctl.output.sink import open_sink
from esctl.output.target import FINDINGS_FORMATS, Format, Target, Written
from esctl.output.zone import Zone, zone_called

_Writer = Callable[[Selection, Any, Target, Zone, BinaryIO], Written]
_Reporter = Callable[[Answer, Any, Target, BinaryIO], Written]
_MODULES: dict[Format, str] = {"csv": "delimited", "tsv": "delimited"}
"""Where a format's writer is, if not in a module of the format's name."""


def _writer(name: Format) -> Any:
    """Load the writer of one format: some need modules that take longer to load than a small answer."""
    return getattr(import_module(f"esctl.output.{_MODULES.get(name, name)}"), f"write_{name}")


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
            report: _Reporter = _writer(target.format)
            return report(answer, connection, target, sink)
    selection = select_columns(answer, target)
    zone = zone_called(target.tz)
    if answer.ready is not None:
        from esctl.output.ready import is_as_made, write_ready

        if is_as_made(answer, target):
            with open_sink(target.destination) as sink:
                return write_ready(answer.ready, answer.columns, connection, zone, sink)
    with open_sink(target.destination) as sink:
        if target.format == "table":
            from esctl.output.table import write_table

            return write_table(selection, connection, target, zone, sink, answer.title)
        writer: _Writer = _writer(target.format)
        return writer(selection, connection, target, zone, sink)
