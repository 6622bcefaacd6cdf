"""Show an answer: choose format, colour, width and pager, then let `output` write it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.cli import diagnostics
from esctl.cli.options import Shared
from esctl.cli.pager import paged
from esctl.errors import UsageError
from esctl.model import Answer
from esctl.output.formats import FORMATS

if TYPE_CHECKING:
    from esctl.output import Target, Written


def choose_target(
    shared: Shared, table_columns: Sequence[str] = (), configured: Mapping[str, str] | None = None
) -> Target:
    """Turn the shared options into a target.

    `table_columns` is what a table shows when --columns does not say; `configured` is the [output] table of esctl.toml
    (format, tz, color). Raises UsageError for an unknown format, and for a binary one on a terminal.
    """
    from esctl.output.target import Target, choose_format

    settings = configured or {}
    path = None if shared.output is None or str(shared.output) == "-" else shared.output
    terminal = diagnostics.is_terminal(sys.stdout)
    chosen = choose_format(shared.format, path, os.environ, settings.get("format"), terminal)
    if FORMATS[chosen].binary and path is None and terminal:
        raise UsageError(
            f"{chosen} is not for a terminal", f"write it to a file: -o answer{FORMATS[chosen].suffixes[0]}"
        )
    return Target(
        format=chosen,
        destination=path,
        tz=shared.tz or settings.get("tz") or "UTC",
        columns=shared.columns,
        table_columns=tuple(table_columns),
        limit=shared.limit,
        width=max(20, shutil.get_terminal_size((80, 24)).columns),
        color=diagnostics.color_wanted(shared.color_choice(settings), os.environ, terminal and path is None),
    )


def render(
    answer: Answer,
    shared: Shared,
    table_columns: Sequence[str] = (),
    configured: Mapping[str, str] | None = None,
) -> Written:
    """Write an answer where and how the shared options say; its notes go to stderr first.

    Raises what `choose_target` and `esctl.output.write` raise.
    """
    from msgspec.structs import replace

    from esctl.output import write

    target = choose_target(shared, table_columns, configured)
    for line in answer.notes:
        diagnostics.note(line, shared.quiet)
    if not _wants_pager(shared, target):
        return write(answer, target)
    result: Written | None = None
    with paged() as stream:
        result = write(answer, replace(target, destination=stream))
    return result if result is not None else _nothing_written()


def _wants_pager(shared: Shared, target: Target) -> bool:
    if shared.no_pager or not FORMATS[target.format].for_reading or isinstance(target.destination, Path):
        return False
    return diagnostics.is_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"


def _nothing_written() -> Written:
    from esctl.output import Written

    return Written(0, more=True)
