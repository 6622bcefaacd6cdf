"""The options that every command shares, usable before and after the command's name."""

from __future__ import annotations

import csv
import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer
from msgspec import Struct
from msgspec.structs import asdict, replace

from esctl.cli.diagnostics import use_color
from esctl.cli.groups import gather, own_parameters, spread
from esctl.cli.help.layout import PANEL, HelpfulCommand, HelpfulGroup
from esctl.engine.duckdb import open_ahead
from esctl.engine.quoting import is_text
from esctl.errors import UsageError
from esctl.output.formats import FORMATS, formats_phrase
from esctl.storage.connecting import located

P = ParamSpec("P")
R = TypeVar("R")

_BY_FLAG = "COMMANDLINE"
DEBUG_KEY = "esctl.debug"
"""The key in a context's `meta` that says a traceback is wanted."""


class Shared(Struct, frozen=True):
    """The shared options as given: on the command line, else by ESCTL_* variables; None or empty if by neither."""

    store: Path | None = None
    config: Path | None = None
    format: str | None = None  # the flag alone: ESCTL_FORMAT comes after the suffix of `output`
    output: Path | None = None
    columns: tuple[str, ...] = ()
    limit: int | None = None
    tz: str | None = None
    quiet: bool = False
    verbose: int = 0
    color: str | None = None  # auto | always | never
    no_pager: bool = False
    memory_limit: str | None = None
    debug: bool = False
    basis: bool = False  # this and the next: questions only
    basis_from: Path | None = None
    flags: frozenset[str] = frozenset()  # the names of those given as flags: the others are defaults of the user's own

    def refuse(self, names: Sequence[str], what: str, hint: str) -> None:
        """Raise UsageError if one of some options was given as a flag: `what` would ignore it in silence."""
        given = [f"--{name}" for name in names if name in self.flags]
        if given:
            raise UsageError(f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} not for {what}", hint)

    def color_choice(self, configured: Mapping[str, object]) -> str:
        """Return auto, always or never: as given, else as the [output] table of esctl.toml says."""
        return self.color or str(configured.get("color") or "auto")


def is_given(value: object) -> bool:
    """Return whether the value of a shared option was given: 0 and "" were; None, False and () were not."""
    return value is not None and value is not False and value != ()  # by identity: 0 equals False


def color_in(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return what a command line wants of colour, before it is parsed: errors of parsing are coloured by it."""
    choice = environ.get("ESCTL_COLOR") or "auto"
    for word, after in zip(words, [*words[1:], ""], strict=False):
        if word == "--":
            break
        if word == "--color" or word.startswith("--color="):
            choice = after if word == "--color" else word.partition("=")[2]
    return choice


def complete_format(incomplete: str) -> list[str]:
    """Complete an output format."""
    return [name for name in FORMATS if name.startswith(incomplete)]


def _option(kind: Any, *names: str, **settings: Any) -> tuple[Any, tuple[str, ...], dict[str, Any]]:
    return kind, names, settings


_OPTIONS = {
    "store": _option(
        Path | None,
        "--store",
        metavar="PATH",
        help="The store: a folder, or s3://BUCKET/PATH (gs://, az://); by default .esctl, found upward. "
        "[env: ESCTL_STORE]",
    ),
    "config": _option(
        Path | None,
        "--config",
        metavar="PATH",
        help="The esctl.toml; by default the one beside the store, or above it. [env: ESCTL_CONFIG]",
    ),
    "format": _option(
        str | None,
        "--format",
        "-f",
        metavar="FORMAT",
        autocompletion=complete_format,
        help=f"{formats_phrase()}; by default by the suffix of --output, else a table on a terminal and jsonl in a "
        "pipe. [env: ESCTL_FORMAT]",
    ),
    "output": _option(
        Path | None, "--output", "-o", metavar="PATH", help="Write to a file, which appears once it is complete."
    ),
    "columns": _option(
        str | None, "--columns", metavar="A,B,...", help="The columns to show, in this order. [env: ESCTL_COLUMNS]"
    ),
    "limit": _option(int | None, "--limit", metavar="N", help="At most N rows. [env: ESCTL_LIMIT]"),
    "tz": _option(
        str | None,
        "--tz",
        metavar="ZONE",
        help="Read times without a zone, and show all times, in this zone (Europe/Vienna, +05:45); "
        "by default UTC. [env: ESCTL_TZ]",
    ),
    "quiet": _option(bool, "--quiet", "-q", help="No notes on stderr. [env: ESCTL_QUIET]"),
    "verbose": _option(int, "--verbose", "-v", count=True, help="More on stderr; repeat for more."),
    "color": _option(
        str | None,
        "--color",
        metavar="WHEN",
        help="auto, always or never; NO_COLOR and CLICOLOR_FORCE count too. [env: ESCTL_COLOR]",
    ),
    "no_pager": _option(bool, "--no-pager", help="Never page a table. [env: ESCTL_NO_PAGER]"),
    "memory_limit": _option(
        str | None, "--memory-limit", metavar="SIZE", help='Such as "2GiB". [env: ESCTL_MEMORY_LIMIT]'
    ),
    "debug": _option(bool, "--debug", help="Show tracebacks. [env: ESCTL_DEBUG]"),
}

_QUESTION_OPTIONS = {
    "basis": _option(
        bool,
        "--basis",
        help="Print on stderr what the answer rests on; as JSON, but for -f table and markdown.",
    ),
    "basis_from": _option(
        Path | None, "--basis-from", metavar="FILE", help="Answer on exactly the basis in this file, or fail."
    ),
}
"""Options of the commands that ask the store a question."""

# ESCTL_FORMAT ranks below a suffix; an ESCTL_OUTPUT would let every command write over the same file.
_WITHOUT_VARIABLE = frozenset({"format", "output", "verbose"})


def _parameter(name: str, variables: bool) -> inspect.Parameter:
    kind, names, settings = {**_OPTIONS, **_QUESTION_OPTIONS}[name]
    variable = f"ESCTL_{name.upper()}" if variables and name not in _WITHOUT_VARIABLE else None
    option = typer.Option(
        *names,
        envvar=variable,
        show_envvar=False,
        show_default=False,
        rich_help_panel=PANEL,
        **settings,
    )
    default = {bool: False, int: 0}.get(kind)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _context_parameter(name: str) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)


def _disguise(wrapper: Any, parameters: list[inspect.Parameter]) -> None:
    wrapper.__signature__ = inspect.Signature(parameters)
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    if hasattr(wrapper, "__wrapped__"):
        del wrapper.__wrapped__


def command(function: Callable[Concatenate[Shared, P], R]) -> Callable[..., R]:
    """Add the shared options to a command; its first argument has them, with those given before the command's name.

    The function's other parameters are Typer's as usual. Raises UsageError for a value that no option accepts.
    """
    return _with_options(function, _OPTIONS)


def question(function: Callable[Concatenate[Shared, P], R]) -> Callable[..., R]:
    """Add the shared options as `command` does, and those of questions: `--basis`, `--basis-from`.

    DuckDB is opened in a thread while the command loads its modules.
    """
    return _with_options(function, {**_OPTIONS, **_QUESTION_OPTIONS}, open_ahead)


def flags(parameter: str, helps: Mapping[str, str]) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command a flag for each name in `helps`; the function's `parameter` gets the names of the flags set."""

    def give(function: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(function)
        def run(*shared: Shared, **values: Any) -> R:
            chosen = [name for name in helps if values.pop(name.replace("-", "_"))]
            return function(*shared, **values, **{parameter: chosen})

        own = [each for each in own_parameters(function) if each.name != parameter]
        _disguise(run, [*own, *(_flag(name, help_line) for name, help_line in helps.items())])
        return run

    return give


def _flag(name: str, help_line: str) -> inspect.Parameter:
    return inspect.Parameter(
        name.replace("-", "_"),
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option(f"--{name}", help=help_line)],
    )


def _with_options(
    function: Callable[Concatenate[Shared, P], R], options: Mapping[str, Any], before: Callable[[], None] | None = None
) -> Callable[..., R]:
    parameters = own_parameters(function)[1:]
    own = spread(parameters)
    taken = {parameter.name for parameter in own}
    shared_names = [name for name in options if name not in taken]
    meant_for_none = [parameter.name for parameter in own if parameter.default == ""]

    @functools.wraps(function)
    def run(esctl_context: typer.Context, **values: Any) -> R:
        _check_text(values)
        _check_empty(esctl_context, [name for name in meant_for_none if values[name] == ""])
        given = {name: values.pop(name) for name in shared_names}
        shared = merge(_outer_options(esctl_context), from_values(given, _flags_in(esctl_context)))
        use_color(shared.color_choice({}))
        if shared.debug:
            esctl_context.meta[DEBUG_KEY] = True
        if before is not None:
            before()
        return function(shared, **gather(parameters, values))  # type: ignore[call-arg]

    positional = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    shared_parameters = [_parameter(name, variables=False) for name in shared_names]
    _disguise(run, [_context_parameter("esctl_context"), *positional, *shared_parameters])
    return run


def root(version: Callable[[], None]) -> Callable[..., None]:
    """Make the callback of `esctl` itself: the shared options before the command's name, and `--version`."""

    def show_version(wanted: bool) -> None:
        if wanted:
            version()
            raise typer.Exit(0)

    def callback(esctl_context: typer.Context, version: bool = False, **values: Any) -> None:
        esctl_context.obj = shared = from_values(values, _flags_in(esctl_context))
        if shared.debug:
            esctl_context.meta[DEBUG_KEY] = True

    flag = typer.Option("--version", is_eager=True, callback=show_version, help="Show the version; with -v more.")
    first = inspect.Parameter(
        "version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, flag]
    )
    shared_parameters = [_parameter(name, variables=True) for name in _OPTIONS]
    _disguise(callback, [_context_parameter("esctl_context"), first, *shared_parameters])
    return callback


def from_values(values: Mapping[str, Any], flags: Collection[str] = ()) -> Shared:
    """Check option values and gather them. Raises UsageError for a value that is not possible."""
    given = {name: value for name, value in values.items() if value is not None}
    if "store" in given:
        given["store"] = located(given["store"])
    if "columns" in given:
        given["columns"] = parse_columns(given["columns"])
    if given.get("color") not in (None, "auto", "always", "never"):
        raise UsageError(f"--color {given['color']!r} is not possible", "it is auto, always or never")
    if given.get("limit", 0) < 0:
        raise UsageError(f"--limit {given['limit']} is negative", "give 0 or more")
    return Shared(**given, flags=frozenset(flags) & given.keys())


def _flags_in(context: typer.Context) -> dict[str, str]:
    """Return the parameters that the command line gives, and no variable: how each is written, by its name."""
    sources = {each: context.get_parameter_source(each.name or "") for each in context.command.params}
    return {each.name or "": each.opts[0] for each, source in sources.items() if source and source.name == _BY_FLAG}


def _check_text(values: Mapping[str, Any]) -> None:
    """Raise UsageError for a value that is not UTF-8, as it can be in no record; file names may be any bytes."""
    for name, value in values.items():
        texts = value if isinstance(value, list | tuple) else [value]
        odd = next((text for text in texts if isinstance(text, str) and not is_text(text)), None)
        if odd is not None and name != "sources":
            raise UsageError(f"{odd!r} is not UTF-8", "write it in UTF-8, as records are")


def _check_empty(context: typer.Context, names: Sequence[str]) -> None:
    """Raise UsageError for a value that was given and is empty: `--at "$T"` without T must not answer for now."""
    for name in (written for parameter, written in _flags_in(context).items() if parameter in names):
        raise UsageError(f"{name if name.startswith('-') else name.upper()} is empty", "give it a value")


def parse_columns(text: str) -> tuple[str, ...]:
    """Split a comma-separated list of names; a name that holds a comma is quoted as in CSV."""
    try:
        row = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:
        raise UsageError(f"--columns {text!r} is not a list of names", "write it like --columns entity,time") from None
    return tuple(name.strip() for name in row if name.strip())


def asks_for(shared: Shared, column: str) -> bool:
    """Return whether --columns names a column or something inside it: `data.items[0]`."""
    return any(name == column or name.startswith((f"{column}.", f"{column}[")) for name in shared.columns)


def merge(outer: Shared, inner: Shared) -> Shared:
    """Return the options before the command's name (`outer`), overridden by those after it (`inner`)."""
    values = asdict(inner)
    changes = {name: value for name, value in values.items() if is_given(value)}
    changes["verbose"] = outer.verbose + inner.verbose
    changes["flags"] = outer.flags | inner.flags
    return replace(outer, **changes)


def subcommands(help_line: str) -> typer.Typer:
    """Make the Typer of a command that has commands of its own (`config show`); add them with `.command(name)`."""
    app = Subcommands(cls=HelpfulGroup, help=help_line, rich_markup_mode=None, add_completion=False)
    app.callback(help=help_line)(lambda: None)
    return app


class Subcommands(typer.Typer):
    """Commands below a command; their help is laid out as that of all others."""

    def command(self, name: str | None = None, *, cls: Any = HelpfulCommand, **settings: Any) -> Any:
        """Add a command."""
        return super().command(name, cls=cls, **settings)


def _outer_options(context: typer.Context) -> Shared:
    found = context.find_object(Shared)
    return found if found is not None else Shared()
