"""Replay the records of a bundle, in a store of their own, and hold the result against what the bundle says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from msgspec import Struct, convert

from esctl.ask.changes.audit import audit
from esctl.ask.scope.scope import claims
from esctl.ask.states.replay import replay
from esctl.bundle.contents import INTERPRETATION, STATES, TRAIL, Manifest, json_object
from esctl.bundle.make import as_lines
from esctl.config import Config
from esctl.errors import EsctlError
from esctl.index.update import Updater
from esctl.ledger.check.findings import Check, Finding
from esctl.log.merkle import Frontier
from esctl.log.segment import SCHEMA
from esctl.log.store_state import Snapshot
from esctl.model import Cursor, MappingConfig, Stanza
from esctl.store import OpenStore

if TYPE_CHECKING:
    from esctl.ledger.prove.proof_file import Content

_RULES = (("states", STATES), ("trail", TRAIL))
_BOUNDS = ("at", "before")
_KINDS = ("STRING", "NUMBER", "BOOLEAN", "CONTAINER", "NULL")


class Record(Struct, frozen=True):
    """A record of a bundle: what its proof says of it, and its bytes."""

    content: Content
    raw: bytes | None


class Said(Struct, frozen=True):
    """What a bundle says its records amount to, and by what rules: the contents of its files."""

    manifest: Manifest
    basis: bytes
    interpretation: bytes
    states: bytes
    trail: bytes


class NotReplayedError(Exception):
    """Tell why records cannot be replayed here."""


def check_replay(records: Sequence[Record], said: Said, config: Config | None, memory_limit: str | None) -> list[Check]:
    """Check that states and trail are what the records replay to. `config`: rules of the user's own to replay by.

    Code is never run from a bundle: neither SQL nor Python, which are run from `config` alone.
    """
    against = "the records" if config is None else f"the records, by {config.name}"
    erased = sum(record.content.leaf is None for record in records)
    try:
        with tempfile.TemporaryDirectory(prefix="esctl-bundle-") as folder:
            replayed = _replayed(Path(folder), records, said, config, memory_limit)
    except NotReplayedError as reason:
        return [Check(rule, against, skipped=f"not replayed: {reason}") for rule, _ in _RULES]
    except (EsctlError, ValueError, KeyError, TypeError, AttributeError, OverflowError, pa.ArrowException) as error:
        reason_text = error.message if isinstance(error, EsctlError) else f"{INTERPRETATION} is odd: {error}"
        return [Check(rule, against, skipped=f"not replayed: {reason_text}") for rule, _ in _RULES]
    checks = []
    for (rule, file), told, found in zip(_RULES, (said.states, said.trail), replayed, strict=True):
        number, difference = _difference(told, found)
        if difference and erased:
            checks.append(Check(rule, against, skipped=f"not judged: {erased} of the records were erased"))
        else:
            checks.append(Check(rule, against, number, (Finding("changed", difference, file),) if difference else ()))
    return checks


def _replayed(
    folder: Path, records: Sequence[Record], said: Said, config: Config | None, memory_limit: str | None
) -> tuple[bytes, bytes]:
    told = json_object(said.interpretation)
    basis = json_object(said.basis)
    bounds = {name: str(basis[name]) for name in _BOUNDS if basis.get(name) is not None}
    rules = config or Config(None, {}, _plain(told["projections"]))
    table = _table(records)
    sources = {name: told["sources"].get(name) for name in table["source"].unique().to_pylist()}
    if not all(isinstance(each, dict) for each in sources.values()):
        raise NotReplayedError(f"{INTERPRETATION} does not tell how each source was read")
    cursors = {name: _cursor(each) for name, each in sources.items()}
    stanzas = {name: convert(each["mapping"], Stanza) for name, each in sources.items()}
    fields = {name: tuple(map(_kind, kinds)) for name, kinds in told["fields"].items()}
    snapshot = Snapshot(folder, said.manifest.log, False, 0, 0, "", Frontier(), (), cursors)
    store = OpenStore(folder, rules, memory_limit)
    store.snapshot = snapshot
    updater = Updater(store.connection, MappingConfig(), folder)
    store.view = updater.over(snapshot, table, stanzas, fields)
    scope = store.scope(said.manifest.entities, said.manifest.projection)
    if config is None and (code := [claim.projection for claim in claims(scope) if _is_code(claim.projection)]):
        raise NotReplayedError(
            f"the projection {code[0].name} is code, which is never run from a bundle: give your own esctl.toml "
            "with --config"
        )
    at = store.bound(bounds.get("at", ""), bounds.get("before", ""))
    return as_lines(replay(scope, at, deleted=True)), as_lines(audit(scope, at))


def _is_code(projection: Any) -> bool:
    return bool(projection.sql or projection.python)


def _table(records: Sequence[Record]) -> pa.Table:
    """Lay the records out as a segment does; those that were erased are left out."""
    rows = []
    for record in records:
        leaf = record.content.leaf
        if leaf is not None:
            rows.append(
                {
                    "position": leaf.position, "recorded_at": leaf.recorded_at, "source": record.content.source,
                    "offset": leaf.offset, "source_time": leaf.source_time, "raw": record.raw,
                }
            )  # fmt: skip
    if not rows:
        raise NotReplayedError("all of its records were erased")
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _cursor(source: Mapping[str, Any]) -> Cursor:
    texts = [source["format"], source["header"], *source["dialect"].keys(), *source["dialect"].values()]
    if not all(type(text) is str for text in texts):
        raise NotReplayedError(f"{INTERPRETATION} has an odd source")
    return Cursor(0, "", 0, "", source["format"], 0, header=source["header"], dialect=source["dialect"])


def _kind(value: Any) -> str:
    if value not in _KINDS:
        raise NotReplayedError(f"{INTERPRETATION} has a field of an odd type")
    return str(value)


def _plain(value: Any) -> Any:
    """Give numbers as TOML would: a Decimal is no value of a projection."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value if value is None or isinstance(value, (str, int)) else float(value)


def _difference(told: bytes, found: bytes) -> tuple[int, str]:
    """Compare two answers row by row, by value; gives the number of rows and what is not the same, empty if nothing."""
    number = 0
    for number, (one, other) in enumerate(zip_longest(_lines(told), _lines(found)), 1):
        if one is None or other is None:
            less = "has rows that the records do not give" if other is None else "lacks rows that the records give"
            return number, f"it {less}, from line {number} on"
        try:
            same = one == other or json_object(one) == json_object(other)
        except ValueError as error:
            return number, f"line {number} is no row: {error}"
        if not same:
            return number, f"line {number} is not what the records replay to"
    return number, ""


def _lines(data: bytes) -> Iterator[bytes]:
    return iter(data.removesuffix(b"\n").split(b"\n") if data else [])
