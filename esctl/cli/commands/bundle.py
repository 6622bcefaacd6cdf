"""esctl bundle."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import At, Before, CheckpointChoice, Entities, ProjectionName
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command
from esctl.errors import UsageError

Where = Annotated[
    str,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="The entities with an event for which this SQL condition on data.<field>, type, time, ... holds.",
    ),
]
Html = Annotated[bool, typer.Option("--html", help="With a page for any browser, as `esctl report` writes them.")]


@command
def run(
    shared: Shared,
    entities: Entities = None,
    where: Where = "",
    at: At = "",
    before: Before = "",
    projection: ProjectionName = "",
    checkpoint: CheckpointChoice = "",
    html: Html = False,
) -> None:
    """Write all records of some entities, with their proofs and what they replay to, into one archive of evidence."""
    if not entities and not where:
        raise UsageError("nothing to bundle is named", "name entities, or give --where; '*' is all of them")
    shared.refuse(("columns", "limit"), "a bundle", "say what is in it by entities, --where and --at")
    if shared.output is None or str(shared.output) == "-":
        raise UsageError("a bundle is a file", "name it with -o evidence.zip")
    if shared.format is not None:
        raise UsageError("a bundle is a zip archive, whatever -f says", f"leave out -f {shared.format}")
    store = open_store(shared)
    bundle = store.bundle(
        shared.output, *(entities or ()), where=where, at=at, before=before, projection=projection,
        checkpoint=checkpoint, html=html,
    )  # fmt: skip
    if bundle.at is not None:
        from esctl.api.said import point_notes

        for line in point_notes(bundle.scope, bundle.at):
            diagnostics.note(line, shared.quiet)
    if bundle.left_out:
        line = (
            f"note: the log had {bundle.checkpoint.head.size} records at the checkpoint; {bundle.left_out} came after"
        )
        diagnostics.note(f"{line}, and are left out", shared.quiet)
    count, kinds = len(bundle.positions), len(bundle.scope.entities)
    of = f"{kinds} entities" if kinds != 1 else "1 entity"
    diagnostics.note(f"{count} record{'s' * (count != 1)} of {of} in {shared.output}", shared.quiet)
