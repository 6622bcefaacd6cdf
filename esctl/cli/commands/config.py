"""esctl config."""

from __future__ import annotations

from esctl.cli.options import Shared, command, subcommands

app = subcommands("Show settings and where each comes from.")


@app.command("show")
@command
def show_settings(shared: Shared) -> None:
    """Show every setting with its value and origin."""
    from esctl.cli.render import render
    from esctl.cli.settings import settings_answer
    from esctl.config import find_config, find_store, read_config

    config = read_config(find_config(shared.config, find_store(shared.store)))
    render(settings_answer(shared), shared, (), config.output)
