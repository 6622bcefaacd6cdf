"""esctl key."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.options import Shared, command, subcommands
from esctl.output.sink import write_bytes

app = subcommands("Make and show the keys that checkpoints are signed with.")

Name = Annotated[str, typer.Argument(metavar="[NAME]", help="The key's name; by default the only key.")]


@app.command("new")
@command
def new(
    shared: Shared,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="What to call it in signatures.")] = "esctl",
) -> None:
    """Make a key in your configuration folder and print its public half, for others to check by."""
    from esctl.cli import diagnostics
    from esctl.ledger.sign.keys import keys_folder, new_key

    key = new_key(name)
    diagnostics.note(f"the private key is in {keys_folder()}: keep a copy where only you can read it", shared.quiet)
    write_bytes([f"{key.verifier.text}\n".encode()], shared.output)


@app.command("list")
@command
def list_keys(shared: Shared) -> None:
    """List your keys: name, id, public key."""
    from esctl.cli.render import render
    from esctl.engine.duckdb import open_session
    from esctl.ledger.sign.keys import own_verifiers
    from esctl.model import Column
    from esctl.reports.rows import answer_of_rows

    columns = (Column("name", "text"), Column("id", "text"), Column("key", "text"))
    rows = [(key.name, key.id.hex(), key.text) for key in own_verifiers()]
    render(answer_of_rows(open_session(), columns, rows, "keys"), shared)


@app.command("show")
@command
def show_key(shared: Shared, name: Name = "") -> None:
    """Print a key's public half: what others give to --trust."""
    from esctl.ledger.sign.keys import read_key

    write_bytes([f"{read_key(name).verifier.text}\n".encode()], shared.output)
