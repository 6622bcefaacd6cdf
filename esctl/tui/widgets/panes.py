"""What each pane shows, row by row. Pure: from values to parts of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from esctl.output.writers.changes import Change, parse_changes
from esctl.tui.entity_list import Entities
from esctl.tui.look import Part, fit, moment, plain, shorten, width_of
from esctl.tui.trail import Steps
from esctl.tui.values import Difference, Event, Field, ResultRow, Spot, StateAt

BEFORE, AFTER, NAME, FAINT = "red", "green", "cyan", "dim"
_TIME = 19
_NARROW = 90
"""Cells of a list of events below which positions are left out, and changes come before the actor."""
_MOST_VALUE = 400
"""The most characters of a value in a row."""


class EntityRows:
    """The list of entities: name, and the number of events or the date, whichever it is sorted by."""

    def __init__(self, entities: Entities, sort: str, zone: tzinfo) -> None:
        self._entities, self._sort, self._zone = entities, sort, zone

    def __len__(self) -> int:
        return len(self._entities)

    def line(self, index: int, width: int) -> list[Part]:
        """Return a row."""
        row = self._entities.row(index)
        timed = row.first if self._sort == "first" else row.last if self._sort == "last" else None
        figure = moment(timed, self._zone)[:10] if self._sort in ("first", "last") else f"{row.events:,}"
        room = max(width - width_of(figure) - 1, 1)
        return [(fit(shorten(plain(row.entity.name), room), room), ""), (f" {figure}", FAINT)]


class FieldRows:
    """The fields of a state; those that the last event changed are marked, with the value before."""

    def __init__(self, view: StateAt) -> None:
        self.fields = view.fields
        names = [width_of(plain(field.name)) for field in view.fields]
        self._names = max(names, default=0)

    def __len__(self) -> int:
        return len(self.fields)

    def line(self, index: int, width: int) -> list[Part]:
        """Return a row."""
        return _field_line(self.fields[index], min(self._names, max(width * 2 // 5, 10)))


def _field_line(field: Field, names: int) -> list[Part]:
    name = fit(shorten(plain(field.name), names), names)
    if not field.changed:
        return [("  ", ""), (name, NAME), ("  ", ""), (_value(field.value), "")]
    parts: list[Part] = [("* ", "bold"), (name, f"bold {NAME}"), ("  ", "")]
    if field.value is None:
        return [*parts, ("(removed)", "bold"), ("  was ", FAINT), (_value(field.before), BEFORE)]
    parts.append((_value(field.value), f"bold {AFTER}"))
    return parts if field.before is None else [*parts, ("  was ", FAINT), (_value(field.before), BEFORE)]


def _value(text: str | None) -> str:
    return "" if text is None else plain(text[:_MOST_VALUE])


class DifferenceRows:
    """What differs between two marks."""

    def __init__(self, rows: Sequence[Difference]) -> None:
        self.rows = rows
        self._names = max((width_of(plain(row.field)) for row in rows), default=0)

    def __len__(self) -> int:
        return len(self.rows)

    def line(self, index: int, width: int) -> list[Part]:
        """Return a row."""
        row = self.rows[index]
        room = min(self._names, max(width * 2 // 5, 10))
        listed = ",".join(f"@{position}" for position in row.positions[:4])
        more = f" and {len(row.positions) - 4} more" if len(row.positions) > 4 else ""
        return [
            (fit(row.change, 8), "bold"), (fit(shorten(plain(row.field), room), room), NAME), ("  ", ""),
            *_change_parts(row.before, row.after), (f"  {listed}{more}", FAINT),
        ]  # fmt: skip


def _change_parts(before: str | None, after: str | None) -> list[Part]:
    parts: list[Part] = [] if before is None else [(_value(before), BEFORE), (" ", "")]
    return [*parts, ("-> ", FAINT), (_value(after), AFTER) if after is not None else ("(removed)", "bold")]


class TrailRows:
    """The events of an entity in the order of a clock: mark, position, time, type, actor, what each changed."""

    def __init__(self, steps: Steps, spot: Spot, marks: Sequence[Spot], view: StateAt | None, zone: tzinfo) -> None:
        self._steps, self._spot, self._zone = steps, spot, zone
        self._known = view.changes if view is not None else None
        self._marks = {mark.step: name for name, mark in zip("AB", marks, strict=False)}
        last = int(steps.positions.max()) if len(steps) else 0
        self._digits = len(str(last)) + 1

    def __len__(self) -> int:
        return len(self._steps)

    def line(self, index: int, width: int) -> list[Part]:
        """Return a row."""
        event = self._steps.event(index)
        known = self._spot.clock == "known"
        beyond = index > self._spot.step
        narrow = width < _NARROW
        time = fit(moment(event.recorded if known else event.time, self._zone, short=True), _TIME)
        role = f"[{plain(event.role)}] " if event.role else ""
        style = FAINT if beyond else ""
        at = "" if narrow else fit(f"@{event.position}", self._digits, right=True)
        actor: list[Part] = [(f"{plain(event.actor)}  " if event.actor else "", FAINT if beyond else "magenta")]
        changes = changed_parts(self._changes(event, beyond=known and beyond), faint=beyond)
        return [
            (self._marks.get(index, " "), "bold yellow"),
            (at, FAINT),
            (f" {time} ", style),
            (f"{role}{plain(event.type)}  ", style or "bold"),
            *(changes + actor if narrow else actor + changes),
        ]

    def _changes(self, event: Event, *, beyond: bool) -> list[Change]:
        """Return what an event changed, as known at the spot."""
        if self._spot.clock != "known" or not self._steps.trail.stepped:
            return parse_changes(event.changes) or []
        text = "" if self._known is None or beyond else self._known.get(event.position, "")
        return parse_changes(text) or []


def changed_parts(changes: Sequence[Change], *, faint: bool = False) -> list[Part]:
    """Write changes in one line."""
    parts: list[Part] = []
    for change in changes[:12]:
        parts += [(f"{plain(change.field)}: ", FAINT if faint else NAME)]
        pairs = _change_parts(change.before, change.after)
        parts += [(text, FAINT) for text, _ in pairs] if faint else pairs
        parts.append(("  ", ""))
    if len(changes) > 12:
        parts.append((f"and {len(changes) - 12} more", FAINT))
    return parts


class ResultRows:
    """A list of results in columns as wide as their cells."""

    def __init__(self, heads: Sequence[str], rows: Sequence[ResultRow]) -> None:
        self._rows = rows
        seen = [heads, *(row.cells for row in rows[:500])]
        self._widths = [min(max(width_of(plain(cells[i])) for cells in seen), 40) for i in range(len(heads))]
        self._heads = heads

    def __len__(self) -> int:
        return len(self._rows)

    def heads(self) -> list[Part]:
        """Return the line with the names of the columns."""
        return self._parts(self._heads, "bold")

    def line(self, index: int, width: int) -> list[Part]:
        """Return a row."""
        return self._parts(self._rows[index].cells, "")

    def _parts(self, cells: Sequence[str], style: str) -> list[Part]:
        return [(fit(plain(cell), size) + "  ", style) for cell, size in zip(cells, self._widths, strict=True)]


class TextRows:
    """Lines of text that are inert already."""

    def __init__(self, lines: Sequence[Part]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, index: int, width: int) -> list[Part]:
        """Return a line."""
        return [self._lines[index]]
