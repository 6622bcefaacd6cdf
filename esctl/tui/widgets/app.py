"""The application: what each key and the mouse do."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Input

from esctl.tui.widgets.rows import Bar, Rows
from esctl.tui.widgets.screens import KEYS, ResultsScreen, TextScreen
from esctl.tui.widgets.shown import Panes
from esctl.tui.widgets.timebar import TimeBar

PROMPTS = {
    "go": "go to",
    "when": "when does hold",
    "when-all": "when does hold, of all entities",
    "entities": "only entities with",
    "trail": "find in events",
    "state": "find a field",
}


class Browser(Panes):
    """The browser, which turns keys and clicks into calls of its session."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "step_by(1)", show=False),
        Binding("left", "step_by(-1)", show=False),
        Binding("g", "prompt('go')", show=False),
        Binding("m", "mark", show=False),
        Binding("n", "change(1)", show=False),
        Binding("N", "change(-1)", show=False),
        Binding("slash", "search", show=False),
        Binding("w", "prompt('when')", show=False),
        Binding("W", "prompt('when-all')", show=False),
        Binding("t", "trace", show=False),
        Binding("v", "view", show=False),
        Binding("k", "turn", show=False),
        Binding("f", "follow", show=False),
        Binding("s", "sort", show=False),
        Binding("K", "kind", show=False),
        Binding("y", "copy", show=False),
        Binding("question_mark", "keys", show=False),
        Binding("escape", "leave", show=False),
        Binding("q,ctrl+c", "quit", show=False),
    ]

    _open_prompt = ""
    """The prompt that is open."""
    copied = ""
    """The command line that was copied last."""

    # Rows and the time bar

    @on(Rows.Moved, "#entities")
    def entity_moved(self, message: Rows.Moved) -> None:
        """Show the entity that is chosen."""
        if message.index < len(self.session.entities):
            self.session.choose(self.session.entities.entity(message.index))

    @on(Rows.Entered, "#entities")
    def entity_entered(self) -> None:
        """Go to the events of the entity."""
        self.rows("trail").focus()

    @on(Rows.Moved, "#trail")
    def event_moved(self, message: Rows.Moved) -> None:
        """Put the cursor on an event."""
        self.session.step(message.index)

    @on(Rows.Entered, "#trail")
    def event_entered(self) -> None:
        """Show all of the event."""
        self.session.record()

    @on(Rows.Moved, "#state")
    def field_moved(self, message: Rows.Moved) -> None:
        """Remember the field that is chosen."""
        self.session.walk.field = self._field()

    @on(Rows.Entered, "#state")
    def field_entered(self, message: Rows.Entered) -> None:
        """Go to the event that set a field, or the last that contributed to a difference."""
        walk = self.session.walk
        if walk.differences is None:
            self.session.blame(self._field())
        elif walk.differences[message.index].positions:
            self.session.step(walk.steps.step_of(walk.differences[message.index].positions[-1]) if walk.steps else 0)

    @on(TimeBar.Picked)
    def time_picked(self, message: TimeBar.Picked) -> None:
        """Go to the event nearest to where the time bar was clicked."""
        self.session.step(message.step)

    def _field(self) -> str:
        """Return the name of the chosen field."""
        walk, at = self.session.walk, self.rows("state").cursor
        listed = walk.differences if walk.differences is not None else walk.view.fields if walk.view else ()
        if not 0 <= at < len(listed):
            return ""
        row = listed[at]
        return row.field if hasattr(row, "field") else row.name

    @on(ResultsScreen.Followed)
    def followed(self, message: ResultsScreen.Followed) -> None:
        """Go to the event of a result."""
        if message.found.entity is None:
            self.say("this event is of no entity, so there is no state to show")
        else:
            self.session.choose(message.found.entity, message.found.position)
            self.rows("trail").focus()

    @on(ResultsScreen.Wanted)
    def wanted(self, message: ResultsScreen.Wanted) -> None:
        """Read the next page of results."""
        self.session.more(message.results)

    # Keys

    def action_step_by(self, direction: int) -> None:
        """Step to the next event, or back."""
        self.session.step_by(direction)

    def action_mark(self) -> None:
        """Mark a point."""
        self.session.mark()

    def action_change(self, direction: int) -> None:
        """Go to another change of the field."""
        self.session.change(self._field() or self.session.walk.field, direction)

    def action_trace(self) -> None:
        """Show what is tied to the event."""
        self.session.trace()

    def action_turn(self) -> None:
        """Switch the clock."""
        self.session.turn()

    def action_follow(self) -> None:
        """Follow the log, or stop."""
        self.session.follow()

    def action_sort(self) -> None:
        """Sort the entities by the next of `SORTS`."""
        self.session.next_sort()

    def action_kind(self) -> None:
        """Show the next kind of entities."""
        self.session.next_kind()

    def action_leave(self) -> None:
        """Close the prompt, or leave what the session shows."""
        if not self._open_prompt:
            self.session.escape()
            return
        if self._open_prompt == "entities":
            self.session.arrange(text="")
        self.close_prompt()

    def action_keys(self) -> None:
        """List the keys."""
        self.push_screen(TextScreen("keys", list(KEYS)))

    def action_view(self) -> None:
        """Show all of the event, or the whole value of a field."""
        view = self.session.walk.view
        if self.pane() != "state" or view is None or not view.fields:
            self.session.record()
            return
        field = view.fields[max(self.rows("state").cursor, 0)]
        rows = [
            (name, value) for name, value in (("value", field.value), ("before", field.before)) if value is not None
        ]
        self.push_screen(TextScreen(field.name, rows))

    def action_copy(self) -> None:
        """Copy the command line that gives what is shown."""
        self.copied = self.command()
        self.copy_to_clipboard(self.copied)
        self.say(f"copied: {self.copied}" if self.copied else "there is nothing to copy")

    def command(self) -> str:
        """Return the command line of the pane that has the focus."""
        session, walk = self.session, self.session.walk
        listed = session.text or session.kind or session.sort != "name"
        if walk.entity is None or (self.pane() == "entities" and listed):
            return session.lines.entities(session.text, session.kind, session.sort)
        if walk.differences is not None:
            return session.lines.diff(walk.entity, *walk.marks)
        if self.pane() == "trail":
            return session.lines.audit(walk.entity, walk.spot)
        return session.lines.replay(walk.entity, walk.spot)

    # The prompt

    def action_search(self) -> None:
        """Open the prompt for a search in the pane that has the focus."""
        self.action_prompt(self.pane())

    def action_prompt(self, name: str) -> None:
        """Open a prompt."""
        self._open_prompt = name
        prompt = self.part("prompt", Input)
        self.part("status", Bar).display = False
        prompt.placeholder = PROMPTS[name]
        prompt.value = self.session.text if name == "entities" else ""
        prompt.display = True
        prompt.focus()

    @on(Input.Changed, "#prompt")
    def typed(self, message: Input.Changed) -> None:
        """Filter the entities while the user types."""
        if self._open_prompt == "entities" and message.input.display:
            self.session.arrange(text=message.value)

    def close_prompt(self) -> None:
        """Put the line of messages back in place of the prompt."""
        prompt = self.part("prompt", Input)
        if prompt.display:
            self._open_prompt = ""
            prompt.display = False
            self.part("status", Bar).display = True
            self.rows(self._pane).focus()

    @on(Input.Submitted, "#prompt")
    def submitted(self, message: Input.Submitted) -> None:
        """Carry out what was typed."""
        prompt, text = self._open_prompt, message.value
        self.close_prompt()
        if text.strip():
            self._answer_prompt(prompt, text)

    def _answer_prompt(self, prompt: str, text: str) -> None:
        if prompt == "entities" and len(self.session.entities):
            if self.rows("entities").cursor < 0:
                self.session.choose(self.session.entities.entity(0))
                self.show_entities()
        elif prompt == "go":
            self.session.go(text)
        elif prompt in ("when", "when-all"):
            self.session.when(text, prompt == "when-all")
        elif prompt == "trail":
            self.session.find(text)
        elif prompt == "state":
            self._find_field(text)

    def _find_field(self, text: str) -> None:
        view, rows = self.session.walk.view, self.rows("state")
        names = [field.name for field in view.fields] if view is not None else []
        for ahead in range(1, len(names) + 1):
            at = (rows.cursor + ahead) % len(names)
            if text.casefold() in names[at].casefold():
                self.session.walk.field = names[at]
                self.show_walk()
                return
        self.say(f"no field has {text!r} in its name")
