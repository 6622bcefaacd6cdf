"""The text file that explains a bundle to its recipient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esctl.ask.scope.basis import to_lines
from esctl.bundle.contents import BASIS, CHECKPOINT, INTERPRETATION, MANIFEST, PAGE, STATES, TRAIL, BundleManifest
from esctl.output.text import visible

if TYPE_CHECKING:
    from esctl.ledger.sign.checkpoint import Checkpoint
    from esctl.model import Basis

_PAGE = """EVIDENCE FROM AN EVENT LOG

This archive holds {count} records that concern {entities}, as they stand in the log
{log},
each with a proof that it is in there unchanged, and what these records say.

HOW TO CHECK IT

1. Ask the party that vouches for the log for its public key, by a way that has nothing to do with this archive. A key
   that came along with the archive proves nothing. This archive says that it is signed by: {signers}.
2. With esctl installed, and with neither a network nor the log at hand:

       esctl verify-bundle FILE.zip --trust KEY

   Exit code 0: all of it holds. 1: something was changed. 3: it cannot be judged, for example without a key.
3. Or have it checked by other software: the proofs are C2SP tlog-proof files, the checkpoint is a C2SP signed note.
   The format is told in full in docs/ledger.md of esctl.

WHAT IS IN IT

records/             the records, byte for byte as they were received, named by their position in the log
proofs/              for each of them the proof (a record that has no bytes, or was erased, has only that)
{checkpoint:<20} the signed head of the log: how many records it had, and one digest over them all
{states:<20} what the records make of the entities, one line each
{trail:<20} what each record changed, in order
{around}{page}{interpretation:<20} how the records were read and folded to get there
{basis:<20} what these answers rest on
{manifest:<20} a list of these files with their digests

WHAT IT SHOWS

That the holder of the key signed a log of {size} records that has exactly these records at these positions, recorded at
the times and from the sources that the proofs tell; and that states and trail follow from these records by the rules in
{interpretation}.

WHAT IT DOES NOT SHOW

That what the records say is true, or that all that happened was recorded. That these are all records of the entities:
only the whole log shows that. When the checkpoint was signed: that takes a copy of it that somebody else kept since.
That nobody with the key keeps a second log.

THE ANSWERS REST ON

{lines}
"""


_SHOWN = "all this in a page for any browser, which needs no network"


_AROUND = "what came with the records, where they are read with it: the leaves of the proofs have their digests"


def readme(
    about: BundleManifest, checkpoint: Checkpoint, basis: Basis, *, html: bool = False, around: bool = False
) -> bytes:
    """Return the text. `html`: the bundle has a page for browsers; `around`: it has files of keys and headers."""
    names = [visible(name) for name in about.entities[:5]]
    more = len(about.entities) - len(names)
    page = _PAGE.format(
        count=len(about.records),
        entities=", ".join(names) + (f" and {more} more" if more else ""),
        log=visible(about.log),
        size=about.size,
        signers=", ".join(sorted({visible(one.name) for one in checkpoint.note.signatures})),
        lines="\n".join(visible(line.removeprefix("basis: ")) for line in to_lines(basis)),
        checkpoint=CHECKPOINT, states=STATES, trail=TRAIL, interpretation=INTERPRETATION, basis=BASIS,
        manifest=MANIFEST, page=f"{PAGE:<20} {_SHOWN}\n" if html else "",
        around=f"{'keys/, headers/':<20} {_AROUND}\n" if around else "",
    )  # fmt: skip
    return page.encode()
