"""esctl checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command
from esctl.output.sink import write_bytes

Key = Annotated[
    str, typer.Option("--key", metavar="NAME", help="The key to sign with; by default the only one you have.")
]


Tsa = Annotated[
    str,
    typer.Option("--tsa", metavar="URL", help="Get it stamped by this authority too (RFC 3161)."),
]


@command
def run(shared: Shared, key: Key = "", tsa: Tsa = "") -> None:
    """Sign the head of the log, to be kept elsewhere: what is changed after that can be shown."""
    from esctl.ledger.sign.checkpoints import make_checkpoint
    from esctl.ledger.sign.keys import read_key
    from esctl.ledger.sign.timestamps import attach_stamp, check_authority

    if tsa:
        check_authority(tsa)
    signing = read_key(key)
    store = open_store(shared)
    data = make_checkpoint(store.path, signing)
    write_bytes([data], shared.output)
    if tsa:
        stamp = attach_stamp(store.path, data, tsa)
        diagnostics.note(f"its stamp is in {stamp}", shared.quiet)
