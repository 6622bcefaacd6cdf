"""Verify a store: its files against its commits, its commits against every head seen of it, its records against all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.errors import InputError
from esctl.ledger.check.backdating import check_back_dating
from esctl.ledger.check.commits import Chain, walk
from esctl.ledger.check.files import announce_readers, check_index_files, check_overrides, check_segments, check_states
from esctl.ledger.check.findings import Anchor, Check, FullChecks
from esctl.ledger.check.heads import Heads, check_checkpoints, check_pin, check_since
from esctl.ledger.sign.last_seen import Pin, advance, now, read_pin
from esctl.ledger.sign.note import VerifierKey, parse_verifier
from esctl.ledger.sign.timestamps import check_stamps

if TYPE_CHECKING:
    from esctl.engine.workers import Workers
    from esctl.model import MappingConfig

_ATTEMPTS = 5


class VerifyOptions(Struct, frozen=True):
    """What to verify, and by which keys. `mapping`: that of the index to compare with the records."""

    full: bool = False
    since: Path | None = None
    trust: tuple[VerifierKey, ...] = ()
    mapping: MappingConfig | None = None
    authorities: tuple[Any, ...] = ()  # certificates of stamping authorities


class Verified(Struct, frozen=True):
    """The checks that were made, and the size and root of the log."""

    checks: tuple[Check, ...]
    size: int
    root: str

    @property
    def is_intact(self) -> bool:
        """Return whether nothing was found."""
        return not any(check.findings for check in self.checks)


def verify(path: Path, wanted: VerifyOptions, workers: Workers | None = None) -> Verified:
    """Verify the store in a folder, and record its head as last seen if nothing was found.

    If `workers` are given, they hash files and records for `full`.

    If segments were replaced meanwhile, everything is verified again, as the findings may come from that alone.

    Raises InputError if nothing can be judged: there is no store, `since` is no checkpoint of it, or a key is to be
    trusted, nothing is signed, and nothing was found.
    """
    for _ in range(_ATTEMPTS):
        verified, chain = _verify_once(path, wanted, workers)
        if verified.is_intact or not _was_rewritten(chain):
            break
    return verified


def _was_rewritten(chain: Chain) -> bool:
    """Return whether segments that were verified are no longer in force."""
    from esctl.log.commits import open_log

    try:
        return not set(chain.segments) <= set(open_log(chain.path).read().segments)
    except InputError:
        return False


def _verify_once(path: Path, wanted: VerifyOptions, workers: Workers | None) -> tuple[Verified, Chain]:
    started = now()
    pin = read_pin(path)
    trusted = wanted.trust or _pinned_keys(pin)
    chain = walk(path, pin)
    readers = announce_readers(chain)  # kept until all is checked: builders remove at once what nobody reads
    records = FullChecks((), chain.roots)
    if wanted.full:
        from esctl.ledger.check.full import check_records

        records = check_records(chain, wanted.mapping, workers)
    heads = Heads(chain, {**chain.roots, **records.roots})
    checks = [*chain.checks, check_segments(chain, records.digests), check_index_files(chain, records.damages)]
    checks += [check for check in (check_states(path), check_overrides(path)) if check is not None]
    checks += [check_checkpoints(heads, trusted), check_pin(heads, pin)]
    checks += _check_times(chain, pin, wanted.authorities)
    if wanted.since is not None:
        checks.append(check_since(heads, wanted.since, trusted))
    verified = Verified((*checks, *records.checks), chain.tree.size, chain.tree.root().hex())
    del readers
    if verified.is_intact:  # what was found counts whoever signed
        _demand_signature(wanted, checks)
    if verified.is_intact and chain.store_state is not None:
        advance(chain.store_state, keys=[key.text for key in wanted.trust], seen=started)
    return verified, chain


def _check_times(chain: Chain, pin: Pin | None, authorities: Sequence[Any]) -> list[Check]:
    stamps, anchors = check_stamps(chain.path, authorities)
    if pin is not None and pin.store_id == chain.store_id and pin.at:
        anchors.append(Anchor("last seen", pin.size, pin.at))
    return [*([stamps] if stamps is not None else []), check_back_dating(chain, anchors)]


def _pinned_keys(pin: Pin | None) -> tuple[VerifierKey, ...]:
    return tuple(map(parse_verifier, pin.keys)) if pin is not None else ()


def _demand_signature(wanted: VerifyOptions, checks: Sequence[Check]) -> None:
    signed = next(check.count for check in checks if check.rule == "checkpoints")
    if wanted.trust and not signed and wanted.since is None:
        raise InputError("--trust is given, and there is no checkpoint", "sign one with: esctl checkpoint")
