"""Show an answer where the shared options say, through `output`; say on stderr what it rests on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.cli import diagnostics
from esctl.cli.opening import output_settings
from esctl.cli.options import Shared
from esctl.cli.pager import paged
from esctl.errors import UsageError
from esctl.model import Answer, Basis, Column
from esctl.output.formats import FORMATS

if TYPE_CHECKING:
    from esctl.api import Relation, Store
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


def show(answer: Answer, shared: Shared, store: Store, table_columns: tuple[str, ...] = ()) -> int:
    """Write an answer; return the number of rows."""
    return render(answer, shared, table_columns, output_settings(store)).rows


def check_showable(shared: Shared, columns: Sequence[Column], configured: Mapping[str, str] | None = None) -> None:
    """Raise UsageError if an answer of these columns could not be shown: called before what it tells of is done."""
    from esctl.output.writing import check_target

    check_target(Answer(None, "", tuple(columns)), choose_target(shared, (), configured))


def render_answer(
    relation: Relation, shared: Shared, store: Store, table_columns: tuple[str, ...] = (), *, noted: bool = True
) -> int:
    """Write the answer to a question, and on stderr what it rests on; return the number of rows."""
    announce(relation, shared, store, noted=noted)
    return show(relation.answer, shared, store, table_columns)


def shows_rows(
    relation: Relation, shared: Shared, store: Store, table_columns: tuple[str, ...] = (), *, noted: bool = True
) -> bool:
    """Write as `render_answer` does; return whether the answer has any row, be it that a reader took none of them."""
    announce(relation, shared, store, noted=noted)
    written = render(relation.answer, shared, table_columns, output_settings(store))
    # Only these leave out all rows; asking again costs as much as the answer did.
    may_have_more = written.more or shared.limit == 0
    return written.rows > 0 or (may_have_more and relation.has_rows())


def announce(relation: Relation, shared: Shared, store: Store, *, noted: bool = True) -> None:
    """Print to stderr what an answer rests on.

    That is: what its points (first the bound of the fold) were resolved to, which events a what-if excludes, which
    findings lie in its scope (if `noted`), and its basis if `--basis` asks for it.
    """
    scope, at, points = relation.scope, relation.at, relation.points
    if scope is None:
        return
    if not shared.quiet:
        from esctl.api.said import notes_of

        for line in notes_of(scope, at, points, findings=noted and relation.tells_findings):
            diagnostics.note(line)
    if shared.basis or shared.basis_from is not None:
        _note_basis(shared, store, store.basis_of(scope, (at, *points)))


def _note_basis(shared: Shared, store: Store, basis: Basis) -> None:
    from esctl.ask.scope.basis import to_json, to_lines

    if not shared.basis:
        return
    plain = FORMATS[choose_target(shared, (), output_settings(store)).format].for_reading
    for line in to_lines(basis) if plain else [to_json(basis)]:
        diagnostics.note(line)


def _wants_pager(shared: Shared, target: Target) -> bool:
    if shared.no_pager or not FORMATS[target.format].for_reading or isinstance(target.destination, Path):
        return False
    return diagnostics.is_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"


def _nothing_written() -> Written:
    from esctl.output import Written

    return Written(0, more=True)
