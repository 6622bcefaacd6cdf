"""The definition of a known format."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from esctl.model import Stanza


class Preset(Struct, frozen=True):
    """A known format.

    `needs`: every group must have a path that is present. `source`: where the format is described in public.
    `sequences`: alternatives (of one or more parts) for the sequence; the first that all sampled events have is mapped,
    and events are ordered by it. If there is none, the order is `otherwise`. A preset of a text log says which `lines`
    it is for, and needs nothing, since its lines identify it. `any_spelling`: paths so specific that one of them is
    enough to recognise the format in other spellings, as in flat CSV (`actor.id`, `ActorId`).
    """

    stanza: Stanza
    needs: tuple[tuple[str, ...], ...]
    source: str
    sequences: tuple[tuple[str, ...], ...] = ()
    otherwise: Literal["time", "position"] = "time"
    lines: str = ""
    any_spelling: tuple[str, ...] = ()
