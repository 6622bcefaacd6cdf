"""esctl mcp."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.options import Shared, command


@command
def run(
    shared: Shared,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="End a question after this long.")
    ] = 60,
) -> None:
    """Serve questions to an assistant by the Model Context Protocol, on stdin and stdout; nothing is changed.

    An assistant starts it: its settings name the command `esctl` with the arguments `mcp --store PATH`.
    """
    from esctl.assistants.questions import Opening
    from esctl.assistants.server import require_library, serve
    from esctl.cli.opening import open_store
    from esctl.storage.mirrors import shown

    require_library()
    store = open_store(shared)  # a missing or damaged store is reported before the first question
    if diagnostics.is_terminal(sys.stdin):
        diagnostics.note("esctl mcp speaks to programs: let an assistant start it; Ctrl-C ends it", shared.quiet)
    config = None if store.config.path is None else str(store.config.path.absolute())
    opening = Opening(shown(store.path.absolute()), config, shared.memory_limit, store.tz)
    store.close()
    serve(opening, timeout)
