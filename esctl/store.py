"""An open store: its evidence, its index, its configuration, and the scopes of questions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from esctl.config import STORE, Config, check_snapshots, find_config, find_store, follow_link, read_config
from esctl.configured import check_overrides, mapping_of, projections_of
from esctl.errors import InputError, UsageError
from esctl.given import as_tuple
from esctl.model import AsOf, Basis, MappingConfig
from esctl.owners import own_rights, require_own_store
from esctl.storage.connecting import located
from esctl.timespec import bound_name, check_order, parse_as_of, point_text

if TYPE_CHECKING:
    import duckdb

    from esctl.ask.scope.filters import Filters
    from esctl.ask.scope.scope import Scope
    from esctl.cluster.engines import Engine
    from esctl.engine.duckdb import Session
    from esctl.index.envelope.detect import Detection
    from esctl.index.scan import IndexView
    from esctl.index.understand import Detected
    from esctl.index.update import Updater
    from esctl.log.store_state import StoreState
    from esctl.projection.spec import Projection
    from esctl.saved_states.files import Shelf


class OpenStore:
    """A store, and the configuration that it is read with."""

    def __init__(
        self, path: Path, config: Config, memory_limit: str | None = None, tz: str = "UTC", threads: int | None = None
    ) -> None:
        self.path = follow_link(path)
        self.config = config
        self.tz = tz
        self.basis: Basis | None = None  # that every answer must rest on
        self.engine: Engine | None = None  # that answers questions in parts if they allow it
        self.memory_limit = memory_limit
        self._threads = threads
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self.path)!r}{', closed' if self._closed else ''}>"

    def close(self) -> None:
        """End the session and remove its temporary files; answers that were not read yet cannot be read any more."""
        self._closed = True
        if session := self.__dict__.pop("session", None):
            session.close()

    @classmethod
    def open(
        cls,
        path: Path | str | None = None,
        config: Path | str | None = None,
        *,
        memory_limit: str | None = None,
        tz: str = "UTC",
        threads: int | None = None,
    ) -> Self:
        """Open an existing store: the one at `path`, else the `.esctl` found upward from the working directory.

        Raises InputError if there is none or it cannot be read, UsageError for a wrong configuration.
        """
        from esctl.storage.inside import require_plain

        found = find_store(located(path) if path is not None else None)
        if found is None:
            raise InputError(
                f"there is no store: no {STORE} here or in a folder above", "make one with: esctl ingest FILE"
            )
        require_plain(found)
        file = find_config(Path(config) if config is not None else None, found)
        store = cls(found, read_config(file), memory_limit, tz, threads)
        store.store_state  # noqa: B018  # a missing or damaged store is reported at once
        return store

    @classmethod
    def create(
        cls,
        path: Path | str | None = None,
        config: Path | str | None = None,
        *,
        erasable: bool = False,
        overrides: Sequence[str] | None = None,
        memory_limit: str | None = None,
        tz: str = "UTC",
        threads: int | None = None,
        sources: Sequence[Path | None] = (),
    ) -> Self:
        """Open a store for writing, and make it if there is none: at `path`, else `.esctl` found upward, else here.

        A new one gives no more rights than the files `sources` (None: stdin) do. Raises InputError if the one that was
        found is another user's.
        """
        from esctl.log.commits import create_store
        from esctl.storage.inside import require_plain
        from esctl.storage.places import exists
        from esctl.storage.rights import source_stats, withheld_bits

        path_found = find_store(located(path) if path is not None else None) or Path(STORE)
        if path is None and os.path.lexists(path_found):
            require_own_store(path_found)  # a folder that is not a store yet may be another's too
        require_plain(path_found)
        file = find_config(Path(config) if config is not None else None, path_found)
        settings = read_config(file)
        check_overrides(settings, overrides or ())  # a wrong mapping is reported before anything is made
        if not exists(path_found / "format.json") or erasable:
            rights = own_rights(0o777 & ~withheld_bits(source_stats(sources), os.getegid()))
            create_store(follow_link(path_found), erasable, rights=rights)
        store = cls(path_found, settings, memory_limit, tz, threads)
        if overrides is not None:
            store.set_overrides(overrides)
        return store

    @cached_property
    def store_state(self) -> StoreState:
        """Return the store state as it was when first asked for."""
        from esctl.log.commits import open_log

        return open_log(self.path).read()

    @cached_property
    def session(self) -> Session:
        """Return the DuckDB session of this store's questions."""
        from esctl.engine.duckdb import CLOSED, open_session

        if self._closed:
            raise UsageError(*CLOSED)
        return open_session(self.memory_limit, self._threads, lean=True)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return the session's connection, with DuckDB's relations, registered tables and Arrow."""
        from esctl.engine.duckdb import relational

        return relational(self.session.connection)

    @cached_property
    def mapping(self) -> MappingConfig:
        """Return the mapping in force: that of esctl.toml, with the `--map` options that were given last."""
        return self._mapping_with(self.overrides)

    def _mapping_with(self, overrides: Sequence[str]) -> MappingConfig:
        return replace(mapping_of(self.config), overrides=tuple(overrides))

    @property
    def overrides(self) -> tuple[str, ...]:
        """Return the `--map` options that were given last."""
        from esctl.index.envelope.map_options import read_overrides

        return read_overrides(self.path)

    def set_overrides(self, overrides: Sequence[str]) -> None:
        """Check `--map` options, and keep them for all later commands."""
        from esctl.index.envelope.map_options import write_overrides

        check_overrides(self.config, overrides)
        write_overrides(self.path, overrides)
        self.mapping = self._mapping_with(overrides)

    @property
    def index_folder(self) -> Path:
        """Return the folder of the index of the mapping in force."""
        from esctl.index.envelope.mapping import mapping_hash

        return self.path / "index" / mapping_hash(self.mapping)

    def updater(self, detected: Detected | None = None) -> Updater:
        """Return the updater that builds this store's index."""
        from esctl.index.update import Updater

        return Updater(self.session.connection, self.mapping, self.index_folder, detected)

    @cached_property
    def view(self) -> IndexView:
        """Return the index, brought up to date with the store state."""
        from esctl.engine.duckdb import explained
        from esctl.index.current import current_view

        view = current_view(self.index_folder, self.store_state) if self.basis is None else None
        if view is not None:
            return view
        updater = self.updater()
        with explained():
            return updater.run(self.store_state) if self.basis is None else updater.at(self.store_state)

    @cached_property
    def projections(self) -> tuple[Projection, ...]:
        """Return the projections of esctl.toml."""
        return projections_of(self.config)

    @property
    def snapshots(self) -> str:
        """Return when saved states are made and used: auto, always or off. Raises UsageError for another word."""
        given = os.environ.get("ESCTL_SNAPSHOTS")
        return check_snapshots(given, "ESCTL_SNAPSHOTS") if given else self.config.store.get("snapshots", "auto")

    @property
    def shelf(self) -> Shelf:
        """Return the saved states under the mapping in force."""
        from esctl.index.envelope.mapping import mapping_hash
        from esctl.saved_states.files import Shelf

        return Shelf(self.path, mapping_hash(self.mapping), self.store_state, always=self.snapshots == "always")

    def on_basis(self, basis: Basis) -> Self:
        """Return this store as it was at a basis, which every answer will rest on.

        Raises InputError if the store no longer has that basis, UsageError if it is read under another mapping.
        """
        from esctl.ask.scope.basis import store_at_basis

        store = self.reopened()
        store.store_state = store_at_basis(basis, self.path, self.store_state, self.mapping)
        store.basis = basis
        store.engine = self.engine
        return store

    def refresh(self) -> None:
        """Have the head, the mapping and the index read again when they are next asked for."""
        for name in ("store_state", "mapping", "view"):
            self.__dict__.pop(name, None)  # `del` of a cached property fails before it was computed

    def reopened(self) -> Self:
        """Return this store opened again, at its present head."""
        return type(self)(self.path, self.config, self.memory_limit, self.tz, self._threads)

    def rebuild_index(self) -> list[tuple[str, Detection]]:
        """Build the index of the mapping in force anew; return what was recognised in each source.

        Raises InputError if the store cannot be written.
        """
        found: list[tuple[str, Detection]] = []
        updater = self.updater(lambda name, detection: found.append((name, detection)))
        self.view = updater.rebuild(self.store_state)
        return found

    def point(self, text: str, option: str, *, inclusive: bool = True) -> AsOf:
        """Read a point in time or order as the options do.

        Raises UsageError if it is none, or differs from that of the basis that this store is bound to.
        """
        return self._check_basis(parse_as_of(text, option, inclusive=inclusive, tz=self.tz), option)

    def given(self, text: str, option: str, *, inclusive: bool = True) -> AsOf | None:
        """Read a point that may be left out; then return that of the basis, or None if there is none."""
        name = bound_name(option)
        if not text and self.basis is not None and name in self.basis.bounds:
            text = self.basis.bounds[name]
        return self.point(text, option, inclusive=inclusive) if text else None

    def span(self, from_: str, to: str) -> tuple[AsOf | None, AsOf | None]:
        """Read `--from` and `--to`. Raises UsageError if nothing can be between them."""
        return check_order(self.given(from_, "--from", inclusive=False), self.given(to, "--to"))

    def _check_basis(self, at: AsOf, option: str) -> AsOf:
        name, text = bound_name(option), point_text(at)
        if self.basis is not None and self.basis.bounds.get(name) != text:
            fixed = self.basis.bounds.get(name)
            raise UsageError(
                f"{option} is {text}, and the basis has {fixed or 'no such bound'}",
                "leave it out: the basis settles it",
            )
        return at

    def scope(
        self,
        entities: Sequence[str] = (),
        projection: str = "",
        known_at: str = "",
        without: str | Sequence[str] = (),
        projection_file: Path | str | None = None,
    ) -> Scope:
        """Return the scope of a question about some entities (names or globs; none: all).

        `without`: events supposed away (see `ask.scope.what_if`); `projection_file`: another esctl.toml to fold with.
        """
        from esctl.ask.scope.scope import Scope

        known = self.given(known_at, "--known-at")
        config = self.config if projection_file is None else read_config(Path(projection_file))
        projections = self.projections if projection_file is None else projections_of(config)
        scope = Scope(
            self.session, self.view, projections, projection, tuple(entities), known, self.tz, config.path,
            shelf=None if self.snapshots == "off" else self.shelf,
            records=self.store_state, mapping=self.mapping, bound_to=self.basis,
        )  # fmt: skip
        if self.engine is not None:
            from esctl.cluster.question import in_parts

            scope = in_parts(scope, self.engine)
        if without:
            from esctl.ask.scope.what_if import without_events

            return without_events(scope, as_tuple(without))
        return scope

    def basis_of(self, scope: Scope, points: Sequence[AsOf | None] = ()) -> Basis:
        """Return the basis of an answer over a scope, within the bounds at some points.

        Raises UsageError if it is not the basis that this store is bound to.
        """
        from esctl.ask.scope.basis import basis_of, check_question

        basis = basis_of(scope, self.store_state, self.mapping, points)
        if self.basis is not None:
            check_question(self.basis, basis)
        return basis

    def bound(self, at: str = "", before: str = "") -> AsOf | None:
        """Read `--at` or `--before`. Raises UsageError for both."""
        if at and before:
            raise UsageError("--at and --before are both given", "give one of them")
        if at:
            return self.point(at, "--at")
        return self.given(before, "--before", inclusive=False) or self.given("", "--at")

    def filters(
        self,
        actor: str | Sequence[str] = (),
        type: str | Sequence[str] = (),  # noqa: A002  # as the option
        field: str | Sequence[str] = (),
        from_: str = "",
        to: str = "",
    ) -> Filters:
        """Return the filters on the events to show; each takes one name or several."""
        from esctl.ask.scope.filters import Filters

        return Filters(as_tuple(actor), as_tuple(type), as_tuple(field), *self.span(from_, to))
