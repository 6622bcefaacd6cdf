"""What a known format is."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from esctl.model import Stanza


class Preset(Struct, frozen=True):
    """A known format.

    `needs`: every group must have a path that is present. `source`: where the format is described in public.
    `sequences`: where the order may be kept, one alternative (of one or more parts) after the other; the first that all
    sampled events have is mapped, and settles the order. Where they have none, it is `otherwise`. A preset of a text
    log says which `lines` it is for, and needs nothing: its lines tell it. `any_spelling`: paths so much its own
    that with one of them it is known in other spellings too, as in flat CSV (`actor.id`, `ActorId`).
    """

    stanza: Stanza
    needs: tuple[tuple[str, ...], ...]
    source: str
    sequences: tuple[tuple[str, ...], ...] = ()
    otherwise: Literal["time", "position"] = "time"
    lines: str = ""
    any_spelling: tuple[str, ...] = ()
