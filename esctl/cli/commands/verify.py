"""esctl verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import Engine, Trust
from esctl.cli.options import Shared, command

TABLE = ("check", "result", "checked", "finding", "position", "file", "message")


@command
def run(
    shared: Shared,
    full: Annotated[bool, typer.Option("--full", help="Hash every record again, and compare the index.")] = False,
    since: Annotated[
        Path | None,
        typer.Option("--since", metavar="FILE", help="A checkpoint kept elsewhere: the log must only have grown."),
    ] = None,
    trust: Trust = None,
    tsa_cert: Annotated[
        list[Path] | None,
        typer.Option(
            "--tsa-cert",
            metavar="FILE",
            help="Certificates (PEM) of the authority that stamped checkpoints (repeat for more).",
        ),
    ] = None,
    engine: Engine = "",
) -> None:
    """Check that nothing in the store was changed: exit 0 intact, 1 tampered or damaged, 3 cannot be judged."""
    from esctl.cli.opening import closed_store, output_settings
    from esctl.cli.render import render
    from esctl.storage.inside import require_plain

    store = closed_store(shared, engine if full else None)
    require_plain(store.path)
    found = store.verify(full=full, since=since, trust=trust or (), tsa_cert=tsa_cert or ())
    verified = found.verified
    render(found.answer, shared, TABLE, output_settings(store))
    count = sum(len(check.findings) for check in verified.checks)
    result = f"{count} finding{'s' * (count != 1)}" if count else "intact"
    diagnostics.note(f"{result}: {verified.size} records, root {verified.root}", shared.quiet)
    if not verified.is_intact:
        raise typer.Exit(1)
