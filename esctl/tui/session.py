"""What each key does in a session. Knows no widgets."""

from __future__ import annotations

from collections.abc import Callable

from esctl.api import Relation, Store
from esctl.tui import questions
from esctl.tui.answers import Answers
from esctl.tui.entity_list import SORTS
from esctl.tui.results import Results
from esctl.tui.values import NO_EVENT, ResultRow, StateAt


class Session(Answers):
    """A session over a store: what it knows, and what the keys do."""

    def step_by(self, direction: int) -> None:
        """Step to the event before (-1) or after (1)."""
        self.step(self.walk.step_beside(direction))

    def go(self, text: str) -> None:
        """Put the cursor on a point as `--at` takes it (`--known-at`, by the clock of what was known)."""
        steps = self.walk.steps
        if steps is None:
            self._say("there is no entity to go in")
            return

        def find_state(store: Store) -> StateAt:
            return questions.ask_state(
                store, self.ground, steps, questions.find_spot(store, self.ground, steps, steps.clock, text)
            )

        self.asker.drop("view")
        self.asker.ask("settle", find_state)

    def turn(self) -> None:
        """Switch between the clocks."""
        walk = self.walk
        if walk.steps is not None:
            walk.turn(walk.steps.trail)
            self._ask_state(walk.spot)
            order = "by when records came: the state is what was known then" if walk.clock == "known" else (
                "by when events happened"
            )  # fmt: skip
            self._say(order)

    def mark(self) -> None:
        """Mark the cursor; two marks are compared."""
        walk = self.walk
        if walk.steps is None or walk.entity is None:
            return
        marks = walk.mark()
        self._redraw()
        if len(marks) < 2:
            self._say(f"A is {marks[0].spec}: go on, and mark B")
            return
        self._say("Esc: back to the state")
        entity = walk.entity
        self.asker.ask(
            "diff", lambda store: (marks, questions.differences(store, self.ground, entity, marks[0], marks[1]))
        )

    def escape(self) -> None:
        """Remove the marks and leave the difference; without marks, stop the questions that run."""
        if self.walk.unmark():
            self._redraw()
        elif self.asker.busy:
            self.asker.cancel()
            if self.walk.view is None:
                self.walk.view = StateAt(self.walk.spot, missing="stopped")
            self._say("stopped")
            self._redraw()

    def blame(self, field: str) -> None:
        """Go to the event that set a field."""
        entity, spot = self.walk.entity, self.walk.spot
        if entity is not None and self.walk.steps is not None:
            self.walk.field = field
            self.asker.ask(
                "blame", lambda store: (field, questions.find_blamed_event(store, self.ground, entity, field, spot))
            )

    def change(self, field: str, direction: int) -> None:
        """Go to the next (1) or the previous (-1) change of a field."""
        steps, walk = self.walk.steps, self.walk
        if steps is None or not field:
            self._say("choose a field of the state first")
            return
        walk.field = field
        begun = walk.spot.step + (1 if direction < 0 and walk.step_beside(-1) == walk.spot.step else 0)
        if walk.clock == "known":
            self.asker.ask(
                "change",
                lambda store: (
                    field, direction,
                    questions.next_known_change(store, self.ground, steps, field, begun, direction),
                ),
            )  # fmt: skip
        else:
            self._go_to_change(field, direction, steps.next_change(field, begun, direction))

    def find(self, text: str) -> None:
        """Go to the next event that contains a text."""
        next_step = self.walk.steps.next_match(text, self.walk.spot.step) if self.walk.steps is not None else None
        if next_step is None:
            self._say(f"no event has {text!r} in its type, actor, id or changes")
        else:
            self.step(next_step)

    def when(self, predicate: str, everywhere: bool) -> None:
        """List the intervals in which a condition held, of the entity or of all in the list."""
        entity = self.walk.entity
        names = self.ground.entities if everywhere or entity is None else (entity.name,)
        known = self.walk.spot.spec if self.walk.clock == "known" and not everywhere else ""
        results = Results(
            f"when {predicate}", ("start", "end", "entity", "type", "actor"),
            self.lines.when(predicate, names, known or self.ground.known_at), questions.moments_page,
        )  # fmt: skip
        self._list_results(results, lambda store: questions.moments(store, self.ground, predicate, names, known))

    def trace(self) -> None:
        """List the events that are tied to the one at the cursor."""
        position = self.walk.position
        if position is None:
            self._say("there is no event at the cursor")
            return
        heads = ("at", "time", "tree", "entity", "actor", "link")
        results = Results(f"trace @{position}", heads, self.lines.trace(f"@{position}"), questions.trace_page)
        self._list_results(results, lambda store: questions.trace_events(store, self.ground, position))

    def _list_results(self, results: Results, ask: Callable[[Store], Relation]) -> None:
        def first_page(store: Store) -> tuple[Results, Relation, list[ResultRow]]:
            relation = ask(store)
            return results, relation, results.page(relation, 0)

        self._say(f"asking: {results.command}")
        self.asker.ask("results", first_page)

    def more(self, results: Results) -> None:
        """Read the next page of results."""
        relation = results.relation
        if relation is not None and not results.ended:
            count = len(results.rows)
            self.asker.ask("results", lambda store: (results, relation, results.page(relation, count)))

    def record(self) -> None:
        """Show all of the event at the cursor."""
        steps, spot = self.walk.steps, self.walk.spot
        if steps is not None and spot.step != NO_EVENT:
            event = steps.event(spot.step)
            self.asker.ask("record", lambda store: (event.position, questions.record(store, event)))

    def next_sort(self) -> None:
        """Sort the list by the next of `SORTS`."""
        self.arrange(sort=SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)])

    def next_kind(self) -> None:
        """Show only the next kind, or all kinds after the last."""
        kinds = ["", *self.all.kinds()]
        self.arrange(kind=kinds[(kinds.index(self.kind) + 1) % len(kinds)] if self.kind in kinds else "")

    def follow(self) -> None:
        """Follow the log as it grows, or stop."""
        self.following = not self.following
        self._say("following the log; the cursor stays" if self.following else "no longer following")
        self._redraw()

    def look(self) -> None:
        """Ask whether the log has grown, if it is followed."""
        if self.following and not self.busy:
            self.asker.ask("head", lambda store: store.reopened().store_state.head)
