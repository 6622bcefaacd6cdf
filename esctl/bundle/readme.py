"""The text file that explains a bundle to its recipient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esctl import __version__
from esctl.ask.scope.basis import to_lines
from esctl.bundle.contents import (
    BASIS,
    CHECKPOINT,
    INTERPRETATION,
    MANIFEST,
    PAGE,
    README,
    STATES,
    TRAIL,
    BundleManifest,
)
from esctl.ledger.check.findings import Check, Finding
from esctl.output.text import visible

if TYPE_CHECKING:
    from esctl.bundle.archive import Archive
    from esctl.ledger.sign.checkpoint import Checkpoint
    from esctl.model import Basis

RULE = ("readme", "the text that explains the bundle is as esctl writes it")
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


def check_readme(archive: Archive, about: BundleManifest, checkpoint: Checkpoint, basis: Basis) -> Check:
    """Check that a bundle's text for people is what esctl writes of the rest: they act on what it says of keys."""
    rule, against = RULE[0], "the rest of the bundle"
    has_around = any(name.startswith(("keys/", "headers/")) for name in about.files)
    # Records that are read with what came with them may have come with nothing.
    choices = (True,) if has_around else (False, True)
    expected = [readme(about, checkpoint, basis, html=PAGE in about.files, around=around) for around in choices]
    if archive.size(README) <= max(map(len, expected)) and archive.read(README) in expected:
        return Check(rule, against, 1)
    if basis.version == __version__:
        return Check(rule, against, 1, (Finding("changed", "it is not what the rest of the bundle gives", README),))
    skipped = f"not judged: it was written by esctl {visible(basis.version)}, and this is {__version__}"
    return Check(rule, against, skipped=skipped)
