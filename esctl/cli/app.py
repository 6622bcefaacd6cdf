"""`esctl`: the group of all commands, each loaded only when it is called."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import typer
from typer.core import TyperCommand

from esctl.cli import diagnostics, failures
from esctl.cli.help.catalogue import LINES, module_of
from esctl.cli.help.layout import WIDTH, HelpfulCommand, HelpfulGroup, write_commands
from esctl.cli.imports import leave_out_pandas
from esctl.cli.options import DEBUG_KEY, color_in, root
from esctl.errors import UsageError

COMMANDS: Mapping[str, tuple[str, str]] = {name: (module_of(name), line) for name, line in LINES.items()}
"""Name: module and help line."""

_EPILOG = "stdout is data, stderr is talk. Exit codes: 0 ok, 1 a finding, 2 usage, 3 unreadable, 4 not found, 70 a bug."


class LazyGroup(HelpfulGroup):
    """A group that knows its commands by name and help line, and imports one when it is called."""

    table: Mapping[str, tuple[str, str]] = COMMANDS
    listing: bool = False  # only names and help lines are needed

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, imported unless `listing`; None if its name is unknown."""
        if cmd_name not in self.table:
            return None
        module, line = self.table[cmd_name]
        if self.listing:
            return TyperCommand(cmd_name, help=line)
        return load_command(cmd_name, import_module(module), line)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the called command. Raises UsageError, with the nearest name, if there is none."""
        if args and args[0] not in self.table and not args[0].startswith("-"):
            from esctl.cli.meant import command_meant

            raise UsageError(f"unknown command {args[0]!r}", command_meant(args[0], self.table))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing one."""
        write_commands({name: line for name, (_, line) in self.table.items()}, formatter)

    def shown_alone(self, ctx: Any) -> str:
        """Return a summary of the store at hand and of the questions it can be asked."""
        from esctl.cli.help.overview import overview

        options = {name: ctx.params.get(name) for name in ("store", "config")}
        variables = {name: os.environ.get(f"ESCTL_{name.upper()}") for name in options}
        given = {name: str(value) for name, value in options.items() if value and str(value) != variables[name]}
        store, config = (Path(each) if each else None for each in (given.get(n) or variables[n] for n in options))
        return overview(store, config, given)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete a command's name without importing one, else an option."""
        self.listing = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self.listing = False

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the command line, errors reported in two lines."""
        wanted = "--debug" in args
        diagnostics.use_color(color_in(args, os.environ))
        with failures.exit_codes(lambda: wanted):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, errors reported in two lines."""
        with failures.exit_codes(lambda: bool(ctx.params.get("debug") or ctx.meta.get(DEBUG_KEY))):
            return super().invoke(ctx)


def load_command(name: str, module: Any, line: str) -> Any:
    """Make the click command of a command module: its `app`, or its function `run`."""
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        settings = {"help_option_names": ["-h", "--help"]}
        app.command(name, cls=HelpfulCommand, short_help=line, context_settings=settings)(module.run)
    loaded = typer.main.get_command(app)
    loaded.name = name
    return loaded


def print_version() -> None:
    """Print the version of esctl; with `-v`, also the versions of what its answers depend on."""
    from esctl import __version__

    typer.echo(f"esctl {__version__}")
    if any(word in ("-v", "-vv", "--verbose") for word in sys.argv[1:]):
        import platform
        from importlib.metadata import version

        from esctl.engine import native, zones

        typer.echo(f"tzdata {zones.version()} (the time zones)")
        typer.echo(f"duckdb {version('duckdb')}\npyarrow {version('pyarrow')}\npython {platform.python_version()}")
        typer.echo(f"native core: {native.description()}")


def build(commands: Mapping[str, tuple[str, str]] = COMMANDS) -> LazyGroup:
    """Make the command line over a table of commands."""
    app = typer.Typer(
        name="esctl",
        cls=LazyGroup,
        help="Audit and replay event-sourced systems: what was the state, what changed, and who did it.",
        epilog=_EPILOG,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
    )
    app.callback()(root(print_version))
    group = cast(LazyGroup, typer.main.get_command(app))
    group.table = commands
    return group


def main() -> None:
    """Run esctl and leave with its exit code."""
    run(build())


def run(group: LazyGroup) -> None:
    """Run a command line, flush its output, and exit with its code."""
    codes: list[int] = []
    atexit.register(_leave, codes)  # the first to be registered runs last
    failures.watch_interrupts()
    leave_out_pandas()
    code: Any = 0
    try:
        group.main(prog_name="esctl")
    except SystemExit as end:
        code = end.code
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as problem:
        code = code or failures.report(problem, debug=False)
        failures.silence_stdout()
    # CPython takes an interrupt that passed through exec() of a text (a named tuple being made in an import) for
    # unhandled, caught or not, and `python -m` then dies of the signal; the next exec() clears that.
    exec("pass")
    if isinstance(code, int | None):
        codes.append(code or 0)
    sys.exit(code)


def _leave(codes: list[int]) -> None:
    """End the process at once: freeing all loaded modules takes longer than a small answer."""
    if codes:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        os._exit(codes[-1])
