"""esctl init."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.model import MappingConfig


@command
def run(
    shared: Shared,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing esctl.toml.")] = False,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="The format of the events, as esctl presets lists it, whatever was recognised.",
        ),
    ] = None,
    interactive: Annotated[
        bool,
        typer.Option("--interactive", help="Show how records are read, and ask what is to be another field."),
    ] = False,
) -> None:
    """Write a commented esctl.toml with the recognised mapping and a starter projection."""
    from esctl.ask.events.starter_toml import starter
    from esctl.config import config_path
    from esctl.output.sink import write_bytes

    if interactive:
        _ask(shared, force)
        return
    store = open_store(shared)
    if preset is not None:
        store.mapping = _mapping_of(preset)
    text = starter(store.scope(), store.view.manifest)
    path = shared.output or shared.config or config_path(store.path)
    if path.is_file() and not force:
        raise UsageError(
            f"{path} already exists", "write it elsewhere with -o PATH, to stdout with -o -, or over it with --force"
        )
    write_bytes([text.encode()], path)
    if str(path) != "-":
        diagnostics.note(f"wrote {path}", shared.quiet)


def _mapping_of(preset: str) -> MappingConfig:
    from esctl.index.envelope.mapping import parse_mapping
    from esctl.index.envelope.presets import PRESETS

    if preset not in PRESETS:
        raise UsageError(f"--preset {preset}: there is no such preset", "list them: esctl presets")
    return parse_mapping({"preset": preset})


def _ask(shared: Shared, force: bool) -> None:
    """Ask about each source that has no stanza of its own, and write one for each."""
    from esctl.cli.intake.asking import require_terminal, sources_without_stanza, write_answers
    from esctl.config import config_path

    if force or shared.output is not None:
        raise UsageError(
            "--interactive adds to the esctl.toml in force, and goes with neither --force nor -o", "leave those out"
        )
    require_terminal("--interactive")
    store = open_store(shared)
    names = sources_without_stanza(store)
    if not names:
        diagnostics.note(f"each source has a stanza of its own in {store.config.name}", shared.quiet)
        return
    write_answers(store, names, store.config.path or config_path(store.path), shared.quiet)
