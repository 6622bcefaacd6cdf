"""Replay the records of a bundle, in a store of their own, and compare the result with what the bundle says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
from msgspec import Struct, convert
from msgspec.structs import replace

from esctl.ask.scope.basis import names_zones
from esctl.ask.scope.bounds import ExactName, is_glob
from esctl.ask.scope.scope import claims
from esctl.bundle.contents import (
    BOUNDS,
    INTERPRETATION,
    REPLAYED,
    BundleManifest,
    headers_name,
    json_object,
    key_name,
    record_name,
)
from esctl.bundle.make import write_section
from esctl.config import Config
from esctl.engine import zones
from esctl.engine.duckdb import explained
from esctl.engine.sizes import parse_size
from esctl.errors import EsctlError
from esctl.index.envelope.envelope_sql import reads_surroundings
from esctl.index.update import Updater
from esctl.ledger.check.findings import Check, Finding
from esctl.log.leaves.leaf import NOTHING, parse_headers
from esctl.log.merkle import Frontier
from esctl.log.segment import SCHEMA
from esctl.log.store_state import StoreState
from esctl.model import MESSAGE, Cursor, MappingConfig, Stanza
from esctl.projection.json_values import are_equal
from esctl.projection.row_changes.rules import has_rows
from esctl.reports.report import states_and_trail
from esctl.store import OpenStore

if TYPE_CHECKING:
    from esctl.ask.scope.scope import Scope
    from esctl.bundle.archive import Archive
    from esctl.ledger.prove.proof_file import Content
    from esctl.model import AsOf

_TOO_LARGE = "not replayed: its records need more memory than there is"
_AS_BEFORE = (
    "it is what an earlier version of esctl made of the records, which took names with * and ? for globs and the place "
    "of an undated event for its time: make the bundle anew"
)
_TIMES_LARGEST = 8
"""Memory that one large record takes in addition to DuckDB's limit, in multiples of its bytes, measured."""
_BATCH_BYTES, _BATCH_ROWS = 64 << 20, 200_000
"""Most bytes and records that are understood at once."""
_KINDS = ("STRING", "NUMBER", "BOOLEAN", "CONTAINER", "NULL")


class Record(Struct, frozen=True):
    """A record of a bundle: what its proof says of it, and whether it has bytes, which stay in the archive."""

    content: Content
    has_bytes: bool


class Claims(Struct, frozen=True):
    """What a bundle claims: its manifest, basis and interpretation; states and trail are in the archive."""

    manifest: BundleManifest
    basis: bytes
    interpretation: bytes
    archive: Archive


class NotReplayedError(Exception):
    """Say why records cannot be replayed here."""


def check_replay(
    records: Sequence[Record], claimed: Claims, config: Config | None, memory_limit: str | None
) -> list[Check]:
    """Check that states and trail are what the records replay to. `config`: the user's own rules to replay by.

    Code from a bundle is never run, neither SQL nor Python; only code from `config` is.
    """
    against = "the records" if config is None else f"the records, by {config.name}"
    if too_large := _why_too_large(records, claimed.archive, memory_limit):
        return [Check(rule, against, skipped=too_large) for rule in REPLAYED]
    erased = sum(record.content.leaf is None for record in records)
    try:
        with tempfile.TemporaryDirectory(prefix="esctl-bundle-") as folder:
            scope, at = _replay_records(Path(folder), records, claimed, config, memory_limit)
            found = _compare_sections(claimed.archive, Path(folder), scope, at)
            was_written = _is_as_before(claimed.archive, Path(folder), scope, at) if any(d for _, d in found) else False
    except MemoryError:
        return [Check(rule, against, skipped=_TOO_LARGE) for rule in REPLAYED]
    except NotReplayedError as reason:
        return [Check(rule, against, skipped=f"not replayed: {reason}") for rule in REPLAYED]
    except (EsctlError, ValueError, LookupError, TypeError, AttributeError, OverflowError, pa.ArrowException) as error:
        reason_text = error.message if isinstance(error, EsctlError) else f"{INTERPRETATION} is odd: {error}"
        return [Check(rule, against, skipped=f"not replayed: {reason_text}") for rule in REPLAYED]
    checks = []
    for (rule, file), (number, difference) in zip(REPLAYED.items(), found, strict=True):
        if difference and erased:
            checks.append(Check(rule, against, skipped=f"not judged: {erased} of the records were erased"))
        elif difference and (others := _describe_other_zones(claimed)):
            checks.append(Check(rule, against, skipped=f"not judged: {others}"))
        elif difference and was_written:
            checks.append(Check(rule, against, skipped=f"not judged: {_AS_BEFORE}"))
        else:
            checks.append(Check(rule, against, number, (Finding("changed", difference, file),) if difference else ()))
    return checks


def _replay_records(
    folder: Path, records: Sequence[Record], claimed: Claims, config: Config | None, memory_limit: str | None
) -> tuple[Scope, AsOf | None]:
    """Build an index of the records in a folder; return the scope and the bound of the question."""
    interpretation = json_object(claimed.interpretation)
    basis = json_object(claimed.basis)
    bounds = {name: str(basis[name]) for name in BOUNDS if basis.get(name) is not None}
    rules = config or Config(None, {}, _without_decimals(interpretation["projections"]))
    whole = [record for record in records if record.content.leaf is not None]
    if not whole:
        raise NotReplayedError("all of its records were erased")
    sources = {name: interpretation["sources"].get(name) for name in {record.content.source for record in whole}}
    if not all(isinstance(each, dict) for each in sources.values()):
        raise NotReplayedError(f"{INTERPRETATION} does not tell how each source was read")
    cursors = {name: _parse_cursor(each) for name, each in sources.items()}
    stanzas = {name: convert(each["mapping"], Stanza) for name, each in sources.items()}
    _refuse_surrounded(whole, stanzas, cursors, claimed.archive)
    if any(map(has_rows, stanzas.values())):
        raise NotReplayedError("its states are rows, which changes that name no row may have made what they are")
    fields = {name: tuple(map(_parse_kind, kinds)) for name, kinds in interpretation["fields"].items()}
    store_state = StoreState(folder, claimed.manifest.log, False, 0, 0, "", Frontier(), (), cursors)
    store = OpenStore(folder, rules, memory_limit)
    store.store_state = store_state
    updater = Updater(store.connection, MappingConfig(), folder, raws=_raw_reader(claimed.archive))
    with explained():
        tables, places = _tables(whole, claimed.archive), _parse_places(interpretation.get("places", {}))
        store.view = updater.over(store_state, tables, stanzas, fields, places)
    names = tuple(map(ExactName, claimed.manifest.entities))
    scope = store.scope(names, claimed.manifest.projection)
    if config is None and (code := [claim.projection for claim in claims(scope) if _is_code(claim.projection)]):
        raise NotReplayedError(
            f"the projection {code[0].name} is code, which is never run from a bundle: give your own esctl.toml "
            "with --config"
        )
    at = store.bound(bounds.get("at", ""), bounds.get("before", ""))
    return scope, at


def _refuse_surrounded(
    records: Sequence[Record], stanzas: Mapping[str, Stanza], cursors: Mapping[str, Cursor], archive: Archive
) -> None:
    """Raise NotReplayedError if records were read with keys, headers or schemas that the bundle does not have."""
    looking = {name for name, stanza in stanzas.items() if reads_surroundings(stanza)}
    messages = {name for name, cursor in cursors.items() if cursor.format == MESSAGE}
    if any("registry" in cursors[name].dialect for name in messages):
        raise NotReplayedError("its records were decoded by schemas, which are not in a bundle")
    for record in records:
        leaf, position = record.content.leaf, record.content.position
        without_headers = leaf is not None and leaf.headers != NOTHING and headers_name(position) not in archive
        without_key = leaf is not None and leaf.key != NOTHING and key_name(position) not in archive
        if record.content.source in looking and without_headers:
            raise NotReplayedError("its records were read with what stood around them, which is not in this bundle")
        if record.content.source in messages and (without_headers or without_key):
            raise NotReplayedError("its records are messages, whose keys and headers are not in this bundle")


def _parse_places(places: dict[str, Any]) -> dict[int, tuple[int, int]]:
    """Return the times of records that are placed by others. Raises ValueError, TypeError or AttributeError if odd."""
    return {int(position): (int(time), int(nano)) for position, (time, nano) in places.items()}


def _compare_sections(
    archive: Archive, folder: Path, scope: Scope, at: AsOf | None, *, own_times: bool = True
) -> list[tuple[int, str]]:
    """Compare states and trail with the replay of a scope; return the number of rows and the difference of each."""
    sections = states_and_trail(scope, at, own_times=own_times).sections
    return [_compare_section(archive, write_section(folder, each)) for each in sections]


def _is_as_before(archive: Archive, folder: Path, scope: Scope, at: AsOf | None) -> bool:
    """Return whether states and trail are what earlier versions made of the records.

    They read names as globs, and gave undated events the time that these are folded at.
    """
    names = tuple(map(str, scope.entities))
    if not any(map(is_glob, names)) and not scope.view.manifest.undated:
        return False
    found = _compare_sections(archive, folder, replace(scope, entities=names), at, own_times=False)
    return not any(difference for _, difference in found)


def _compare_section(archive: Archive, path: Path) -> tuple[int, str]:
    with archive.stream(path.name) as claimed, path.open("rb") as replayed:
        return _find_difference(claimed, replayed)


def _why_too_large(records: Sequence[Record], archive: Archive, memory_limit: str | None) -> str:
    """Return why a record is too large to replay within the limit (values are in memory whole); empty if none is."""
    if memory_limit is None:
        return ""
    sizes = [archive.size(record_name(each.content.position)) for each in records if each.has_bytes]
    largest, limit = max(sizes, default=0), parse_size(memory_limit, "--memory-limit")
    least = largest * _TIMES_LARGEST
    if least <= limit:
        return ""
    return f"not replayed: a record of {largest:,} bytes needs a --memory-limit of more than {least:,} bytes"


def _describe_other_zones(claimed: Claims) -> str:
    """Return how a bundle's tzdata differs from the one here; empty if it does not, or if no time needs a zone."""
    there, here = json_object(claimed.basis).get("tzdata"), zones.version()
    cursors = [_parse_cursor(each) for each in json_object(claimed.interpretation)["sources"].values()]
    if there == here or not names_zones(cursors):
        return ""
    return f"times without a zone were read with tzdata {there}, and here is {here}"


def _is_code(projection: Any) -> bool:
    return bool(projection.sql or projection.python)


def _raw_reader(archive: Archive) -> Callable[[Sequence[int]], dict[int, bytes]]:
    def read(positions: Sequence[int]) -> dict[int, bytes]:
        return {position: archive.read(record_name(position)) or b"" for position in positions}

    return read


def _tables(records: Sequence[Record], archive: Archive) -> Iterator[pa.Table]:
    """Yield the records in the columns of a segment, in tables of about a batch's bytes."""
    waiting: list[Record] = []
    size = 0
    for record in records:
        length = sum(map(archive.size, filter(archive.__contains__, _file_names(record))))
        if waiting and (size + length > _BATCH_BYTES or len(waiting) >= _BATCH_ROWS):
            yield _table(waiting, archive)
            waiting, size = [], 0
        waiting.append(record)
        size += length
    if waiting:
        yield _table(waiting, archive)


def _table(records: Sequence[Record], archive: Archive) -> pa.Table:
    rows = [
        {
            "position": leaf.position, "recorded_at": leaf.recorded_at, "source": record.content.source,
            "offset": leaf.offset, "source_time": leaf.source_time,
        }
        for record in records
        if (leaf := record.content.leaf) is not None
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    raws, keys, header_bytes = (map(archive.read, names) for names in zip(*map(_file_names, records), strict=True))
    headers = [None if data is None else parse_headers(data) for data in header_bytes]
    for name, values in {"raw": raws, "key": keys, "headers": headers}.items():
        field = SCHEMA.field(name)
        table = table.set_column(SCHEMA.get_field_index(name), field, pa.array(list(values), field.type))
    return table


def _file_names(record: Record) -> tuple[str, str, str]:
    """Name the files of a record's bytes, key and headers."""
    position = record.content.position
    return record_name(position), key_name(position), headers_name(position)


def _parse_cursor(source: Mapping[str, Any]) -> Cursor:
    texts = [source["format"], source["header"], *source["dialect"].keys(), *source["dialect"].values()]
    if not all(type(text) is str for text in texts):
        raise NotReplayedError(f"{INTERPRETATION} has an odd source")
    return Cursor(format=source["format"], header=source["header"], dialect=source["dialect"])


def _parse_kind(value: Any) -> str:
    if value not in _KINDS:
        raise NotReplayedError(f"{INTERPRETATION} has a field of an odd type")
    return str(value)


def _without_decimals(value: Any) -> Any:
    """Return a value with numbers as TOML would give them: a projection takes no Decimal."""
    if isinstance(value, dict):
        return {name: _without_decimals(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_without_decimals(member) for member in value]
    return value if value is None or isinstance(value, (str, int)) else float(value)


def _find_difference(claimed: IO[bytes], replayed: IO[bytes]) -> tuple[int, str]:
    """Compare two answers row by row, by value; return the number of rows and the first difference, empty if none."""
    number = 0
    for number, (one, other) in enumerate(zip_longest(claimed, replayed), 1):
        if one is None or other is None:
            less = "has rows that the records do not give" if other is None else "lacks rows that the records give"
            return number, f"it {less}, from line {number} on"
        try:
            same = one == other or are_equal(json_object(one), json_object(other))
        except (ValueError, RecursionError) as error:
            return number, f"line {number} is not a row: {error}"
        if not same:
            return number, f"line {number} is not what the records replay to"
    return number, ""
