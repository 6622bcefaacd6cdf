"""Check the log against its earlier heads: checkpoints, the one last seen here, one kept elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from esctl.errors import InputError
from esctl.ledger.check.commits import Chain
from esctl.ledger.check.findings import Check, Finding
from esctl.ledger.prove.tree import store_tree
from esctl.ledger.sign.checkpoint import Head, origin_of
from esctl.ledger.sign.checkpoints import FOLDER, SUFFIX, read_checkpoint
from esctl.ledger.sign.last_seen import Pin
from esctl.ledger.sign.note import VerifierKey, verified_by
from esctl.log.merkle import BLOCK
from esctl.log.store_state import commit_name
from esctl.storage.local import entries


class Heads(Struct, frozen=True):
    """The roots of the log by size: as its commits have them, or (better) as its records were found to hash."""

    chain: Chain
    roots: Mapping[int, bytes]

    def root(self, size: int) -> bytes | None:
        """Return the root at a size; None if it is not known. Raises InputError for damaged segments."""
        if size in self.roots:
            return self.roots[size]
        if self.chain.store_state is None or size > self.chain.store_state.head:
            return None
        return store_tree(self.chain.store_state).root(0, size)

    def find_contradiction(self, head: Head, file: str, after: int) -> Finding | None:
        """Return how the log contradicts a head; None if it does not.

        `after`: a position up to which the log is known to be right.
        """
        if head.origin != origin_of(self.chain.store_id):
            return Finding("file replaced", f"it is of another log, {head.origin}", file)
        size = self.chain.tree.size
        if head.size > size:
            message = f"the log had {head.size} records and has {size}"
            return Finding("rolled back", message, file, size + 1, size // BLOCK)
        try:
            root = self.root(head.size)
        except InputError:
            return None  # the segment was reported already
        if root in (None, head.root):
            return None
        message = f"the first {head.size} records are not those it was made over"
        return Finding("changed", message, file, after + 1, after // BLOCK)


def check_checkpoints(heads: Heads, trusted: Sequence[VerifierKey]) -> Check:
    """Check every checkpoint in the store: its signature, and that the log only grew since."""
    folder = heads.chain.path / FOLDER
    names = sorted(name for name in entries(folder) if name.endswith(SUFFIX))
    findings, after = list[Finding](), 0
    for name in names:
        file = f"{FOLDER}/{name}"
        try:
            found, size = _check_checkpoint(heads, folder / name, file, trusted, after)
        except (ValueError, InputError) as error:
            found, size = Finding("changed", f"it is not a checkpoint: {error}", file), 0
        findings += [found] if found is not None else []
        after = after if found is not None else max(after, size)
    against = ", ".join(f"the key {key.name}" for key in trusted) or "the log"
    unjudged = "no key is known that signatures could be held against: give --trust" if names else ""
    note = "" if trusted else unjudged
    return Check("checkpoints", against, len(names), tuple(findings), note=note)


def _check_checkpoint(
    heads: Heads, path: Path, file: str, trusted: Sequence[VerifierKey], after: int
) -> tuple[Finding | None, int]:
    checkpoint = read_checkpoint(path)
    named = checkpoint.note.claimed
    if trusted and not verified_by(checkpoint.note, trusted):
        return Finding("signature by an unknown key", f"it is signed by {named}, which is not trusted", file), 0
    if not path.name.startswith(f"{checkpoint.head.size:020d}-"):
        return Finding("file replaced", f"it is of {checkpoint.head.size} records, its name is of others", file), 0
    return heads.find_contradiction(checkpoint.head, file, after), checkpoint.head.size


def check_since(heads: Heads, path: Path, trusted: Sequence[VerifierKey]) -> Check:
    """Check that the log only grew since a checkpoint that was kept elsewhere.

    Raises InputError for a file that is not a checkpoint, or one of another log: then nothing can be judged by it.
    """
    try:
        checkpoint = read_checkpoint(path)
        signers = verified_by(checkpoint.note, trusted)
    except ValueError as error:
        raise InputError(f"--since {path}: {error}", "give a file that `esctl checkpoint` wrote") from None
    head = checkpoint.head
    if head.origin != origin_of(heads.chain.store_id) and heads.chain.store_id:
        raise InputError(f"--since {path} is of another log, {head.origin}", "look for the one of this store")
    named = checkpoint.note.claimed
    if trusted and not signers:
        found: Finding | None = Finding("signature by an unknown key", f"it is signed by {named}", str(path))
    else:
        found = heads.find_contradiction(head, str(path), 0)
    against = f"{path.name}: {head.size} records, signed by {named}"
    note = "" if trusted else "no key is known that its signature could be held against: give --trust"
    return Check("since", against, 1, (found,) if found is not None else (), note=note)


def check_pin(heads: Heads, pin: Pin | None) -> Check:
    """Check that the log only grew since it was last seen here."""
    if pin is None:
        return Check("last seen", "nothing", skipped="it was never seen here before; it is kept in mind from now on")
    against = f"{pin.size} records in commit {pin.seq}"
    chain = heads.chain
    file = f"commits/{commit_name(pin.seq)}"
    found = None
    if chain.store_id and pin.store_id != chain.store_id:
        found = Finding("file replaced", f"the store that was here was {pin.store_id}", "format.json")
    elif pin.seq > chain.last:
        message = f"commit {pin.seq} was seen, the last is {chain.last}"
        found = Finding("rolled back", message, file, chain.tree.size + 1, chain.tree.size // BLOCK)
    elif pin.seq and chain.digests.get(pin.seq) != pin.commit:  # 0: it had no commit yet
        head = Head(origin_of(chain.store_id), pin.size, bytes.fromhex(pin.root))
        found = heads.find_contradiction(head, file, 0) or Finding(
            "changed", "it is not the commit that was seen", file
        )
    return Check("last seen", against, 1, (found,) if found is not None else ())
