"""esctl checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.bytes_out import write_bytes
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command

Key = Annotated[
    str, typer.Option("--key", metavar="NAME", help="The key to sign with; without it, the only one you have.")
]


@command
def run(shared: Shared, key: Key = "") -> None:
    """Sign the head of the log, to be kept elsewhere: what is changed after that can be shown."""
    from esctl.ledger.anchors import make_checkpoint
    from esctl.ledger.keys import read_key

    signing = read_key(key)
    store = open_store(shared)
    write_bytes([make_checkpoint(store.path, signing)], shared.output)
