"""Make a bundle: all records of some entities with their proofs, and what they replay to, at a signed head."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from esctl.ask.events.log import EventFilters, log
from esctl.ask.scope.basis import to_json
from esctl.ask.scope.bounds import ExactName, entity_conditions
from esctl.ask.scope.scope import Scope, check_entities, claims
from esctl.ask.states.folding import folding
from esctl.bundle.contents import (
    BASIS,
    CHECKPOINT,
    INTERPRETATION,
    MANIFEST,
    PAGE,
    README,
    REPLAYED,
    STATES,
    TRAIL,
    BundleManifest,
    FileEntry,
    headers_name,
    key_name,
    proof_name,
    record_name,
)
from esctl.bundle.page import bundle_page, require_room
from esctl.bundle.readme import readme
from esctl.engine.duckdb import explained
from esctl.errors import NotFoundError
from esctl.index.envelope.envelope_sql import reads_surroundings
from esctl.index.files.last_placed import TIE_SHIFT
from esctl.ledger.prove.proof_file import parse_content
from esctl.ledger.prove.prove import choose_checkpoint, prove
from esctl.log.leaves.leaf import headers_bytes
from esctl.log.reader import records_at
from esctl.model import MESSAGE
from esctl.output import Target, write
from esctl.reports.report import Section, states_and_trail

if TYPE_CHECKING:
    from esctl.ledger.prove.proof_file import Proof
    from esctl.ledger.sign.checkpoint import Checkpoint
    from esctl.model import AsOf, Basis
    from esctl.store import OpenStore

_ROWS_AT_ONCE = 4096


class BundleRequest(Struct, frozen=True):
    """What to bundle: entities (names or globs), of these only those with an event that meets `where`, if given."""

    entities: tuple[str, ...] = ()
    where: str = ""
    at: str = ""
    before: str = ""
    projection: str = ""
    checkpoint: str = ""
    html: bool = False  # with a page for people


class Bundle(Struct, frozen=True):
    """A planned bundle: iterating `files` makes its files."""

    scope: Scope
    at: AsOf | None
    asked: BundleRequest
    basis: Basis
    checkpoint: Checkpoint
    positions: tuple[int, ...]
    left_out: int  # records of the log that came after the checkpoint
    _store: OpenStore

    def __repr__(self) -> str:
        return f"<Bundle {len(self.positions)} records, {len(self.scope.entities)} entities>"

    def files(self) -> Iterator[tuple[str, bytes | Path]]:
        """Yield each file's name and content, the manifest last; a path is valid until the next file is asked for.

        Raises as questions and `prove` do.
        """
        listed: dict[str, FileEntry] = {}
        empty, sources = [], dict[str, list[int]]()
        shown, size = list[tuple["Proof", bytes | None]](), 0
        for proof, raw in prove(self._store.store_state, self.positions, self.checkpoint):
            sources.setdefault(parse_content(proof.extra).source, []).append(proof.index + 1)
            empty += [proof.index + 1] if raw is None else []
            if self.asked.html:
                shown.append((proof, raw))
                size += len(raw or b"")
                require_room(len(self.positions), size)
            for name, data in _record_files(proof, raw):
                listed[name] = FileEntry.of(data)
                yield name, data
        known = sources.keys() & self.scope.view.manifest.sources.keys()
        around = [position for name in known if self._reads_around(name) for position in sources[name]]
        about = BundleManifest(
            self.checkpoint.head.origin, self.checkpoint.head.size, tuple(map(str, self.scope.entities)),
            self.asked.where, self.asked.projection, self.positions, tuple(empty), {},
        )  # fmt: skip
        single = self._single_files(
            about, interpretation(self._store, self.scope, known, self.positions), around=bool(around)
        )
        for name, data in chain(self._surrounding_files(around), single):
            listed[name] = FileEntry.of(data)
            yield name, data
        with tempfile.TemporaryDirectory(prefix="esctl-bundle-") as folder:
            for section in states_and_trail(folding(self.scope, self.at), self.at).sections:
                path = write_section(Path(folder), section)
                listed[path.name] = FileEntry.of_file(path)
                yield path.name, path
            if self.asked.html:
                page = self._make_page(about, shown, Path(folder))
                listed[PAGE] = FileEntry.of(page)
                yield PAGE, page
        yield MANIFEST, replace(about, files=listed).data

    def _reads_around(self, source: str) -> bool:
        """Return whether the records of a source are read with their keys or headers."""
        manifest = self.scope.view.manifest
        is_message = self._store.store_state.cursors[source].format == MESSAGE
        return is_message or reads_surroundings(manifest.stanzas[manifest.sources[source]])

    def _surrounding_files(self, positions: Sequence[int]) -> Iterator[tuple[str, bytes]]:
        columns = ["position", "key", "headers"]
        for start in range(0, len(positions), _ROWS_AT_ONCE):
            found = records_at(self._store.store_state, sorted(positions)[start : start + _ROWS_AT_ONCE], columns)
            for row in found.to_pylist():
                if row["key"] is not None:
                    yield key_name(row["position"]), row["key"]
                if row["headers"] is not None:
                    yield headers_name(row["position"]), headers_bytes(row["headers"])

    def _make_page(self, about: BundleManifest, shown: Sequence[tuple[Proof, bytes | None]], folder: Path) -> bytes:
        with (folder / STATES).open("rb") as states, (folder / TRAIL).open("rb") as trail:
            return bundle_page(about, self.basis, self.checkpoint, shown, states, trail)

    def _single_files(self, about: BundleManifest, read_with: bytes, *, around: bool) -> Iterator[tuple[str, bytes]]:
        yield README, readme(about, self.checkpoint, self.basis, html=self.asked.html, around=around)
        yield BASIS, f"{to_json(self.basis)}\n".encode()
        yield CHECKPOINT, self.checkpoint.data
        yield INTERPRETATION, read_with


def _record_files(proof: Proof, raw: bytes | None) -> list[tuple[str, bytes]]:
    position = proof.index + 1
    bytes_of_it = [] if raw is None else [(record_name(position), raw)]
    return [(proof_name(position), proof.data), *bytes_of_it]


def plan_bundle(store: OpenStore, asked: BundleRequest) -> Bundle:
    """Plan a bundle: all records of the entities up to the checkpoint, whatever the bound of the states.

    Raises NotFoundError if there is no entity, and as questions and `choose_checkpoint` do.
    """
    checkpoint = choose_checkpoint(store.store_state, asked.checkpoint, 0)
    at = store.bound(asked.at, asked.before)
    basis = store.basis_of(store.scope((), asked.projection), (at,))
    basis = replace(basis, position=checkpoint.head.size, root=checkpoint.head.root.hex())
    then = store if basis.position == store.store_state.head else store.on_basis(basis)
    names = _entities(then, asked)
    scope = then.scope(names, asked.projection)
    left_out = store.store_state.head - checkpoint.head.size
    return Bundle(scope, at, asked, basis, checkpoint, _positions(scope), left_out, then)


def _entities(store: OpenStore, asked: BundleRequest) -> tuple[ExactName, ...]:
    scope = store.scope(asked.entities)
    check_entities(scope)
    if asked.where:
        events = log(scope, EventFilters(where=asked.where)).sql
    else:
        events = scope.view.relation(["entity"], None, [entity_conditions(asked.entities)])
    with explained():
        rows = scope.connection.execute(f"SELECT DISTINCT entity FROM ({events}) WHERE entity IS NOT NULL ORDER BY 1")
        names = tuple(ExactName(name) for (name,) in rows.fetchall())
    if not names:
        raise NotFoundError("no entity to bundle", "list entities with: esctl entities")
    return names


def _positions(scope: Scope) -> tuple[int, ...]:
    """List the positions of the scope's entities' records, and of earlier records with the id of one of these."""
    rows = scope.view.relation(["position", "duplicate_of"], None, [entity_conditions(scope.entities)])
    both = f"SELECT position FROM ({rows}) UNION SELECT duplicate_of FROM ({rows}) WHERE duplicate_of IS NOT NULL"
    with explained():
        return tuple(position for (position,) in scope.connection.execute(f"{both} ORDER BY 1").fetchall())


def interpretation(store: OpenStore, scope: Scope, sources: set[str], positions: Sequence[int]) -> bytes:
    """Return, as JSON, how the records were read and folded: mappings by source, fields, projections, places."""
    manifest = scope.view.manifest
    read: dict[str, Any] = {}
    for name in sorted(sources):
        cursor = store.store_state.cursors[name]
        dialect = {"format": cursor.format, "header": cursor.header, "dialect": dict(cursor.dialect)}
        read[name] = {"mapping": asdict(manifest.stanzas[manifest.sources[name]]), **dialect}
    used = {claim.projection.name for claim in claims(scope)}
    projections = {name: body for name, body in store.config.projections.items() if name in used}
    fields = {name: sorted(kinds) for name, kinds in manifest.kinds.items()}
    members = {"sources": read, "fields": fields, "projections": projections}
    return _json({**members, **({"places": places} if (places := _times_by_position(scope, positions)) else {})})


def _times_by_position(scope: Scope, positions: Sequence[int]) -> dict[str, list[int]]:
    """Return the times of records that are placed by other records: microseconds and nanoseconds, by position."""
    by_others = "(undated IS NOT NULL OR wall = 'twice')"
    rows = scope.view.relation(["position", "time", "tie"], None, [by_others])
    sql = f"SELECT DISTINCT position, epoch_us(time), coalesce(tie >> {TIE_SHIFT}, 0) FROM ({rows}) ORDER BY 1"
    with explained():
        found = scope.connection.execute(sql).fetchall()
    wanted = set(positions)
    return {str(position): [time, nano] for position, time, nano in found if position in wanted}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str).encode() + b"\n"


def write_section(folder: Path, section: Section) -> Path:
    """Write an answer as JSON Lines, times in UTC, into a private folder; return the path of the file."""
    path = folder / REPLAYED[section.name]
    write(section.answer, Target(format="jsonl", destination=path))
    return path
