"""Check a bundle by itself: without a store or a network, and without trusting a key that it brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl import __version__
from esctl.ask.scope.basis import parse_basis, to_json
from esctl.bundle.archive import Archive, open_archive
from esctl.bundle.contents import (
    BASIS,
    BOUNDS,
    CHECKPOINT,
    INTERPRETATION,
    MANIFEST,
    PAGE,
    BundleManifest,
    FileEntry,
    headers_name,
    json_object,
    key_name,
    parse_manifest,
    proof_name,
    record_name,
)
from esctl.bundle.page import RULE as PAGE_RULE
from esctl.bundle.page import check_page
from esctl.bundle.readme import RULE as README_RULE
from esctl.bundle.readme import check_readme
from esctl.errors import InputError
from esctl.ledger.check.findings import Check, Finding
from esctl.ledger.prove.judge import Trust, judge_proof, read_proof, trust_in
from esctl.ledger.sign.checkpoint import Checkpoint, parse_checkpoint
from esctl.ledger.sign.note import VerifierKey
from esctl.log.leaves.leaf import NOTHING, digest

if TYPE_CHECKING:
    from esctl.bundle.replayed import Record
    from esctl.config import Config
    from esctl.ledger.prove.proof_file import Content
    from esctl.model import Basis

RULES: tuple[tuple[str, str], ...] = (
    ("archive", "the archive holds plain files end to end and nothing else"),
    ("files", "the files are those of the manifest, with these sizes and digests"),
    ("checkpoint", "the head of the log is signed by a key that is trusted, and all rests on it"),
    ("records", "every record is in the log that was signed, with just these bytes"),
    ("states", "the states are what the records replay to"),
    ("trail", "the trail is what the records replay to"),
    README_RULE,
    PAGE_RULE,
)
_MOST_TOLD = 100


class Checked(Struct, frozen=True):
    """The checks of a bundle. `signers`: names of the trusted keys that signed; `manifest`: None if unreadable."""

    checks: tuple[Check, ...]
    manifest: BundleManifest | None = None
    signers: tuple[str, ...] = ()

    @property
    def is_refuted(self) -> bool:
        """Return whether something was changed."""
        return any(check.findings for check in self.checks)

    @property
    def is_judged(self) -> bool:
        """Return whether everything could be judged."""
        return not any(check.skipped for check in self.checks)


def check_bundle(
    path: Path, given: Sequence[VerifierKey], config: Config | None = None, memory_limit: str | None = None
) -> Checked:
    """Check all of a bundle. `given`: the keys to trust, else the user's own; `config`: the user's rules to replay by.

    Raises InputError for a file that is not a bundle at all.
    """
    with open_archive(path) as archive:
        outer = Check("archive", "the form of a bundle", len(archive.names), archive.problems[:_MOST_TOLD])
        if archive.problems:
            return Checked((outer, *_skipped("the archive is not what a bundle is", "files")))
        manifest, files = _check_files(archive)
        if manifest is None or files.findings:
            return Checked((outer, files, *_skipped("the files are not those of the manifest", "checkpoint")))
        return _check_contents(archive, manifest, (outer, files), _Asked(tuple(given), config, memory_limit))


class _Asked(Struct, frozen=True):
    given: tuple[VerifierKey, ...]
    config: Config | None
    memory_limit: str | None


def _skipped(why: str, first: str) -> list[Check]:
    names = [rule for rule, _ in RULES if rule != PAGE_RULE[0]]
    return [Check(rule, "nothing", skipped=why) for rule in names[names.index(first) :]]


def _check_files(archive: Archive) -> tuple[BundleManifest | None, Check]:
    against = "the manifest"
    try:
        manifest = parse_manifest(archive.read(MANIFEST) or b"")
    except ValueError as error:
        found = Finding("changed", f"it is not a manifest of a bundle: {error}", MANIFEST)
        return None, Check("files", against, 0, (found,))
    listed, there = set(manifest.files), set(archive.names) - {MANIFEST}
    findings = [Finding("removed", "it is in the manifest alone", name) for name in sorted(listed - there)]
    findings += [Finding("inserted", "it is not in the manifest", name) for name in sorted(there - listed)]
    for name in sorted(listed & there):
        digest = archive.digest(name)
        if digest is None or FileEntry(*digest) != manifest.files[name]:
            findings.append(Finding("changed", "it is not the file that the manifest names", name))
    return manifest, Check("files", against, len(listed), tuple(findings[:_MOST_TOLD]))


def _check_contents(archive: Archive, manifest: BundleManifest, before: tuple[Check, ...], asked: _Asked) -> Checked:
    from esctl.bundle.replayed import Claims, check_replay

    content = {name: archive.read(name) or b"" for name in (CHECKPOINT, BASIS, INTERPRETATION)}
    try:
        checkpoint = parse_checkpoint(content[CHECKPOINT])
    except ValueError as error:
        found = Finding("changed", f"it is not a checkpoint: {error}", CHECKPOINT)
        rest = _skipped("there is no checkpoint", "records")
        return Checked((*before, Check("checkpoint", "a key", 1, (found,)), *rest), manifest)
    trust = trust_in(asked.given, checkpoint.head.origin)
    signed, signers = _check_checkpoint(checkpoint, manifest, content[BASIS], trust)
    records, proven = _check_records(archive, manifest, checkpoint)
    if proven.findings:
        replays = _skipped("the records are not those of the log", "states")
    else:
        claimed = Claims(manifest, content[BASIS], content[INTERPRETATION], archive)
        replays = check_replay(records, claimed, asked.config, asked.memory_limit)
    basis = _parse_own_basis(content[BASIS])
    shown = [Check(README_RULE[0], "nothing", skipped=f"{BASIS} is no basis")]
    if basis is not None:
        shown = [check_readme(archive, manifest, checkpoint, basis)]
    if PAGE in manifest.files and proven.findings:
        shown += [Check(PAGE_RULE[0], "nothing", skipped="the records are not those of the log")]
    elif PAGE in manifest.files:
        shown += [check_page(archive, manifest, checkpoint, asked.memory_limit)]
    return Checked((*before, signed, proven, *replays, *shown), manifest, signers)


def _parse_own_basis(data: bytes) -> Basis | None:
    """Read the basis of a bundle; None if it is none, or not as esctl writes one if this version is said to have."""
    try:
        basis = parse_basis(data.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    if basis is None or (basis.version == __version__ and data != f"{to_json(basis)}\n".encode()):
        return None
    return basis if basis.version != __version__ or basis.bounds.keys() <= set(BOUNDS) else None


def _check_checkpoint(
    checkpoint: Checkpoint, manifest: BundleManifest, basis: bytes, trust: Trust
) -> tuple[Check, tuple[str, ...]]:
    head = checkpoint.head
    against = ", ".join(f"the key {key.name}" for key in trust.keys) or "no key"
    named = checkpoint.note.claimed
    found, signers = "", tuple[str, ...]()
    try:
        signers = tuple(key.name for key in trust.find_signers(checkpoint))
        rests = json_object(basis)
        if (rests.get("position"), rests.get("root")) != (head.size, head.root.hex()):
            return _wrong(BASIS, "the answers rest on another head of the log", against), ()
    except ValueError as error:
        found = str(error)
    if not found and _parse_own_basis(basis) is None:
        return _wrong(BASIS, "it is not a basis as esctl writes one", against), ()
    if not found and (manifest.log, manifest.size) != (head.origin, head.size):
        return _wrong(MANIFEST, "it is of another log, or another size of it", against), ()
    if not found and not signers and trust.demanded:
        found = f"it is signed by {named}, which is not trusted"
    if found:
        unknown = Finding("signature by an unknown key", found, CHECKPOINT)
        return Check("checkpoint", against, 1, (unknown,)), ()
    skipped = "" if signers else f"it is signed by {named}, which is not known here: give --trust"
    return Check("checkpoint", against, 1, skipped=skipped), signers


def _wrong(file: str, message: str, against: str) -> Check:
    return Check("checkpoint", against, 1, (Finding("changed", message, file),))


def _check_records(archive: Archive, manifest: BundleManifest, checkpoint: Checkpoint) -> tuple[list[Record], Check]:
    from esctl.bundle.replayed import Record

    records, findings = list[Record](), list[Finding]()
    empty, nobody = set(manifest.empty), Trust((), False)
    for position in manifest.records:
        name = proof_name(position)
        raw = None if position in empty else archive.read(record_name(position))
        try:
            read = read_proof(archive.read(name) or b"", name)
        except InputError as error:
            findings.append(Finding("changed", error.message.partition(": ")[2], name, position))
            continue
        whole = read.content.leaf is not None
        judged = judge_proof(read, (raw or b"") if whole else None, nobody)
        around = _changed_around(archive, read.content, position)
        if read.proof.checkpoint != checkpoint.data:
            findings.append(Finding("changed", "it is a proof against another checkpoint", name, position))
        elif read.content.position != position:
            findings.append(Finding("file replaced", f"it is of @{read.content.position}", name, position))
        elif not whole and raw is not None:
            findings.append(Finding("changed", "the record was erased: its bytes are not proven", name, position))
        elif judged.result == "refuted":
            findings.append(Finding("changed", judged.reason, record_name(position), position))
        elif (leaf := read.content.leaf) is not None and (raw is None) != (leaf.raw == NOTHING):
            # Without bytes, as a tombstone is, or with empty ones: no signature is on the manifest, which says so too.
            found = "the leaf of the record has no bytes" if raw is not None else "the leaf of the record has bytes"
            findings.append(Finding("changed", found, record_name(position), position))
        elif around:
            findings.append(Finding("changed", "it is not what the leaf of the record has", around, position))
        records.append(Record(read.content, raw is not None))
    return records, Check("records", "the checkpoint", len(manifest.records), tuple(findings[:_MOST_TOLD]))


def _changed_around(archive: Archive, content: Content, position: int) -> str:
    """Return the file of a record's key or headers that does not match the digest in its leaf; empty if all match."""
    parts = {key_name(position): "key", headers_name(position): "headers"}
    for name, part in parts.items():
        if name in archive and (
            content.leaf is None or digest(content.salt, archive.read(name)) != getattr(content.leaf, part)
        ):
            return name
    return ""
