"""What is shown where: the panes of the browser, over a session."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import TypeVar

from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from esctl.engine.zones import find_zone
from esctl.tui.asker import Answered
from esctl.tui.look import Part, moment, plain, shorten
from esctl.tui.results import Results
from esctl.tui.session import Session
from esctl.tui.values import StateAt
from esctl.tui.widgets.panes import DifferenceRows, EntityRows, FieldRows, TrailRows
from esctl.tui.widgets.rows import Bar, NoRows, Rows, Source
from esctl.tui.widgets.screens import ResultsScreen, TextScreen
from esctl.tui.widgets.style import CSS
from esctl.tui.widgets.timebar import TimeBar

W = TypeVar("W", bound=Widget)
FOLLOW_SECONDS = 0.5
_REST_OF_TOP_LINE = 55
"""Cells of the top line that a long name leaves for the rest."""
NARROW = 100
"""Columns of a terminal below which the list of entities makes room while another pane has the focus."""
FEW_HINTS = "→ step  g go  m mark  ⏎ blame  n change  / find  w when  k clock  y copy  ? keys"
HINTS = "←→ step  g go  m mark  ⏎ blame  nN change  / find  w when  t trace  v event  k clock  f follow  y copy  ? keys"


class Arrived(Message):
    """An answer came."""

    def __init__(self, answered: Answered) -> None:
        super().__init__()
        self.answered = answered


class Panes(App[None]):
    """The panes."""

    CSS = CSS
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    TITLE = "esctl browse"

    def __init__(self, session: Session, is_asked_to_stop: Callable[[], bool] = lambda: False) -> None:
        super().__init__(ansi_color=True)  # here, as NO_COLOR is applied before there is a theme
        self.session = session
        self._is_asked_to_stop = is_asked_to_stop
        self.zone: tzinfo = find_zone(session.zone_name)
        self.theme = "ansi-dark"
        self.status_text = ""
        self.failure: Exception | None = None
        self._pane = "entities"

    def compose(self) -> ComposeResult:
        """Yield the widgets."""
        yield Bar("head")
        with Horizontal(id="main"):
            with Vertical(id="left"):
                yield Bar("entities-title")
                yield Rows("entities")
            with Vertical(id="right"):
                yield Bar("state-title")
                yield Rows("state")
                yield Bar("trail-title")
                yield Rows("trail")
        yield TimeBar("bar")
        yield Bar("status")
        yield Input(id="prompt", compact=True, select_on_focus=False)
        yield Bar("keys")

    def on_mount(self) -> None:
        """Attach the session, and show it."""
        self.part("prompt", Input).display = False
        self.rows("entities").focus()
        self.session.attach(self, lambda answered: self.post_message(Arrived(answered)))
        self.set_interval(FOLLOW_SECONDS, self._look)
        self.show_entities()
        self.show_walk()

    def _handle_exception(self, error: Exception) -> None:
        """Keep the error for the command to report: Textual would print it with whatever data it holds."""
        self.failure = error
        super()._handle_exception(error)
        self._exit_renderables.clear()

    def _look(self) -> None:
        """Exit if asked to stop, and ask whether the log has grown."""
        if self._is_asked_to_stop():
            self.exit()
        self.session.look()

    def on_unmount(self) -> None:
        """End the session."""
        self.session.end()

    def on_arrived(self, message: Arrived) -> None:
        """Take an answer."""
        self.session.take(message.answered)

    def on_resize(self) -> None:
        """Fit the panes to the width."""
        self._fit()

    def _fit(self) -> None:
        narrow = self.size.width < NARROW
        self.part("left", Vertical).display = not narrow or self._pane == "entities"
        self.part("keys", Bar).show([(FEW_HINTS if narrow else HINTS, "dim")])

    def part(self, name: str, kind: type[W]) -> W:
        """Return a part of the browser, even if another screen is over it."""
        return self.screen_stack[0].query_one(f"#{name}", kind)

    def rows(self, name: str) -> Rows:
        """Return the list of a pane."""
        return self.part(name, Rows)

    def pane(self) -> str:
        """Return the name of the pane that has the focus."""
        focused = self.screen_stack[0].focused
        return focused.id or "" if isinstance(focused, Rows) else self._pane

    def close_prompt(self) -> None:
        """Close the prompt, if it is open."""

    # What is shown

    def show_entities(self) -> None:
        """Show the list of entities."""
        session, entities = self.session, self.session.entities
        source: Source = EntityRows(entities, session.sort, self.zone)
        if not len(entities):
            matched = session.all.total or session.ground.entities
            why = "no entity matches" if matched else "no entities yet"
            source = NoRows(why if session.all.whole else "asking…")
        at = entities.index_of(session.walk.entity)
        self.rows("entities").show(source, 0 if at is None and not len(entities) else -1 if at is None else at)
        count = f"{len(entities):,}" if session.all.whole else f"{len(entities):,}…"
        words = [count, *([session.kind] if session.kind else []), *([f"/{session.text}"] if session.text else [])]
        words += [f"by {session.sort}"] if session.sort != "name" else []
        self._show_title("entities", f"entities {plain(' '.join(words))}")

    def show_walk(self) -> None:
        """Show entity, state, trail and time bar."""
        walk = self.session.walk
        self._show_head()
        self._show_state()
        if walk.steps is None:
            asked = "asking…" if walk.entity is not None and self.session.busy else "choose an entity"
            self.rows("trail").show(NoRows(asked), -1)
            self._show_title("trail", "events")
        else:
            source = TrailRows(walk.steps, walk.spot, walk.marks, walk.current, self.zone)
            self.rows("trail").show(source if len(source) else NoRows("no events"), walk.spot.step)
            order = "in order of arrival" if walk.clock == "known" else "in order of time"
            self._show_title("trail", f"{len(source):,} event{'s' * (len(source) != 1)} {order}")
        self.part("bar", TimeBar).place(walk.steps, walk.spot, walk.marks, self.zone)

    def _show_head(self) -> None:
        session, walk = self.session, self.session.walk
        room = max(self.size.width - _REST_OF_TOP_LINE, 20)
        name = shorten(plain(walk.entity.name), room) if walk.entity is not None else "no entity"
        clock = "as known at " if walk.clock == "known" else "at "
        parts: list[Part] = [(name, "bold"), ("  ", ""), (clock, "dim"), (plain(walk.spot.spec) or "…", "bold")]
        if walk.steps is not None and walk.spot.step >= 0:
            event = walk.steps.event(walk.spot.step)
            time = moment(event.recorded if walk.clock == "known" else event.time, self.zone, short=walk.spot.free)
            zone = "" if time == "undated" else f" {session.zone_name}"
            parts.append((f"  {'last event ' if walk.spot.free else ''}{time}{zone}", ""))
        parts += [(f"  {each}", "dim") for each in (f"head {session.head:,}", session.standing) if each]
        parts += [("  following", "bold green")] if session.following else []
        self.part("head", Bar).show(parts)

    def _show_state(self) -> None:
        walk, rows = self.session.walk, self.rows("state")
        if walk.differences is not None and len(walk.marks) == 2:
            one, other = walk.marks
            source: Source = DifferenceRows(walk.differences)
            self._show_title("state", f"difference A {one.spec} → B {other.spec}")
            rows.show(source if len(source) else NoRows("nothing differs"), max(rows.cursor, 0))
            return
        view = walk.view
        version = f" version {view.version:,}" if view is not None and view.version is not None else ""
        self._show_title("state", f"state{version}" + ("" if walk.current is not None or view is None else " …"))
        if view is None or view.missing or not view.fields:
            reason = (
                "" if walk.entity is None else "asking…" if view is None else plain(view.missing or "an empty state")
            )
            rows.show(NoRows(reason), 0)
            return
        self._show_fields(rows, view)

    def _show_fields(self, rows: Rows, view: StateAt) -> None:
        names = [field.name for field in view.fields]
        field = self.session.walk.field
        rows.show(FieldRows(view), names.index(field) if field in names else min(max(rows.cursor, 0), len(names) - 1))

    def _show_title(self, pane: str, text: str) -> None:
        self.part(f"{pane}-title", Bar).show([(text, "bold underline" if self.pane() == pane else "underline")])

    def on_descendant_focus(self) -> None:
        """Show which pane has the focus."""
        if not isinstance(self.focused, Rows):
            return
        self.close_prompt()
        self._pane = self.pane()
        self._fit()
        self.show_entities()
        self.show_walk()

    def show_results(self, results: Results) -> None:
        """Show results, or more of those that are shown."""
        self.say("")
        if isinstance(self.screen, ResultsScreen) and self.screen.results is results:
            self.screen.fill()
        else:
            self.push_screen(ResultsScreen(results))

    def show_record(self, rows: list[tuple[str, str]], command: str) -> None:
        """Show all of an event."""
        self.push_screen(TextScreen("event", rows, command))

    def say(self, text: str) -> None:
        """Show a message in the line above the keys."""
        self.status_text = text
        self.part("status", Bar).show([(plain(text), "bold")])
