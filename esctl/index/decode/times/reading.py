"""How a source's times are read: the usual way, with an order of day and month, or in formats written by a user."""

from __future__ import annotations

from msgspec import Struct

from esctl.engine.zones import fixed_minutes
from esctl.errors import UsageError
from esctl.index.decode.times.epochs import BY_NAME, Unit
from esctl.index.decode.times.forms import FORMS, ORDERS, Form, numbered
from esctl.model import Stanza

USUAL = "usual"
"""The name of the usual forms, which may be given among formats."""


class Reading(Struct, frozen=True):
    """Formats, tried in order (none: the usual way), and names of zones with their minutes east of UTC."""

    formats: tuple[str, ...] = ()
    zones: tuple[tuple[str, int], ...] = ()

    @property
    def is_usual(self) -> bool:
        """Return whether the usual forms are read, in whichever order of day and month."""
        return all(name == USUAL or name in ORDERS for name in self.formats)

    @property
    def forms(self) -> tuple[Form, ...]:
        """Return the usual forms, and those of dates in the given orders of day and month."""
        return FORMS + tuple(numbered(ORDERS[name]) for name in self.formats if name in ORDERS)

    @property
    def written(self) -> tuple[Form | Unit | None, ...]:
        """Return what is tried, in order; None means the usual forms."""
        if self.is_usual:
            return (None,)
        from esctl.index.decode.times.written import written_form

        found: list[Form | Unit | None] = []
        for name in self.formats:
            each = None if name == USUAL or name in ORDERS else BY_NAME.get(name) or written_form(name)
            if each is not None or None not in found:
                found.append(each)
        return tuple(found)


def check_format(text: str) -> str:
    """Return a format. Raises UsageError if it is not valid."""
    if text != USUAL and text not in ORDERS and text not in BY_NAME:
        from esctl.index.decode.times.written import written_form

        written_form(text)
    return text


def zone_minutes(name: str, offset: object) -> int:
    """Return the minutes of the offset (such as +01:00) of a named zone. Raises UsageError if either is not valid."""
    minutes = fixed_minutes(offset) if isinstance(offset, str) else None
    if minutes is None or not (name.isascii() and name.isalpha()):
        raise UsageError(
            f"{name!r} = {offset!r} is not a name of a zone and its offset", 'write it like CET = "+01:00"'
        )
    return minutes


def reading_of(stanza: Stanza) -> Reading:
    """Return how the times of a stanza are read."""
    return Reading(stanza.time_format, tuple((name, zone_minutes(name, text)) for name, text in stanza.zone_names))
