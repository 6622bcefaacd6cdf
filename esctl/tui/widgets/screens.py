"""Screens over the browser: results, all of an event, the keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen

from esctl.output.text import visible
from esctl.tui.look import Part, plain, wrap
from esctl.tui.results import Results
from esctl.tui.values import ResultRow
from esctl.tui.widgets.panes import ResultRows, TextRows
from esctl.tui.widgets.rows import MARK, Bar, NoRows, Rows

KEYS = (
    ("→ ←", "the next event, the one before (also in the list of events: ↓ ↑)"),
    ("Tab", "go round: entities, state, events"),
    ("g", "go to a point: a time, a date (its end), @123, seq:9, version:5, id:evt-9, now, '2h ago'"),
    ("m", "mark A, then B: what differs between them; Esc takes the marks back"),
    ("Enter", "on a field: the event that made it so; on a difference: the last event that did it"),
    ("n N", "the next change of the chosen field, and the one before"),
    ("/", "entities: only names that hold a text, or match it (* and ?); events: the next that has it; state: a field"),
    ("s", "order the entities by name, events, first, last"),
    ("K", "one kind of entities after another"),
    ("w W", "when a condition on the state held (balance < 0): of this entity, of all"),
    ("t", "the events that are tied to this one"),
    ("v", "all of this event; of a field in the state, its whole value"),
    ("k", "by when events happened, or by when their records came (what was known)"),
    ("f", "follow the log as it grows; the cursor stays"),
    ("y", "copy the command line that gives what is shown"),
    ("Home End", "the first and the last row; Page Up and Page Down too"),
    ("mouse", "click a row, twice to enter it; click the time bar to go there"),
    ("? q", "these keys; quit"),
)


_LONGEST = 1_000_000
"""The most characters of one text that are shown."""


class Overlay(ModalScreen[None]):
    """A list over the browser, with lines above and below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", show=False),
        Binding("y", "copy", show=False),
    ]

    def __init__(self, title: str, hint: str, command: str = "") -> None:
        super().__init__()
        self._title, self._hint, self._command = title, hint, command

    def compose(self) -> ComposeResult:
        """Yield the widgets."""
        with Vertical(id="overlay"):
            yield Bar("overlay-title")
            yield Bar("overlay-heads")
            yield Rows("overlay-rows")
            yield Bar("overlay-hint")

    def on_mount(self) -> None:
        """Fill in."""
        self.query_one("#overlay-title", Bar).show([(plain(self._title), "bold reverse")])
        self.query_one("#overlay-hint", Bar).show([(self._hint, "dim")])
        self.query_one(Rows).focus()
        self.fill()

    def fill(self) -> None:
        """Show the rows."""

    async def action_dismiss(self, result: None = None) -> None:
        """Close."""
        self.dismiss(None)

    def action_copy(self) -> None:
        """Copy the command line."""
        if self._command:
            self.app.copy_to_clipboard(self._command)
            self.query_one("#overlay-hint", Bar).show([("copied: ", "bold"), (plain(self._command), "")])


class ResultsScreen(Overlay):
    """A list of results: Enter goes to the event; near the end, more rows are read."""

    class Followed(Message):
        """A result was entered."""

        def __init__(self, found: ResultRow) -> None:
            super().__init__()
            self.found = found

    class Wanted(Message):
        """More rows are wanted."""

        def __init__(self, results: Results) -> None:
            super().__init__()
            self.results = results

    def __init__(self, results: Results) -> None:
        super().__init__(results.title, "Enter: go there · y: copy the command · Esc: back", results.command)
        self.results = results

    def fill(self) -> None:
        """Show the rows that are known."""
        rows = self.query_one(Rows)
        found = ResultRows(self.results.heads, self.results.rows)
        more = "" if self.results.ended else " and more"
        count = f"{len(self.results.rows):,}{more}"
        self.query_one("#overlay-title", Bar).show([(f"{plain(self._title)} · {count}", "bold reverse")])
        self.query_one("#overlay-heads", Bar).show([("  ", ""), *found.heads()])
        rows.show(found if len(found) else NoRows("there is none"), max(rows.cursor, 0))

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Ask for more rows near the end."""
        message.stop()
        if message.index >= len(self.results.rows) - 20 and not self.results.ended:
            self.post_message(self.Wanted(self.results))

    def on_rows_entered(self, message: Rows.Entered) -> None:
        """Go to a result."""
        message.stop()
        self.dismiss(None)
        self.app.post_message(self.Followed(self.results.rows[message.index]))


class TextScreen(Overlay):
    """Names and texts, each over as many lines as it takes."""

    def __init__(self, title: str, rows: list[tuple[str, str]], command: str = "") -> None:
        copying = " · y: copy the command" if command else ""
        super().__init__(title, f"↑ ↓: scroll{copying} · Esc: back", command)
        self._rows = rows

    def fill(self) -> None:
        """Wrap the texts to the width there is."""
        width = max(self.query_one(Rows).size.width - len(MARK) - 1, 20)  # less the scroll bar
        names = max(len(plain(name)) for name, _ in self._rows) if self._rows else 0
        names = min(names, width // 3)
        lines: list[Part] = []
        for name, text in self._rows:
            for number, line in enumerate(wrap(plain_all(text), width - names - 2)):
                lines.append((f"{plain(name) if not number else '':{names}}  {line}", ""))
        self.query_one(Rows).show(TextRows(lines), 0)

    def on_resize(self) -> None:
        """Wrap the texts again."""
        self.fill()


def plain_all(text: str) -> str:
    """Return text from a log in which no character acts; a very long one is cut, and says by how much."""
    more = f"… ({len(text) - _LONGEST:,} characters more)" if len(text) > _LONGEST else ""
    return visible(text[:_LONGEST]) + more
