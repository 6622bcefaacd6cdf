"""esctl prove."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import CheckpointChoice
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command
from esctl.errors import UsageError


@command
def run(
    shared: Shared,
    events: Annotated[list[str], typer.Argument(metavar="EVENT...", help="Events: their ids, or @POSITION.")],
    checkpoint: CheckpointChoice = "",
) -> None:
    """Write the proof that an event is in the log: with its bytes and the signer's key it can be checked anywhere."""
    from esctl.ledger.prove.proof_file import SUFFIX
    from esctl.output.sink import write_bytes

    shared.refuse(("columns", "limit"), "proofs", "name the events to prove")
    proofs = open_store(shared).prove(*events, checkpoint=checkpoint)
    positions, chosen = proofs.positions, proofs.checkpoint
    folder = _proof_folder(shared, positions)
    for proof in proofs:
        name = f"{proof.index + 1:020d}{SUFFIX}"
        write_bytes([proof.data], folder / name if folder is not None else shared.output)
    records = f"@{positions[0]}" if len(positions) == 1 else f"{len(positions)} records"
    signer = chosen.note.claimed
    diagnostics.note(f"{records} in the first {chosen.head.size}, signed by {signer}", shared.quiet)


def _proof_folder(shared: Shared, positions: Sequence[int]) -> Path | None:
    """Return the folder that proofs go to; None for a single proof that goes to a file or to stdout."""
    output = shared.output if str(shared.output) != "-" else None
    if output is not None and (output.is_dir() or len(positions) > 1):
        if output.exists() and not output.is_dir():
            raise UsageError(f"there are {len(positions)} proofs, and {output} is a file", "name a folder with -o")
        output.mkdir(exist_ok=True)
        return output
    if len(positions) > 1:
        places = ", ".join(f"@{position}" for position in positions[:3])
        raise UsageError(
            f"there are {len(positions)} proofs, one for each record ({places}{', ...' if len(positions) > 3 else ''})",
            "name a folder for them with -o, or one record by its @POSITION",
        )
    return None
