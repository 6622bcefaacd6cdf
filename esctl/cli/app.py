"""`esctl`: the group of all commands, each loaded only when it is called."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand

from esctl.cli import failures
from esctl.cli.options import DEBUG_KEY, HelpfulGroup, root
from esctl.errors import UsageError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "ingest": ("esctl.cli.commands.ingest", "Read logs into the store, exactly once."),
    "init": ("esctl.cli.commands.init", "Write an esctl.toml from what was ingested."),
    "status": ("esctl.cli.commands.status", "Show what the store holds."),
    "types": ("esctl.cli.commands.types", "List event types with counts, times and fields."),
    "entities": ("esctl.cli.commands.entities", "List entities."),
    "log": ("esctl.cli.commands.log", "List events, filtered."),
    "show": ("esctl.cli.commands.show", "Show one event with its raw bytes."),
    "replay": ("esctl.cli.commands.replay", "Show the state of entities at a point in time."),
    "diff": ("esctl.cli.commands.diff", "Show what changed between two points in time."),
    "audit": ("esctl.cli.commands.audit", "Show the audit trail: when, who, which event, what it changed."),
    "trace": ("esctl.cli.commands.trace", "Show the events tied to one, as a tree in order of time."),
    "doctor": ("esctl.cli.commands.doctor", "Look for what is wrong with the log."),
    "blame": ("esctl.cli.commands.blame", "Show each field of a state with the event that set it."),
    "revert": ("esctl.cli.commands.revert", "Show the changes that take entities back to an earlier state."),
    "reconcile": ("esctl.cli.commands.reconcile", "Compare a system's own table with the log's state."),
    "sql": ("esctl.cli.commands.sql", "Ask a SELECT of your own over events and states."),
    "when": ("esctl.cli.commands.when", "Show when a condition on the state turned true."),
    "series": ("esctl.cli.commands.series", "Show an aggregate over the states along a grid of times."),
    "verify": ("esctl.cli.commands.verify", "Check that nothing in the store was changed."),
    "checkpoint": ("esctl.cli.commands.checkpoint", "Sign the head of the log, to be kept elsewhere."),
    "prove": ("esctl.cli.commands.prove", "Write the proof that an event is in the log, to be checked anywhere."),
    "verify-proof": ("esctl.cli.commands.verify_proof", "Check a proof by itself, without store or network."),
    "bundle": ("esctl.cli.commands.bundle", "Write records, proofs and states into one archive of evidence."),
    "report": ("esctl.cli.commands.report", "Write what happened into one HTML page that checks its records itself."),
    "verify-bundle": ("esctl.cli.commands.verify_bundle", "Check an archive of evidence by itself."),
    "key": ("esctl.cli.commands.key", "Make and show the keys that checkpoints are signed with."),
    "redact": ("esctl.cli.commands.redact", "Erase records for good, and leave the proof of the rest."),
    "repair": ("esctl.cli.commands.repair", "Rebuild what is derived, and say what evidence is lost."),
    "export": ("esctl.cli.commands.export", "Export events, or a source byte for byte."),
    "reindex": ("esctl.cli.commands.reindex", "Read the evidence again, under another mapping."),
    "presets": ("esctl.cli.commands.presets", "List the formats that are known by name."),
    "snapshot": ("esctl.cli.commands.snapshot", "Save the states at a point, so that replays go on from there."),
    "emit": ("esctl.cli.commands.emit", "Send events, states or compensations to others."),
    "view": ("esctl.cli.commands.view", "Keep states in databases and files, refreshed and checked."),
    "compact": ("esctl.cli.commands.compact", "Merge small files of the store."),
    "config": ("esctl.cli.commands.config", "Show settings and where each comes from."),
}
"""Name: module and help line. A module has `run` (made with `options.command`) or `app` (`options.subcommands`)."""

_EPILOG = "stdout is data, stderr is talk. Exit codes: 0 ok, 1 a finding, 2 usage, 3 unreadable, 4 not found, 70 a bug."


class LazyGroup(HelpfulGroup):
    """A group that knows its commands by name and help line, and imports one when it is called."""

    table: Mapping[str, tuple[str, str]] = COMMANDS
    listing: bool = False  # names and help lines are all that is wanted

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; None where there is none of this name."""
        if cmd_name not in self.table:
            return None
        module, line = self.table[cmd_name]
        if self.listing:
            return TyperCommand(cmd_name, help=line)
        return load_command(cmd_name, import_module(module), line)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the called command. Raises UsageError, with the nearest name, where there is none."""
        if args and args[0] not in self.table and not args[0].startswith("-"):
            close = get_close_matches(args[0], self.table, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the commands are: {', '.join(self.table)}"
            raise UsageError(f"unknown command {args[0]!r}", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])

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
        app.command(name, short_help=line, context_settings={"help_option_names": ["-h", "--help"]})(module.run)
    loaded = typer.main.get_command(app)
    loaded.name = name
    return loaded


def print_version() -> None:
    """Print the version of esctl; with `-v` beside it, those of what its answers depend on too."""
    from esctl import __version__

    typer.echo(f"esctl {__version__}")
    if any(word in ("-v", "-vv", "--verbose") for word in sys.argv[1:]):
        import platform
        from importlib.metadata import version

        from esctl.engine import zones

        typer.echo(f"tzdata {zones.version()} (the time zones)")
        typer.echo(f"duckdb {version('duckdb')}\npyarrow {version('pyarrow')}\npython {platform.python_version()}")


def build(commands: Mapping[str, tuple[str, str]] = COMMANDS) -> LazyGroup:
    """Make the command line over a table of commands."""
    app = typer.Typer(
        name="esctl",
        cls=LazyGroup,
        help="Audit and replay event-sourced systems: what was the state, what changed, and who did it.",
        epilog=_EPILOG,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root(print_version))
    group = cast(LazyGroup, typer.main.get_command(app))
    group.table = commands
    return group


def main() -> None:
    """Run esctl and leave with its exit code."""
    run(build())


def run(group: LazyGroup) -> None:
    """Run a command line to its exit code, and see that the last bytes of its output arrive too."""
    codes: list[int] = []
    atexit.register(_leave, codes)  # the first to be registered runs last
    failures.watch_interrupts()
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
