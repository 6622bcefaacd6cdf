"""A view: creating it, refreshing it at a cost that grows with the changes, checking and dropping it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.changes.since import changes_since
from esctl.ask.scope.basis import root_at
from esctl.ask.scope.own_times import with_own_times
from esctl.ask.scope.scope import Scope, claims
from esctl.ask.states.folding import folding
from esctl.ask.states.replay import replay
from esctl.engine.duckdb import Session
from esctl.errors import InputError, UsageError
from esctl.model import Answer
from esctl.sinks.protocol import Changes, NeedsWholeError, Progress, Sink
from esctl.store import OpenStore
from esctl.views.definitions import Definition, check_alone, definitions
from esctl.views.difference import Difference, difference
from esctl.views.targets import open_view_sink, parse_target


class Refreshed(Struct, frozen=True):
    """The result of a refresh: the position of the view's basis before (0: the view was empty) and now, and how.

    `nothing`: the view was up to date; `changes`: the entities with new events were computed; `difference`: all were,
    and what differed was changed; `whole`: the view was made anew.
    """

    name: str
    before: int
    position: int
    how: Literal["nothing", "changes", "difference", "whole"]


class View:
    """A view of a store."""

    def __init__(self, store: OpenStore, definition: Definition) -> None:
        self._store = store
        self.definition = definition

    def __repr__(self) -> str:
        return f"<View {self.name}: {self.definition.to}>"

    @property
    def name(self) -> str:
        """Return the name of the view."""
        return self.definition.name

    def refresh(self, *, anew: bool = False, into: Sink | None = None) -> Refreshed:
        """Bring the view to the head of the store in one change; `anew`: from nothing, whatever it has.

        `into`: a sink that takes the change instead of that of the target.

        Raises InputError if another writes it, or it is ahead of the store; UsageError if it is of another store.
        """
        known = definitions(self._store.path, self._store.config)
        if known.get(self.name) == self.definition:
            check_alone(known, self.definition)
        with into or self.sink(writing=True) as sink:
            scope, now = self._present()
            before = _read_progress(sink, anew=anew)
            position = before.basis.position if before is not None else 0
            how = "whole" if anew or before is None else self._choose_refresh(scope, before, now)
            if how == "difference":
                return self._mend(sink, scope, now, position)
            if how == "changes":
                try:
                    sink.apply(Changes(with_own_times(scope, changes_since(scope, position))), now)
                except NeedsWholeError:
                    how = "whole"
            if how == "whole":
                sink.apply(Changes(_states(scope), whole=True), now)
            return Refreshed(self.name, position, now.basis.position, how)

    def check(self) -> Difference:
        """Compare what the view holds with `replay` at its basis. Raises InputError if the log has no such basis."""
        before = self.progress()
        if before is None:
            raise InputError(f"view {self.name} holds nothing yet", f"fill it with: esctl view refresh {self.name}")
        _, now = self._present()
        self._check_same(before, now)
        if not _has_same_rules(before, now):
            raise InputError(
                f"view {self.name} was made by another mapping or projection, or before an erasure",
                f"bring it up to date with: esctl view refresh {self.name}",
            )
        then = self._store if before.basis == now.basis else self._store.on_basis(before.basis)
        with self.sink(then.session) as sink:
            if sink.progress() != before:
                raise InputError(f"view {self.name} was refreshed meanwhile", "check it again")
            states = _states(folding(then.scope(projection=before.projection)))
            return difference(then.session, sink.content(), states)

    def progress(self) -> Progress | None:
        """Return the basis that the view is at, with its store and projection; None if it holds nothing yet."""
        with self.sink() as sink:
            return sink.progress()

    def state(self) -> tuple[str, int | None]:
        """Return how the view compares with the store (`fresh`, `behind`, ...), and its position or None."""
        try:
            before = self.progress()
            if before is None:
                return "empty", None
            scope, now = self._present()
            how = self._choose_refresh(scope, before, now)
        except (InputError, UsageError) as error:
            return error.message, None
        names = {"nothing": "fresh", "changes": "behind"}
        return names.get(how, "behind" if _has_same_rules(before, now) else "of other rules"), before.basis.position

    def drop(self) -> None:
        """Remove what the view holds in its target. Raises UsageError if that is of another store."""
        with self.sink(writing=True) as sink:
            before = _read_progress(sink, anew=True)
            if before is not None and before.store != self._store.store_state.store_id:
                raise UsageError(f"{self.definition.to} holds a view of another store", "look at: esctl view list")
            sink.drop()

    def sink(self, session: Session | None = None, *, writing: bool = False) -> Sink:
        """Return the sink of the view's target, not yet entered; `session`: to be used instead of the store's."""
        target = parse_target(self.definition.to, self.name, self.definition.base, self.definition.options)
        return open_view_sink(target, session or self._store.session, writing=writing)

    def _present(self) -> tuple[Scope, Progress]:
        scope = folding(self._store.scope(projection=self.definition.projection))
        basis = self._store.basis_of(scope)
        return scope, Progress(self._store.store_state.store_id, self.definition.projection, basis)

    def _choose_refresh(
        self, scope: Scope, before: Progress, now: Progress
    ) -> Literal["nothing", "changes", "difference"]:
        self._check_same(before, now)
        if before.basis == now.basis and before == now:
            return "nothing"
        # States of entities without new events may change: if ids were found to be of another numbering since, so that
        # earlier records are read as other events; if the projection is a query of all events; or if a change concerns
        # more rows than it names.
        read_otherwise = scope.view.manifest.judged > before.basis.position or scope.view.edits is not None
        if not _has_same_rules(before, now) or read_otherwise or any(claim.projection.sql for claim in claims(scope)):
            return "difference"
        return "changes"

    def _check_same(self, before: Progress, now: Progress) -> None:
        """Raise UsageError if the target has a view of another store, InputError if one of another log."""
        if before.store != now.store:
            raise UsageError(
                f"{self.definition.to} holds a view of another store", "give the view another target with --to"
            )
        position = before.basis.position
        root = root_at(self._store.store_state, position)
        if root is None:
            raise InputError(
                f"view {self.name} is at position {position}, where this log never ended",
                f"if the log is the right one: esctl view rebuild {self.name}",
            )
        if root != before.basis.root:
            raise InputError(
                f"view {self.name} is of another log: at position {position} this one has another root",
                f"if this log is the right one: esctl view rebuild {self.name}",
            )

    def _mend(self, sink: Sink, scope: Scope, now: Progress, position: int) -> Refreshed:
        found = difference(scope.session, sink.content(), _states(scope))
        try:
            sink.apply(Changes(found.changes), now)
        except NeedsWholeError:
            sink.apply(Changes(_states(scope), whole=True), now)
            return Refreshed(self.name, position, now.basis.position, "whole")
        return Refreshed(self.name, position, now.basis.position, "difference")


def _states(scope: Scope) -> Answer:
    """Return all states, as `replay` shows them."""
    return with_own_times(scope, replay(scope))


def _read_progress(sink: Sink, *, anew: bool) -> Progress | None:
    """Return the progress of a target; None if it is empty, or cannot be read and is to be made anew or dropped."""
    try:
        return sink.progress()
    except InputError:
        if anew:
            return None
        raise


def _has_same_rules(before: Progress, now: Progress) -> bool:
    """Return whether two bases differ only in how far the log went."""
    moved = replace(before.basis, position=now.basis.position, root=now.basis.root)
    return moved == now.basis and before.projection == now.projection
