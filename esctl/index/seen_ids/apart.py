"""The sources that were found to have a numbering of ids of their own, and why."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from esctl.index.files.manifest import Manifest
from esctl.index.seen_ids.numberings import MOST_NAMED, summed_tallies


class Apart(Struct, frozen=True):
    """A source found to have another numbering than the rest of its family, the reason, and what shares it (`kin`)."""

    source: str
    why: str
    kin: tuple[str, ...]
    first: int  # position of its first record


def apart(manifest: Manifest) -> dict[str, Apart]:
    """Return the sources that were found to have a numbering of their own, by name."""
    members: dict[int, list[str]] = {}
    for source, number in manifest.sources.items():
        stanza = manifest.stanzas[number]
        if stanza.numbering and not stanza.scope:
            members.setdefault(number, []).append(source)
    if not members:
        return {}
    firsts = {tally.source: tally.first for tally in summed_tallies(t for file in manifest.files for t in file.tallies)}
    return {
        name: Apart(name, _why(manifest, name, kin), kin, firsts.get(name, 0))
        for names in members.values()
        for name, kin in ((name, tuple(other for other in names if other != name)) for name in names)
    }


def newly_apart(before: Manifest, after: Manifest) -> tuple[Apart, ...]:
    """List the sources that were found to have a numbering of their own between two states of an index."""
    known = apart(before)
    return tuple(told for name, told in apart(after).items() if name not in known)


def _why(manifest: Manifest, source: str, kin: Sequence[str]) -> str:
    moves = [move for move in manifest.moves if move.source == source]
    found = max(moves, key=lambda move: move.known - move.same, default=None)
    if found is not None and found.known > found.same:
        others = ", ".join(found.than) or "other sources"
        return f"{found.known - found.same} of its ids are known from {others} with other content"
    return f"its ids are those of {', '.join(kin[:MOST_NAMED])}" if kin else "its ids are its own"
