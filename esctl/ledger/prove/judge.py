"""Judge a proof by itself, without a store or a network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from esctl.errors import InputError
from esctl.ledger.prove.proof_file import Content, Proof, parse_content, parse_proof
from esctl.ledger.sign.checkpoint import Checkpoint, parse_checkpoint
from esctl.ledger.sign.keys import own_verifiers
from esctl.ledger.sign.last_seen import pinned_keys
from esctl.ledger.sign.note import VerifierKey, verified_by
from esctl.log.leaves.leaf import NOTHING, digest
from esctl.log.merkle import verify_inclusion

Result = Literal["proven", "refuted", "erased", "not judged"]
_ERASED = "the record was erased: that it was there can be shown, not what it said"
_ORIGIN = re.compile(r"esctl/([0-9a-f-]{36})", re.ASCII)


class Trust(Struct, frozen=True):
    """The keys to check signatures with. `demanded`: the user named them, so one of them must have signed."""

    keys: tuple[VerifierKey, ...]
    demanded: bool

    def find_signers(self, checkpoint: Checkpoint) -> tuple[VerifierKey, ...]:
        """Return which of these keys signed a checkpoint. Raises ValueError for a forged signature."""
        return verified_by(checkpoint.note, self.keys)


class Judgement(Struct, frozen=True):
    """The result of judging a proof. `reason` says in one line why it is not `proven`; empty if it is."""

    result: Result
    reason: str
    content: Content
    checkpoint: Checkpoint
    signers: tuple[str, ...] = ()


def trust_in(given: Sequence[VerifierKey], origin: str) -> Trust:
    """Return the keys to trust: those given, else the user's own and those that signed this log here before."""
    if given:
        return Trust(tuple(given), True)
    log = _ORIGIN.fullmatch(origin)
    known = pinned_keys(log[1]) if log else ()
    return Trust(tuple(dict.fromkeys([*own_verifiers(), *known])), False)


class ParsedProof(Struct, frozen=True):
    """A proof of an esctl record, parsed."""

    proof: Proof
    content: Content
    checkpoint: Checkpoint


def read_proof(data: bytes, name: str) -> ParsedProof:
    """Parse a proof without verifying anything. Raises InputError if it is not a proof of an esctl record."""
    try:
        proof = parse_proof(data)
        return ParsedProof(proof, parse_content(proof.extra), parse_checkpoint(proof.checkpoint))
    except ValueError as error:
        raise InputError(f"{name} is not a proof of an esctl record: {error}", "make one with: esctl prove") from None


def judge_proof(read: ParsedProof, raw: bytes | None, trust: Trust) -> Judgement:
    """Judge whether a proof shows that a record of just these bytes is in the log. `raw`: None if not at hand."""
    signers: tuple[str, ...] = ()
    refuted = _find_refutation(read, raw)
    try:
        signers = tuple(key.name for key in trust.find_signers(read.checkpoint))
    except ValueError as error:
        refuted = refuted or str(error)
    unsigned = "" if signers else _describe_signers(read.checkpoint, trust)
    if not refuted and unsigned and trust.demanded:
        refuted = unsigned
    erased = read.content.leaf is None
    reason = refuted or unsigned or (_ERASED if erased else "")
    result: Result = "proven"
    if refuted:
        result = "refuted"
    elif unsigned or (erased and raw is not None):
        result = "not judged"
    elif erased:
        result = "erased"
    return Judgement(result, reason, read.content, read.checkpoint, signers)


def _find_refutation(read: ParsedProof, raw: bytes | None) -> str:
    """Return what is wrong with a proof, apart from its signature; empty if nothing is."""
    content, head = read.content, read.checkpoint.head
    if content.position != read.proof.index + 1:
        return f"it is of the record @{content.position}, its place in the tree is that of @{read.proof.index + 1}"
    if content.leaf is not None and digest(content.salt, content.source.encode()) != content.leaf.source:
        return f"{content.source} is not the source that the leaf has"
    if not verify_inclusion(content.hash, read.proof.index, head.size, read.proof.hashes, head.root):
        return "its hashes do not lead from the record to the root that was signed"
    if content.leaf is not None and raw is not None:
        return _describe_other_bytes(content, content.leaf.raw, raw)
    return ""


def _describe_other_bytes(content: Content, expected: str, raw: bytes) -> str:
    if expected == NOTHING:
        return "the record has no bytes" if raw else ""
    if digest(content.salt, raw) == expected:
        return ""
    bare = raw.rstrip(b"\r\n")
    ends = [end for end in (b"", b"\n", b"\r\n") if digest(content.salt, bare + end) == expected]
    if ends:
        return f"these are the record's bytes but for the line end, which is {ends[0]!r}"
    return "these are not the bytes of the record"


def _describe_signers(checkpoint: Checkpoint, trust: Trust) -> str:
    why = "which is not trusted" if trust.demanded else "which is not known here"
    return f"the checkpoint is signed by {checkpoint.note.claimed}, {why}"
