"""A list of any length, of which only the lines that are seen are drawn."""

from __future__ import annotations

from typing import ClassVar, Protocol

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from esctl.tui.look import Part, clip

MARK = "▶ "
"""Marks the chosen row, so that no colour is needed to see it."""


class Source(Protocol):
    """The rows of a list."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def line(self, index: int, width: int) -> list[Part]:
        """Return the parts of a row, for a width in cells."""


class NoRows:
    """No rows, and why."""

    def __init__(self, text: str = "") -> None:
        self.text = text

    def __len__(self) -> int:
        return 0

    def line(self, index: int, width: int) -> list[Part]:
        """Return the reason."""
        return [(self.text, "dim italic")]


class Rows(ScrollView, can_focus=True, inherit_bindings=False):
    """A list with a chosen row (`cursor`, -1: none)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "to(0)", show=False),
        Binding("end", "to(-1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Moved(Message):
        """Another row was chosen by the user."""

        def __init__(self, rows: Rows, index: int) -> None:
            super().__init__()
            self.rows, self.index = rows, index

        @property
        def control(self) -> Rows:
            """The list."""
            return self.rows

    class Entered(Moved):
        """Enter was pressed, or the chosen row clicked once more."""

    def __init__(self, id: str) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self.source: Source = NoRows()
        self.cursor = -1

    def show(self, source: Source, cursor: int) -> None:
        """Show rows, with the chosen one in sight."""
        self.source = source
        self.cursor = min(cursor, len(source) - 1)
        size = Size(self.size.width, max(len(source), 1))
        if self.virtual_size != size:
            self.virtual_size = size
        self._scroll_to_cursor()
        self.refresh()

    def on_resize(self) -> None:
        """Keep the chosen row in sight."""
        self.virtual_size = Size(self.size.width, max(len(self.source), 1))
        self._scroll_to_cursor()

    def _scroll_to_cursor(self) -> None:
        if self.cursor >= 0:
            around = max(min(3, self.size.height // 3), 0)
            row = Region(0, max(self.cursor - around, 0), 1, 1 + around + min(around, self.cursor))
            self.scroll_to_region(row, animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        index = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        count = len(self.source)
        if index >= max(count, 1) or (not count and index):
            return Strip.blank(width, self.rich_style)
        chosen = count > 0 and index == self.cursor
        style = self.rich_style
        lit = chosen and self.has_focus
        if chosen:
            style += Style(reverse=True) if lit else Style(bold=True)
        parts = clip(self.source.line(index, width - len(MARK)), width - len(MARK))
        segments = [Segment(MARK if chosen else "  ", style)]
        segments += [Segment(text, style if lit or not name else style + Style.parse(name)) for text, name in parts]
        return Strip(segments).adjust_cell_length(width, style)

    def action_move(self, by: int) -> None:
        """Choose the row above or below."""
        self._choose(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Choose the row one screen up or down."""
        self._choose(self.cursor + by * max(self.size.height - 1, 1))

    def action_to(self, index: int) -> None:
        """Choose the first row, or the last."""
        self._choose(index if index >= 0 else len(self.source) - 1)

    def action_choose(self) -> None:
        """Enter the chosen row."""
        if 0 <= self.cursor < len(self.source):
            self.post_message(self.Entered(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Choose the row that is clicked; a double click enters it."""
        index = self.scroll_offset.y + event.y
        if 0 <= index < len(self.source):
            self._choose(index)
            if event.chain == 2:
                self.action_choose()

    def _choose(self, index: int) -> None:
        index = min(max(index, 0), len(self.source) - 1)
        if index != self.cursor and index >= 0:
            self.cursor = index
            self._scroll_to_cursor()
            self.refresh()
            self.post_message(self.Moved(self, index))


class Bar(ScrollView, can_focus=False, inherit_bindings=False):
    """One or a few lines of parts."""

    def __init__(self, id: str) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self.parts: list[list[Part]] = []

    def show(self, *lines: list[Part]) -> None:
        """Show lines of parts."""
        self.parts = list(lines)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.size.width
        style = self.rich_style
        parts = clip(self.parts[y], width) if y < len(self.parts) else []
        segments = [Segment(text, style + Style.parse(name) if name else style) for text, name in parts]
        return Strip(segments).adjust_cell_length(width, style)
