"""How help is laid out: a command's own options, the shared ones in one line, two examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from esctl.cli.help.catalogue import GROUPS
from esctl.cli.plain_numbers import take_plain_numbers

PANEL = "Shared options"
"""The panel of the options that every command has."""
WIDTH = 200
"""The greatest width of help, on a terminal that is wide enough."""


class HelpfulCommand(TyperCommand):
    """A command whose help folds the shared options and ends with examples; its numbers are plain ones."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        take_plain_numbers(self.params)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, the shared ones by name alone."""
        _write_options(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples of the command."""
        write_examples(ctx.command_path, formatter)


class HelpfulGroup(TyperGroup):
    """A group that, called without arguments, prints its help on stderr and exits with 2."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        take_plain_numbers(self.params)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, or show the help if there are none."""
        rest = super().parse_args(ctx, args) if args else []
        if not (ctx._protected_args or ctx.resilient_parsing):
            typer.echo(self.shown_alone(ctx), err=True)
            raise typer.Exit(2)
        return rest

    def shown_alone(self, ctx: Any) -> str:
        """Return what is shown if no command is given."""
        return str(ctx.get_help())

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands with their whole help lines."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, each.get_short_help_str(limit=1000)) for name, each in found if each and not each.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands and the options, the shared ones by name alone."""
        self.format_commands(ctx, formatter)
        _write_options(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the epilog and the examples of the group."""
        super().format_epilog(ctx, formatter)
        write_examples(ctx.command_path, formatter)


def write_commands(table: dict[str, str], formatter: Any) -> None:
    """Write the names and help lines of commands, those in the catalogue under their purpose."""
    left = dict(table)
    width = max(map(len, table), default=0)
    for group, commands in GROUPS.items():
        rows = [(name.ljust(width), left.pop(name)) for name in commands if name in left]
        if rows:
            with formatter.section(group):
                formatter.write_dl(rows)
    if left:
        with formatter.section("Commands"):
            formatter.write_dl(list(left.items()))


def write_examples(path: str, formatter: Any) -> None:
    """Write the examples of a command, given as `esctl diff`."""
    from esctl.cli.help.examples import EXAMPLES

    examples = EXAMPLES.get(path.partition(" ")[2], ())
    if examples:
        with formatter.section("Examples"):
            indent = " " * formatter.current_indent
            for words, purpose in examples:
                formatter.write(f"{indent}{words}\n{indent}    {purpose}\n")


def _write_options(parameters: Sequence[Any], ctx: Any, formatter: Any) -> None:
    shared = [each for each in parameters if getattr(each, "rich_help_panel", None) == PANEL]
    own = [each for each in parameters if each not in shared]
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        rows = [row for each in own if each.param_type_name == kind and (row := each.get_help_record(ctx))]
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)
    if shared:
        with formatter.section("Shared options, explained by: esctl help options"):
            formatter.write_text(", ".join(_names(shared)))


def _names(options: Sequence[Any]) -> Iterator[str]:
    for option in options:
        *others, long = sorted(option.opts, key=len)
        yield "/".join([*others, long])
