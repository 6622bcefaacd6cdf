"""The page of a bundle: made from the rest of the bundle, and compared with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esctl import __version__
from esctl.ask.scope.basis import parse_basis
from esctl.bundle.contents import BASIS, PAGE, STATES, TRAIL, BundleManifest, proof_name, record_name
from esctl.engine.sizes import parse_size
from esctl.errors import UsageError
from esctl.ledger.check.findings import Check, Finding
from esctl.ledger.prove.proof_file import parse_proof
from esctl.page.content import MOST_BYTES, MOST_EVENTS, Content, first_question
from esctl.page.evidence import pack
from esctl.page.html import assemble, split_page
from esctl.page.tables import Shared, read_rows, state_rows, trail_rows

if TYPE_CHECKING:
    from esctl.bundle.archive import Archive
    from esctl.ledger.prove.proof_file import Proof
    from esctl.ledger.sign.checkpoint import Checkpoint
    from esctl.model import Basis

RULE = ("page", "the page says what the rest of the bundle says, and is as esctl writes it")
_AGAINST = "the rest of the bundle"
_MOST_NAMED = 50
_TIMES = 10
"""Memory that it takes to make a page, in multiples of its records' bytes, roughly."""
_MOST_MORE = 1 << 20
"""Bytes by which a page of another version may be longer than one of this."""


def bundle_page(
    about: BundleManifest,
    basis: Basis,
    checkpoint: Checkpoint,
    proven: Iterable[tuple[Proof, bytes | None]],
    states: Iterable[bytes],
    trail: Iterable[bytes],
) -> bytes:
    """Return the page of a bundle. `states` and `trail` are the lines of its files.

    Raises ValueError, KeyError, TypeError, AttributeError or RecursionError if these are not rows as expected.
    """
    names = " ".join(about.entities[:_MOST_NAMED])
    more = len(about.entities) - _MOST_NAMED
    asked = [("entities", f"{names} and {more} more" if more > 0 else names), ("where", about.where)]
    asked.append(("projection", about.projection))
    question = replace(
        first_question(about.entities, basis.bounds), asked=tuple((name, value) for name, value in asked if value)
    )
    shared = Shared.new()
    events = trail_rows(read_rows(trail), shared)
    found = state_rows(read_rows(states), shared)
    return assemble(Content(question, basis, shared, found, events, pack(checkpoint, proven), kind="bundle"))


def require_room(records: int, size: int) -> None:
    """Raise UsageError if a page cannot hold this many records, or records of this many bytes."""
    if records > MOST_EVENTS or size > MOST_BYTES:
        raise UsageError(
            f"the page would have {records:,} records of {size:,} bytes, and can have {MOST_EVENTS:,} of "
            f"{MOST_BYTES >> 20} MiB",
            "leave out --html, or name fewer entities",
        )


def check_page(
    archive: Archive, manifest: BundleManifest, checkpoint: Checkpoint, memory_limit: str | None = None
) -> Check:
    """Check that a bundle's page says what the rest of the bundle says; its records must be checked already."""
    rule = RULE[0]
    try:
        with_bytes = [name for name in map(record_name, manifest.records) if name in manifest.files]
        size = sum(map(archive.size, with_bytes))
        require_room(len(manifest.records), size)
        if memory_limit is not None and parse_size(memory_limit, "--memory-limit") < _TIMES * size:
            return Check(rule, _AGAINST, skipped=f"not judged: it needs a --memory-limit of {_TIMES * size:,} bytes")
        basis = parse_basis((archive.read(BASIS) or b"").decode())
        if basis is None:
            raise ValueError(f"{BASIS} is no basis")
        with archive.stream(STATES) as states, archive.stream(TRAIL) as trail:
            expected = bundle_page(manifest, basis, checkpoint, _iter_proven(archive, manifest), states, trail)
    except UsageError as error:
        return Check(rule, _AGAINST, 1, (Finding("changed", error.message, PAGE),))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Check(rule, _AGAINST, skipped=f"not judged: the rest cannot be read: {error}")
    return _compare_page(archive, expected, basis.version)


def _iter_proven(archive: Archive, manifest: BundleManifest) -> Iterator[tuple[Proof, bytes | None]]:
    empty = set(manifest.empty)
    for position in manifest.records:
        proof = parse_proof(archive.read(proof_name(position)) or b"")
        yield proof, None if position in empty else archive.read(record_name(position))


def _compare_page(archive: Archive, expected: bytes, version: str) -> Check:
    """Compare a page with what this version writes or, if another version wrote it, only the content."""
    rule = RULE[0]
    other = Check(rule, _AGAINST, 1, (Finding("changed", "it is not what the rest of the bundle gives", PAGE),))
    if archive.size(PAGE) > len(expected) + _MOST_MORE:
        return other
    page = archive.read(PAGE) or b""
    if page == expected:
        return Check(rule, _AGAINST, 1)
    parts, expected_parts = split_page(page), split_page(expected)
    if version == __version__ or parts is None or expected_parts is None or parts[0] != expected_parts[0]:
        return other
    reason = f"not judged: what shows it was written by esctl {version}, and this is {__version__}"
    return Check(rule, _AGAINST, skipped=reason)
