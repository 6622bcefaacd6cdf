"""Write an answer."""

from __future__ import annotations

from pathlib import Path

from esctl.errors import UsageError
from esctl.model import Answer
from esctl.output.formats import format_named
from esctl.output.selection import select_columns
from esctl.output.sink import check_destination, open_sink
from esctl.output.target import Target, Written
from esctl.output.zone import zone_called


def write(answer: Answer, target: Target) -> Written:
    """Run an answer's SELECT and write its rows, as they come, to the target.

    Only a table holds its rows in memory (and is bounded). Raises UsageError for an unknown format, column or zone, an
    output path that cannot be opened, and an answer without findings in a format of checks, InputError if the index or
    the output device fails, BrokenPipeError if the reader has gone.
    """
    _check_limit(target)
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


def check_target(answer: Answer, target: Target) -> None:
    """Raise UsageError if `write` would refuse a target for an answer of these columns, whatever its rows are."""
    _check_limit(target)
    if format_named(target.format).takes_findings:
        from esctl.output.writers.findings import findings_of

        findings_of(answer, target.format)
    else:
        select_columns(answer, target)
        zone_called(target.tz)
    if isinstance(target.destination, Path):
        check_destination(target.destination)


def _check_limit(target: Target) -> None:
    if target.limit is not None and target.limit < 0:
        raise UsageError(f"--limit {target.limit} is negative", "give 0 or more")
