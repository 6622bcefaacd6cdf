"""esctl config."""

from __future__ import annotations

from esctl.cli.options import Shared, command, subcommands

app = subcommands("Show settings and where each comes from.")


@app.command("show")
@command
def show_settings(shared: Shared) -> None:
    """Show every setting with its value and origin."""
    from esctl.cli.opening import read_configuration
    from esctl.cli.render import render
    from esctl.cli.settings import settings_answer

    config = read_configuration(shared)
    render(settings_answer(shared), shared, (), config.output)
