"""Read the records again in the layout of the present index, and compare the two block by block."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.engine.duckdb import connect, explained, relational
from esctl.engine.quoting import identifier
from esctl.errors import EsctlError, InputError
from esctl.index.envelope.event_columns import batched
from esctl.index.envelope.mapping import mapping_hash
from esctl.index.files.freshness import has_same_zones
from esctl.index.files.levels import with_groups
from esctl.index.files.manifest import IndexFile, Manifest, read_manifest
from esctl.index.files.payload_columns import PayloadColumn
from esctl.index.files.readers import announce_reader
from esctl.index.scan import ENVELOPE, IndexView, Read, envelope_items, sequence_key_as
from esctl.index.update import Updater
from esctl.ledger.check.findings import Kind
from esctl.log.merkle import BLOCK, BLOCK_LEVEL
from esctl.log.store_state import StoreState
from esctl.model import MappingConfig, SchemasCursor

if TYPE_CHECKING:
    import duckdb

    from esctl.engine.workers import Workers
    from esctl.index.chunk_events import ChunkEvents

_EVENTS = "esctl_events"
_MOST_BLOCKS = 100
"""The most blocks that are compared row by row."""
_CONTENT = (
    "source",
    "id",
    "type",
    "kind",
    "entity",
    "role",
    "actor",
    "correlation",
    "causation",
    "sequence",
    "invalid",
)
"""Columns that make up the content of an event, besides its payload."""
_COUNTS = (
    "rows",
    "events",
    "untyped",
    "unsequenced",
    "duplicates",
    "conflicts",
    "invalid",
    "homeless",
    "erased",
    "roles",
)


class Difference(Struct, frozen=True):
    """The first record of a block that differs between the index and the log."""

    block: int
    position: int
    kind: Kind  # what happened to the records, if the index is right
    message: str
    file: str


def compare_index(
    store_state: StoreState, mapping: MappingConfig, workers: Workers | None = None
) -> tuple[Sequence[Difference], str, int]:
    """Compare the index of a mapping with the records: differences, why it could not be judged, how many were compared.

    If `workers` are given, they read the records. Raises InputError for segments or index files that cannot be read.
    """
    folder = store_state.path / "index" / mapping_hash(mapping)
    reader = announce_reader(folder)  # kept until all is compared
    there = read_manifest(folder)
    if there is None:
        return (), "there is no index of the mapping in force", 0
    if there.redactions != len(store_state.redactions):
        return (), "it was built before records were erased: the next question builds it anew", 0
    if not has_same_zones(there, store_state):
        return (), "its times were read in other time zones: the next question builds it anew", 0
    if came := _late_schemas(there, folder, store_state):
        return (), f"schema {', '.join(came)} came after records that need it; to decode them: esctl reindex", 0
    files = tuple(file for file in there.files if file.first <= store_state.head)
    there = replace(there, files=with_groups(folder, files, there.runs), runs=())
    try:
        with linked_folder(folder, there) as temporary, explained():
            updater = Updater(connect(temporary=temporary), mapping, temporary)
            reread = _reread_records(workers, updater, store_state, folder, there)
            found = list(_differences(updater, store_state, folder, there, reread))
        return found, "", min(there.head, store_state.head)
    except EsctlError as error:
        raise InputError(error.message, error.hint) from error
    finally:
        del reader


@contextmanager
def linked_folder(folder: Path, there: Manifest, place: Path | None = None) -> Iterator[Path]:
    """Make a temporary folder (in `place`) with links to the files of an index, in which another can be built."""
    temporary = Path(tempfile.mkdtemp(prefix="esctl-verify-", dir=place))
    try:
        for file in there.files:
            (temporary / file.file).symlink_to(folder.resolve() / file.file)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _reread_records(
    workers: Workers | None, updater: Updater, store_state: StoreState, folder: Path, there: Manifest
) -> tuple[Reread, Manifest, dict[int, int]]:
    """Return what the records give now, the manifest that knows their sources, and the stored sum of each block."""
    if workers is not None:
        from esctl.ledger.check.index_parts import reread_in_parts

        if found := reread_in_parts(workers, updater, store_state, folder, there):
            return found
    again, known = Reread(), Manifest()
    for manifest, file, understood in updater.understand_as(store_state, there):
        again.add(relational(updater.connection), file, understood)
        known = manifest
    return again, known, stored_sums(updater.connection, IndexView(folder, there, store_state.head))


def stored_sums(connection: duckdb.DuckDBPyConnection, view: IndexView) -> dict[int, int]:
    """Return the content hash of each block of an index."""
    return dict(relational(connection).execute(_stored_sums(view)).fetchall())


def _late_schemas(there: Manifest, folder: Path, store_state: StoreState) -> list[str]:
    """List the schemas that records in the index could not be decoded with, because they came after these records."""
    known = {key for each in store_state.cursors.values() if isinstance(each, SchemasCursor) for key in each.ids}
    if not known or not any(file.invalid for file in there.files):
        return []
    rows = IndexView(folder, there, store_state.head).relation(["invalid"], None, ["starts_with(invalid, 'schema ')"])
    with explained():
        found = connect().execute(f"SELECT DISTINCT invalid FROM ({rows})").fetchall()
    return sorted(key for key in known if (f"schema {key} is not known",) in found)


class Reread(Struct):
    """What the records give now: the manifest entry of each index file, and the sum of each block's rows."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)  # by file
    fields: dict[str, set[tuple[str, str]]] = field(default_factory=dict)  # by file: payload field, JSON type
    loose: dict[str, set[str]] = field(default_factory=dict)  # by file: payload fields that are kept in `data`
    sums: Counter[int] = field(default_factory=Counter)  # by block

    def add(self, connection: duckdb.DuckDBPyConnection, file: IndexFile, understood: ChunkEvents) -> None:
        """Add the events in a chunk of a file."""
        counts = self.counts.setdefault(file.file, Counter())
        for block, rows, total in connection.execute(_fresh_sums(connection, file, understood)).fetchall():
            counts["rows"] += rows
            self.sums[block] += total
        counts.update({name: int(getattr(understood, name)) for name in _COUNTS if name != "rows"})
        self.fields.setdefault(file.file, set()).update(_field_types(understood.fields))
        self.loose.setdefault(file.file, set()).update(understood.loose)

    def merge(self, other: Reread) -> None:
        """Add what another worker read."""
        for name, counts in other.counts.items():
            self.counts.setdefault(name, Counter()).update(counts)
            self.fields.setdefault(name, set()).update(other.fields[name])
            self.loose.setdefault(name, set()).update(other.loose[name])
        for block, total in other.sums.items():
            self.sums[block] += total

    def other_words(self, file: IndexFile) -> str:
        """Return how the manifest's description of a file differs from its records."""
        counts = self.counts[file.file]
        names = [name for name in _COUNTS if name != "roles" and getattr(file, name) != counts[name]]
        names += ["roles"] if file.roles != bool(counts["roles"]) else []
        names += ["fields"] if set(_field_types(file.fields)) != self.fields[file.file] else []
        names += ["loose"] if set(file.loose) != self.loose[file.file] else []
        return f"its manifest has other {', '.join(names)}" if names else ""


def _field_types(fields: Iterable[tuple[str, Sequence[str]]]) -> Iterator[tuple[str, str]]:
    return ((name, kind) for name, kinds in fields for kind in kinds)


def _differences(
    updater: Updater,
    store_state: StoreState,
    folder: Path,
    there: Manifest,
    found: tuple[Reread, Manifest, dict[int, int]],
) -> Iterator[Difference]:
    connection, (again, known, stored) = relational(updater.connection), found
    named_blocks = set[int]()
    for file in there.files:
        # A file that covers more than the log was reported already.
        if file.last <= store_state.head and (message := again.other_words(file)):
            block, name = (file.first - 1) // BLOCK, f"index/{folder.name}/{file.file}"
            named_blocks.add(block)
            yield Difference(block, file.first, "changed", message, name)
    if odd := _sources_read_otherwise(there, known):
        message = f"it reads {', '.join(odd)} by another mapping"
        yield Difference(0, 1, "changed", message, f"index/{folder.name}")
    differing = sorted(block for block in stored.keys() | again.sums if stored.get(block) != again.sums.get(block))
    if blocks := [block for block in differing[:_MOST_BLOCKS] if block not in named_blocks]:
        rebuilt = IndexView(updater.folder, replace(updater).rebuild_as(store_state, there))
        rows = _rows(IndexView(folder, there, store_state.head)), _rows(rebuilt)
        yield from (_first_difference(connection, block, *rows, folder, there) for block in blocks)


def _sources_read_otherwise(there: Manifest, again: Manifest) -> list[str]:
    """List the sources for which the manifest names another mapping than the one in force."""
    return sorted(
        name
        for name, number in again.sources.items()
        if name not in there.sources or there.stanzas[there.sources[name]] != again.stanzas[number]
    )


def _rows(view: IndexView) -> str:
    return view.relation(ENVELOPE, {"payload": Read((), "json")})


def _stored_sums(view: IndexView) -> str:
    """Write a content hash of each block: the sum of the hashes of its rows as stored, in whatever order.

    Files are hashed by layout, so that no payload needs to be put together.
    """
    layouts = {(file.columns, file.sequence_key): None for file in view.manifest.files}
    rows = [_stored_hashes(view, *layout) for layout in layouts]
    return _sum_blocks(" UNION ALL ".join(rows), "sum(h::HUGEINT)") if rows else "SELECT 0, 0 WHERE false"


def _stored_hashes(view: IndexView, columns: tuple[PayloadColumn, ...], sequence_key: str) -> str:
    files = tuple(file for file in view.manifest.files if (file.columns, file.sequence_key) == (columns, sequence_key))
    alike = replace(view, manifest=replace(view.manifest, files=files))
    return _hash_rows(alike.relation(ENVELOPE, extra=f"hash({_payload(columns)}) AS payload"))


def _fresh_sums(connection: duckdb.DuckDBPyConnection, file: IndexFile, understood: ChunkEvents) -> str:
    """Write, for each block of a chunk, its number of rows and the hash that it would have if written to the file."""
    connection.register(_EVENTS, batched(understood.table))
    key = sequence_key_as(file.sequence_key, understood.sequence_key)
    unsorted = f"SELECT * REPLACE ({key} AS sequence_key) FROM ({understood.unsorted_rows(_EVENTS)})"
    items = [*envelope_items(ENVELOPE), f"hash({_payload(understood.columns)}) AS payload"]
    return _sum_blocks(_hash_rows(f"SELECT {', '.join(items)} FROM ({unsorted})"), "count(*), sum(h::HUGEINT)")


def _payload(columns: Sequence[PayloadColumn]) -> str:
    return ", ".join(["data", "nulls", *(identifier(column.name) for column in columns)])


def _hash_rows(rows: str) -> str:
    return f"SELECT position, hash({', '.join(map(identifier, ENVELOPE))}, payload) AS h FROM ({rows})"


def _sum_blocks(hashes: str, sums: str) -> str:
    return f"SELECT ((position - 1) >> {BLOCK_LEVEL}) AS block, {sums} FROM ({hashes}) GROUP BY 1"


def _first_difference(
    connection: duckdb.DuckDBPyConnection, block: int, old_rows: str, new_rows: str, folder: Path, there: Manifest
) -> Difference:
    inside = f"position BETWEEN {block * BLOCK + 1} AND {(block + 1) * BLOCK}"
    old, new = (f"SELECT * FROM ({rows}) WHERE {inside}" for rows in (old_rows, new_rows))
    row = connection.execute(
        f"SELECT min(position) FROM (({old} EXCEPT ALL {new}) UNION ALL ({new} EXCEPT ALL {old}))"
    ).fetchone()
    position = int(row[0]) if row is not None and row[0] is not None else block * BLOCK + 1
    contents = [_contents(connection, rows) for rows in (old, new)]
    file = next((file.file for file in there.files if file.first <= position <= file.last), "")
    kind = _kind(position, *contents)
    message = f"index and records differ, as if one had been {kind}"
    return Difference(block, position, kind, message, f"index/{folder.name}/{file}")


def _contents(connection: duckdb.DuckDBPyConnection, rows: str) -> dict[int, int]:
    """Return a hash of the content of each record, whatever its position."""
    columns = ", ".join(identifier(name) for name in (*_CONTENT, "payload"))
    found = connection.execute(f"SELECT position, sum(hash({columns})::HUGEINT) FROM ({rows}) GROUP BY 1").fetchall()
    return {position: int(content) for position, content in found}


def _kind(at: int, indexed: dict[int, int], logged: dict[int, int]) -> Kind:
    """Return what happened to the records at a position, by where the index and the log have each content."""
    here, was = logged.get(at), indexed.get(at)
    if here is not None and here == indexed.get(at + 1):
        return "reordered" if was in logged.values() else "removed"
    if was is not None and was == logged.get(at + 1):
        return "reordered" if here in indexed.values() else "inserted"
    return "reordered" if here in indexed.values() and here != was else "changed"
