"""esctl report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import At, CheckpointChoice, Entities, From, KnownAt, ProjectionName, To
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, question
from esctl.cli.render import announce
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.page.make import Report

_NAME_IT = "name it with -o report.html"


@question
def run(
    shared: Shared,
    entities: Entities = None,
    at: At = "",
    start: From = "",
    end: To = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    checkpoint: CheckpointChoice = "",
    case: Annotated[
        Path | None,
        typer.Option(
            "--case", metavar="FILE", help="A TOML file with a title, a question, notes on events, and what to ask."
        ),
    ] = None,
) -> None:
    """Write what happened to some entities into one HTML page that needs no network and checks its records itself."""
    from msgspec.structs import replace

    from esctl.api.relation import Relation
    from esctl.output.sink import write_bytes

    if shared.format is not None:
        raise UsageError("a report is HTML, whatever -f says", f"leave out -f {shared.format}")
    shared.refuse(("columns", "limit"), "a report", "say what is in it by entities, --from and --to")
    to_stdout = shared.output is None or str(shared.output) == "-"
    if to_stdout and diagnostics.is_terminal(sys.stdout):
        raise UsageError("a report is a file", _NAME_IT)
    store = open_store(shared)
    made = store.report(
        *(entities or ()), at=at, from_=start, to=end, known_at=known_at, projection=projection,
        checkpoint=checkpoint, case=case,
    )  # fmt: skip
    as_data = replace(shared, format="jsonl", output=None)  # notes on the basis need a format, which .html is not
    announce(Relation(made.answer, made.scope, made.at, made.points), as_data, store)
    for line in made.answer.notes:
        diagnostics.note(line, shared.quiet)
    write_bytes([made.html], shared.output)
    for line in _closing_notes(made, shared):
        diagnostics.note(line, shared.quiet)


def _closing_notes(made: Report, shared: Shared) -> list[str]:
    """Return notes on how large the report is, and which of its records cannot be checked."""
    where = "on stdout" if shared.output is None or str(shared.output) == "-" else f"in {shared.output}"
    lines = [f"{made.records} record{'s' * (made.records != 1)}, {len(made.html):,} bytes {where}"]
    if made.checkpoint is None:
        lines.append("note: there is no checkpoint, so none of them can be checked: sign one with: esctl checkpoint")
    elif made.uncovered:
        lines.append(
            f"note: {made.uncovered} of them came after the checkpoint of {made.checkpoint.head.size} records and "
            "cannot be checked: sign one with: esctl checkpoint"
        )
    return lines
