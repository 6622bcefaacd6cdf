"""Write an answer."""

from __future__ import annotations

from esctl.errors import UsageError
from esctl.model import Answer
from esctl.output.formats import format_named
from esctl.output.selection import select_columns
from esctl.output.sink import open_sink
from esctl.output.target import Target, Written
from esctl.output.zone import zone_called


def write(answer: Answer, target: Target) -> Written:
    """Run an answer's SELECT and write its rows, as they come, to the target.

    Only a table holds its rows in memory (and is bounded). Raises UsageError for an unknown format, column or zone, an
    output path that cannot be opened, and an answer without findings in a format of checks, InputError if the index or
    the output device fails, BrokenPipeError if the reader has gone.
    """
    if target.limit is not None and target.limit < 0:
        raise UsageError(f"--limit {target.limit} is negative", "give 0 or more")
    connection = answer.session.connection
    form = format_named(target.format)
    if form.takes_findings:
        answer.prepare(answer.sql)
        with open_sink(target.destination) as sink:
            reported: Written = form.load()(answer, connection, target, sink)
            return reported
    selection = select_columns(answer, target)
    answer.prepare(selection.sql)
    zone = zone_called(target.tz)
    if answer.ready is not None:
        from esctl.output.ready import can_copy, write_ready

        if can_copy(answer, target):
            with open_sink(target.destination) as sink:
                return write_ready(answer.ready, answer.columns, connection, zone, sink)
    with open_sink(target.destination) as sink:
        written: Written = form.load()(selection, connection, target, zone, sink)
        return written
