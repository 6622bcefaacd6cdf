"""esctl verify-proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import Trust
from esctl.cli.options import Shared, command
from esctl.errors import InputError, UsageError
from esctl.named import open_stdin, read_named

if TYPE_CHECKING:
    from esctl.ledger.prove.judge import Judgement

TABLE = ("result", "position", "recorded_at", "source", "offset", "size", "signed_by")
_CODES = {"proven": 0, "erased": 0, "refuted": 1, "not judged": 3}


@command
def run(
    shared: Shared,
    proof: Annotated[Path, typer.Argument(metavar="FILE", help="What `esctl prove` wrote.")],
    event: Annotated[
        str,
        typer.Option(
            "--event", metavar="FILE", help="The record's exact bytes, as `esctl show --raw` gives them; - for stdin."
        ),
    ] = "",
    trust: Trust = None,
) -> None:
    """Check a proof by itself: exit 0 proven, 1 refuted, 3 cannot be judged. Needs neither the store nor a network."""
    from esctl.cli.render import render
    from esctl.engine.duckdb import open_session
    from esctl.ledger.prove.judge import judge_proof, read_proof, trust_in
    from esctl.ledger.prove.proof_file import LARGEST
    from esctl.ledger.sign.keys import read_verifiers
    from esctl.reports.proof import proof_answer

    if str(proof) == event == "-":
        raise UsageError("the proof and --event are both -, and stdin is one", "name a file for one of them")
    keys = read_verifiers(trust or ())
    read = read_proof(_read_bytes(proof, LARGEST), str(proof))
    if not event and read.content.leaf is not None:
        raise UsageError("the bytes that the proof is about are not named", "give the record with --event FILE")
    raw = _read_bytes(Path(event)) if event else None
    judged = judge_proof(read, raw, trust_in(keys, read.checkpoint.head.origin))
    render(proof_answer(open_session(), judged), shared, TABLE)
    for line in _result_notes(judged, raw):
        diagnostics.note(line, shared.quiet)
    if _CODES[judged.result]:
        raise typer.Exit(_CODES[judged.result])


def _read_bytes(path: Path, limit: int = 2 << 30) -> bytes:
    try:
        if str(path) != "-":
            return read_named(path, limit)
        data = open_stdin().buffer.read(limit + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", "name a file that you may read") from error
    if len(data) > limit:
        raise InputError(f"{path} has more than {limit:,} bytes", "it is not a proof and no record")
    return data


def _result_notes(judged: Judgement, raw: bytes | None) -> list[str]:
    """Return notes on what was proven, or why it was not."""
    from esctl.log.leaves.leaf import NOTHING

    head, position = judged.checkpoint.head, judged.content.position
    if judged.result != "proven":
        hint = [] if judged.signers or judged.result == "refuted" else ["give the signer's public key with --trust"]
        return [f"{judged.result}: {judged.reason}", *hint]
    signers = " and ".join(judged.signers)
    leaf = judged.content.leaf
    is_empty = leaf is not None and leaf.raw == NOTHING  # as a tombstone, which has not even empty bytes
    record = f"the record @{position} of the log {head.origin}"
    return [
        f"proven: {record} has no bytes" if is_empty else f"proven: these {len(raw or b'')} bytes are {record}",
        f"signed by {signers} when the log had {head.size} records",
    ]
