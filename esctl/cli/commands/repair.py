"""esctl repair."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.options import Shared, command

TABLE = ("what", "result", "file", "first", "last", "message")


@command
def run(
    shared: Shared,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be repaired; change nothing.")] = False,
) -> None:
    """Rebuild what is derived, and say what evidence is lost: exit 0 all is well again, 1 evidence is damaged."""
    from esctl.cli.opening import closed_store, output_settings
    from esctl.cli.render import check_showable, render
    from esctl.maintain.repair import repair
    from esctl.reports.repair import COLUMNS, repair_answer

    store = closed_store(shared)
    check_showable(shared, COLUMNS, output_settings(store))
    steps = repair(store.path, store.updater(), dry=dry_run)
    render(repair_answer(store.session, steps), shared, TABLE, output_settings(store))
    lost = sum(step.result == "lost" for step in steps)
    mended = sum(step.result in ("mended", "to be mended") for step in steps)
    done = f"{mended} {'to be mended' if dry_run else 'mended'}"
    diagnostics.note(
        f"evidence is damaged in {lost} place{'s' * (lost != 1)}; {done}" if lost else f"{done}; the evidence is whole",
        shared.quiet,
    )
    if lost:
        raise typer.Exit(1)
