"""esctl sql."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.arguments import KnownAt, ProjectionName
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, question
from esctl.cli.render import render_answer


@question
def run(
    shared: Shared,
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY", help="One SELECT over events, entities, types and PROJECTION('2024-02-01'); - reads stdin."
        ),
    ],
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Stop after this long; by default 60.")
    ] = 60,
) -> None:
    """Ask a SELECT of your own, in DuckDB's SQL; it can read the store's events and states, and nothing else."""
    from esctl.engine.isolated import Sandbox
    from esctl.named import open_stdin

    with Sandbox() as sandbox:
        store = open_store(shared)
        text = open_stdin().read() if query == "-" else query
        answer = store.sql(
            text, known_at=known_at, projection=projection, timeout=timeout, limit=shared.limit, sandbox=sandbox
        )
    render_answer(answer, shared, store)
