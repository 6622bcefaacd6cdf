"""What a session knows, and how it takes answers. Knows no widgets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, Protocol

from esctl.api import Relation, Store
from esctl.errors import EsctlError
from esctl.tui import questions
from esctl.tui.asker import Answered, Asker
from esctl.tui.entity_list import Entities, EntityList, FirstEntities, ListedEntity
from esctl.tui.lines import Lines
from esctl.tui.loading import Loaded, load, reload
from esctl.tui.results import Results
from esctl.tui.values import NO_EVENT, Difference, Entity, Ground, ResultRow, Sort, Spot, StateAt
from esctl.tui.walk import Walk


class Screen(Protocol):
    """What shows a session."""

    def show_entities(self) -> None:
        """Redraw the list of entities."""

    def show_walk(self) -> None:
        """Redraw entity, state, trail and time bar."""

    def show_results(self, results: Results) -> None:
        """Show a list of results, or more of the one that is shown."""

    def show_record(self, rows: list[tuple[str, str]], command: str) -> None:
        """Show all of one event."""

    def say(self, text: str) -> None:
        """Show a message in one line."""


class Answers:
    """What a session knows. `asker` answers questions about one entity, `lister` those about all, at the same time."""

    def __init__(self, store: Store, ground: Ground, options: tuple[str, ...] = (), at: str = "") -> None:
        self.ground, self.lines = ground, Lines(options, ground)
        self.zone_name = store.tz
        self.walk = Walk(pinned=at)
        self.all: Entities = FirstEntities()
        self.entities: Entities = self.all
        self.text, self.kind = "", ""
        self.sort: Sort = "name"
        self.following, self._listing = False, False
        self.head = store.store_state.head
        self.standing = ""
        self.screen: Screen | None = None
        self.problem: Exception | None = None
        self._early: list[Answered] = []
        self._attaching = Lock()
        self.deliver: Callable[[Answered], object] = self._early.append
        self.asker = Asker(store, self._tell)
        second_store = store.reopened()
        second_store.store_state = store.store_state
        self.lister = Asker(second_store, self._tell)
        self._begin()

    def _begin(self) -> None:
        names = self.ground.entities
        self.asker.ask("first", lambda store: questions.first_entities(store, names, self.ground.known_at))

    def _list(self) -> None:
        self._listing = True
        names, known = self.ground.entities, self.ground.known_at
        self.lister.ask("entities", lambda store: store.entities(*names, known_at=known).arrow())
        self.lister.ask("standing", questions.standing)

    def _tell(self, answered: Answered) -> None:
        with self._attaching:
            self.deliver(answered)

    def attach(self, screen: Screen, deliver: Callable[[Answered], object]) -> None:
        """Let a screen show the session; `deliver` brings answers, from any thread, to `take`."""
        self.screen = screen
        with self._attaching:
            self.deliver = deliver
            for answered in self._early:
                deliver(answered)
            self._early.clear()

    @property
    def busy(self) -> bool:
        """Whether a question has no answer yet."""
        return self.asker.busy or self.lister.busy

    def end(self) -> None:
        """Stop asking."""
        self.asker.end()
        self.lister.end()

    def choose(self, entity: Entity, position: int | None = None) -> None:
        """Show an entity: at the event at a position, else at the point that was typed, else at its last event."""
        self.walk.choose(entity)
        if position is not None:
            self.walk.pinned = ""
        self.asker.drop("view", "settle", "blame", "change", "diff", "record")
        self.asker.ask("walk", partial(load, self.ground, entity, self.walk.clock, self.walk.pinned, position))
        self._redraw()

    def step(self, step: int) -> None:
        """Put the cursor on a step."""
        spot = self.walk.to_step(step)
        if spot is not None:
            self._say("")
            self._ask_state(spot)

    def arrange(self, *, text: str | None = None, kind: str | None = None, sort: Sort | None = None) -> None:
        """Filter and order the list of entities."""
        self.text = self.text if text is None else text
        self.kind = self.kind if kind is None else kind
        self.sort = self.sort if sort is None else sort
        self.entities = self.all.arrange(self.text, self.kind, self.sort)
        if self.screen is not None:
            self.screen.show_entities()

    # How answers are taken

    def take(self, answered: Answered) -> None:
        """Take an answer that is still wanted, or show its problem.

        Raises a problem that is neither an EsctlError nor an OSError.
        """
        if not answered.is_wanted:  # another entity was chosen since it was sent to the screen
            return
        problem = answered.problem
        if problem is not None:
            if not isinstance(problem, EsctlError | OSError):
                raise problem
            self._show_problem(answered.job.name, problem)
            return
        getattr(self, f"_take_{answered.job.name}")(answered.value)

    def _show_problem(self, name: str, problem: EsctlError | OSError) -> None:
        text = (
            f"{problem.message}; {problem.hint}" if isinstance(problem, EsctlError) and problem.hint else str(problem)
        )
        self._say(f"error: {text}")
        if name in ("first", "walk") and not self._listing:
            self._list()
        if name in ("walk", "view"):
            self.walk.view = StateAt(self.walk.spot, missing=f"error: {text}")
            self._redraw()

    def _ask_state(self, spot: Spot) -> None:
        steps = self.walk.steps
        if steps is not None:
            self.asker.drop("settle")
            self.asker.ask("view", lambda store: questions.ask_state(store, self.ground, steps, spot))
            self._redraw()

    def _take_first(self, rows: list[ListedEntity]) -> None:
        if not self.all.whole:
            self._set_entities(FirstEntities(rows))
        if not rows:
            self._list()

    def _take_entities(self, table: Any) -> None:
        self._set_entities(EntityList(table))

    def _set_entities(self, found: Entities) -> None:
        self.all = found
        self.arrange()
        if self.walk.entity is None and len(self.entities):
            self.choose(self.entities.entity(0))

    def _take_standing(self, text: str) -> None:
        self.standing = text
        self._redraw()

    def _take_walk(self, loaded: Loaded) -> None:
        walk = self.walk
        if loaded.steps.trail.entity != walk.entity or loaded.steps.clock != walk.clock:
            return
        self.head = loaded.head
        if not self._listing:  # slow questions are asked once there is something to see
            self._list()
        moved = loaded.kept is not None and walk.spot != loaded.kept
        walk.take(loaded.steps, walk.spot_in(loaded.steps) if moved else loaded.spot, loaded.view)
        if moved:  # the cursor was moved while the trail was loaded again
            self._ask_state(walk.spot)
        if loaded.note:
            self._say(loaded.note)
        self._redraw()

    def _take_view(self, view: StateAt) -> None:
        self.walk.view = view
        self._redraw()

    def _take_settle(self, view: StateAt) -> None:
        self.walk.spot, self.walk.view, self.walk.pinned = view.spot, view, view.spot.spec
        self._redraw()

    def _take_diff(self, found: tuple[tuple[Spot, ...], list[Difference]]) -> None:
        marks, rows = found
        if marks == self.walk.marks:
            self.walk.differences = tuple(rows)
            self._redraw()

    def _take_blame(self, found: tuple[str, int | None]) -> None:
        field, position = found
        step = self.walk.steps.step_of(position) if self.walk.steps is not None else NO_EVENT
        if step == NO_EVENT:
            self._say(f"no event made {field}")
        else:
            self.step(step)
            self._say(f"{field} is as it is since @{position}")

    def _take_change(self, found: tuple[str, int, int | None]) -> None:
        self._go_to_change(*found)

    def _go_to_change(self, field: str, direction: int, step: int | None) -> None:
        if step is None:
            self._say(f"no {'later' if direction > 0 else 'earlier'} event changes {field}")
        else:
            self.step(step)

    def _take_results(self, found: tuple[Results, Relation, list[ResultRow]]) -> None:
        results, relation, rows = found
        results.relation = relation
        results.rows += rows
        results.ended = len(rows) < questions.PAGE
        if self.screen is not None:
            self.screen.show_results(results)

    def _take_record(self, found: tuple[int, list[tuple[str, str]]]) -> None:
        if self.screen is not None:
            self.screen.show_record(found[1], self.lines.show(found[0]))

    def _take_head(self, head: int) -> None:
        entity, walk = self.walk.entity, self.walk
        if head == self.head:
            return
        self._say(f"{head - self.head:,} more records")
        if entity is None:
            self.head = head
        else:
            self.asker.ask("walk", partial(reload, self.ground, entity, walk))
        self.lister.ask("refresh", lambda store: store.refresh())
        self._list()

    def _take_refresh(self, _: None) -> None:
        """Show nothing."""

    def _say(self, text: str) -> None:
        if self.screen is not None:
            self.screen.say(text)

    def _redraw(self) -> None:
        if self.screen is not None:
            self.screen.show_walk()
