"""Build the index anew from the records, laid out as the one there is, and compare the two block by block."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.engine.duckdb import connect, explained
from esctl.engine.quoting import identifier
from esctl.errors import EsctlError, InputError
from esctl.index.catalog import IndexFile, Manifest, read_manifest
from esctl.index.layout import PayloadColumn
from esctl.index.mapping import mapping_hash
from esctl.index.merging import summed
from esctl.index.scan import ENVELOPE, IndexView, Read
from esctl.index.update import Updater
from esctl.ledger.findings import Kind
from esctl.log.merkle import BLOCK, BLOCK_LEVEL
from esctl.log.snapshot import Snapshot
from esctl.model import MappingConfig

if TYPE_CHECKING:
    import duckdb

_MOST = 100
"""Blocks that are looked at row by row."""
_SAID = ("source", "id", "type", "kind", "entity", "role", "actor", "correlation", "causation", "sequence", "invalid")
"""Columns of what an event says, beside its payload."""
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


@dataclass(frozen=True, slots=True)
class Difference:
    """The first record of a block of which index and log say different things."""

    block: int
    position: int
    kind: Kind  # what the records look like, if it is the index that is right
    message: str
    file: str


def compare_index(snapshot: Snapshot, mapping: MappingConfig) -> tuple[Sequence[Difference], str, int]:
    """Compare the index of a mapping with the records: differences, why it could not be judged, how many were compared.

    Raises InputError for segments or index files that cannot be read.
    """
    folder = snapshot.path / "index" / mapping_hash(mapping)
    there = read_manifest(folder)
    if there is None:
        return (), "there is no index of the mapping in force", 0
    if there.redactions != len(snapshot.redactions):
        return (), "it was built before records were erased: the next question builds it anew", 0
    there = replace(there, files=tuple(file for file in there.files if file.first <= snapshot.head))
    temporary = Path(tempfile.mkdtemp(prefix="esctl-verify-"))
    try:
        connection = connect(temporary=temporary)
        updater = Updater(connection, mapping, temporary)
        with explained():
            again = updater.rebuild_as(snapshot, there)
            found = list(_differences(connection, folder, there, temporary, again))
        return found, "", min(there.head, snapshot.head)
    except EsctlError as error:
        raise InputError(error.message, error.hint) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _differences(
    connection: duckdb.DuckDBPyConnection, folder: Path, there: Manifest, temporary: Path, again: Manifest
) -> Iterator[Difference]:
    told = set[int]()
    for old in there.files:
        new = summed([file for file in again.files if old.first <= file.first <= old.last])
        if old.last != new.last:
            continue  # it covers more than the log, which was told of already
        if message := _other_counts(old, new):
            told.add((old.first - 1) // BLOCK)
            yield Difference((old.first - 1) // BLOCK, old.first, "changed", message, f"index/{folder.name}/{old.file}")
    odd = set[str]()
    for name, number in again.sources.items():
        if name not in there.sources or there.stanzas[there.sources[name]] != again.stanzas[number]:
            odd.add(name)
    if odd:
        yield Difference(
            0, 1, "changed", f"it reads {', '.join(sorted(odd))} by another mapping", f"index/{folder.name}"
        )
    views = IndexView(folder, there, again.head), IndexView(temporary, again)
    old_rows, new_rows = (_rows(view) for view in views)
    sums = [_block_sums(view) for view in views]
    blocks = connection.execute(
        f"""SELECT block FROM ({sums[0]}) a FULL JOIN ({sums[1]}) b USING (block)
        WHERE (a.n, a.h) IS DISTINCT FROM (b.n, b.h) ORDER BY 1 LIMIT {_MOST}"""
    ).fetchall()
    for (block,) in blocks:
        if block not in told:
            yield _first_difference(connection, int(block), old_rows, new_rows, folder, there)


def _other_counts(old: IndexFile, new: IndexFile) -> str:
    """Say in what the manifest's words on a file are not those of the records."""
    names = [name for name in _COUNTS if getattr(old, name) != getattr(new, name)]
    if dict(old.fields) != dict(new.fields) and {k: set(v) for k, v in old.fields} != {
        k: set(v) for k, v in new.fields
    }:
        names.append("fields")
    return f"its manifest has other {', '.join(names)}" if names else ""


def _rows(view: IndexView) -> str:
    return view.relation(ENVELOPE, {"payload": Read((), "json")})


def _block_sums(view: IndexView) -> str:
    """Write a content hash of each block: the sum of the hashes of its rows as they are stored, which no order changes.

    What is laid out alike needs no payload put together.
    """
    layouts = {file.columns: None for file in view.manifest.files}
    rows = [_hashed(view, columns) for columns in layouts]
    return f"""SELECT ((position - 1) >> {BLOCK_LEVEL}) AS block, count(*) AS n, sum(h::HUGEINT) AS h
        FROM ({" UNION ALL ".join(rows)}) GROUP BY 1"""


def _hashed(view: IndexView, columns: tuple[PayloadColumn, ...]) -> str:
    files = tuple(file for file in view.manifest.files if file.columns == columns)
    alike = replace(view, manifest=replace(view.manifest, files=files))
    stored = ", ".join(["data", "nulls", *(identifier(column.name) for column in columns)])
    envelope = ", ".join(identifier(name) for name in ENVELOPE)
    rows = alike.relation(ENVELOPE, extra=f"hash({stored}) AS payload")
    return f"SELECT position, hash({envelope}, payload) AS h FROM ({rows})"


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
    """Hash what each record of a block says, wherever it stands."""
    columns = ", ".join(identifier(name) for name in (*_SAID, "payload"))
    found = connection.execute(f"SELECT position, sum(hash({columns})::HUGEINT) FROM ({rows}) GROUP BY 1").fetchall()
    return {position: int(content) for position, content in found}


def _kind(at: int, indexed: dict[int, int], logged: dict[int, int]) -> Kind:
    """Say what happened to the records, by where the index and the log have what each of them says."""
    here, was = logged.get(at), indexed.get(at)
    if here is not None and here == indexed.get(at + 1):
        return "reordered" if was in logged.values() else "removed"
    if was is not None and was == logged.get(at + 1):
        return "reordered" if here in indexed.values() else "inserted"
    return "reordered" if here in indexed.values() and here != was else "changed"
