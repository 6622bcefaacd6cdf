"""Numberings: which stanzas share ids, and when a source turns out to have a numbering of its own.

Sources that are read alike are a family. They share one numbering of ids until a source, at the end of one of its
commits, has met too many ids of the others with other content: from then on its ids are its own. That is a function of
the log alone, so that a rebuilt index finds the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count, islice, takewhile

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.index.files.manifest import Manifest, Met, Move, Tally
from esctl.log.store_state import StoreState
from esctl.model import Stanza

STRAYS = 2
"""Up to this many ids known with other content are strays, unless they are all the records on both sides."""
STRAY_SHARE = 100
"""So are up to one in this many of a source's records, or of all other records if those are fewer."""
AGREEING_SHARE = 10
"""A source differs only if it has more than this many ids with other content for each one with the same content."""
MOST_MOVES = 2
"""How often a source may change its numbering at the end of one commit: to leave one, and to join another."""
MOST_NAMED = 3

_GENERATION = re.compile(r"#[0-9]+\Z")
_ROTATED = re.compile(
    r"(?:#[0-9]+|\.(?:gz|zst|bz2|xz)|\.[0-9]{1,5}|[-_.][0-9]{4}-?[0-9]{2}-?[0-9]{2}(?:[-T_.][0-9]+)*)(?=(?:\.[a-z]+)?$)",
    re.IGNORECASE,
)


def families(stanzas: Sequence[Stanza]) -> tuple[int, ...]:
    """Return for each stanza the first one of its family, in which equal content under one id is one event."""
    return _firsts([replace(stanza, numbering=0) if not stanza.scope else stanza for stanza in stanzas])


def numberings(stanzas: Sequence[Stanza]) -> tuple[int, ...]:
    """Return for each stanza the first one of its numbering, in which an id is given once."""
    return _firsts(stanzas)


def _firsts(stanzas: Sequence[Stanza]) -> tuple[int, ...]:
    # How times are written has nothing to do with ids.
    plain = [replace(stanza, time_format=(), zone_names=(), newest_first=None) for stanza in stanzas]
    keys = ["store" if stanza.scope == "store" else stanza for stanza in plain]
    return tuple(keys.index(key) for key in keys)


def by_stanza(numbers: Sequence[int], column: str = "stanza") -> str:
    """Write SQL that maps the number of a stanza to its entry in `numbers`."""
    changed = [(stanza, number) for stanza, number in enumerate(numbers) if stanza != number]
    if not changed:
        return column
    whens = " ".join(f"WHEN {stanza} THEN {number}" for stanza, number in changed)
    return f"(CASE {column} {whens} ELSE {column} END)"


def is_divided(stanzas: Sequence[Stanza]) -> bool:
    """Return whether a family has several numberings."""
    return len(set(numberings(stanzas))) > len(set(families(stanzas)))


def summed_tallies(tallies: Iterable[Tally]) -> tuple[Tally, ...]:
    """Add tallies up by source, in order of first appearance."""
    found: dict[str, Tally] = {}
    for tally in tallies:
        before = found.get(tally.source)
        if before is None:
            found[tally.source] = tally
        else:
            met = _summed_met((*before.met, *tally.met)) if tally.met else before.met
            found[tally.source] = Tally(tally.source, before.first, before.records + tally.records, met)
    return tuple(found.values())


def _summed_met(mets: Iterable[Met]) -> tuple[Met, ...]:
    found: dict[int, Met] = {}
    for met in mets:
        before = found.get(met.numbering, Met(met.numbering, 0, 0))
        found[met.numbering] = Met(met.numbering, before.known + met.known, before.same + met.same)
    return tuple(found[number] for number in sorted(found))


class _Standing(Struct, frozen=True):
    """A source's tally at the end of a commit; `others` counts the records of all other sources."""

    tally: Tally
    others: int

    @property
    def source(self) -> str:
        return self.tally.source

    def met(self, number: int) -> Met:
        return next((met for met in self.tally.met if met.numbering == number), Met(number, 0, 0))

    def differs(self, number: int) -> bool:
        """Return whether too many of its ids are known in a numbering with other content."""
        met = self.met(number)
        other = met.known - met.same
        strays = max(STRAYS, min(self.tally.records, self.others) // STRAY_SHARE)
        are_all = not met.same and STRAYS <= other == self.tally.records == self.others
        return (are_all or other > strays) and other > AGREEING_SHARE * met.same

    def agrees(self, number: int) -> bool:
        """Return whether it delivers events that are known in a numbering."""
        met = self.met(number)
        return met.same > (0 if met.same == met.known else STRAYS) and not self.differs(number)


def judge_moves(manifest: Manifest, tallies: Sequence[Tally], at: int) -> tuple[Move, ...]:
    """Return the sources that change their numbering at the end of the commit `at`, by all tallies up to then.

    All that leave a numbering do so together; if none does, the first one that belongs to another joins it.
    """
    records = sum(tally.records for tally in tallies)
    standings = [_Standing(tally, records - tally.records) for tally in tallies if _may_move(manifest, tally, at)]
    leaving = [one for one in standings if one.differs(manifest.sources[one.source])]
    strangers = [one for one in standings if not one.met(manifest.sources[one.source]).same]
    if not leaving and not strangers:
        return ()
    memberships = _Memberships(
        manifest, at, {tally.source: _Standing(tally, records - tally.records) for tally in tallies}
    )
    if leaving:
        return memberships.move_out(leaving)
    joining = (memberships.move_in(one) for one in strangers)
    return next(((move,) for move in joining if move is not None), ())


def _may_move(manifest: Manifest, tally: Tally, at: int) -> bool:
    stanza = manifest.stanzas[manifest.sources[tally.source]]
    moved = sum(move.at == at and move.source == tally.source for move in manifest.moves)
    return bool(tally.met) and not stanza.scope and moved < MOST_MOVES


class _Memberships(Struct):
    """The current numberings, and the sources in them."""

    manifest: Manifest
    at: int
    standings: Mapping[str, _Standing]
    members: dict[int, list[str]] = field(default_factory=dict)
    alike: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for source, number in sorted(self.manifest.sources.items()):  # as the order in a manifest is not kept
            self.members.setdefault(number, []).append(source)
            self.alike.setdefault(unrotated(source), []).append(source)

    def move_out(self, leaving: Sequence[_Standing]) -> tuple[Move, ...]:
        """Move sources out of their numberings, with those that were rotated out of the same file.

        These stay if they contradict one another: the ids of such a file begin anew with each generation.
        """
        used = {stanza.numbering for stanza in self.manifest.stanzas}
        moves: dict[str, Move] = {}
        for one in leaving:
            if one.source in moves:
                continue
            target = self.agreeing_numbering(one)
            target = self.kin_numbering(one) if target is None else target
            number = _unused(used, one.tally.first, self.at) if target is None else self.number_in_stanza(target)
            used.add(number)
            moves[one.source] = self.move(one, number, {other.source for other in leaving})
            if target is None and self.is_of_kin_alone(one):
                moves.update(self.moves_back(one))
            elif target is None:
                for name in self.companions(one):
                    moves.setdefault(name, self.move(self.standings[name], number))
        return tuple(moves.values())

    def is_of_kin_alone(self, one: _Standing) -> bool:
        """Return whether its numbering has only sources rotated out of the same file, so that it differs from these."""
        name = unrotated(one.source)
        return all(unrotated(other) == name for other in self.members[self.manifest.sources[one.source]])

    def moves_back(self, one: _Standing) -> dict[str, Move]:
        """Move back the sources that this one took along in the same commit, although it differs from them."""
        current = self.number_in_stanza(self.manifest.sources[one.source])
        came = {move.source: move for move in self.manifest.moves if move.at == self.at and move.numbering == current}
        return {
            name: Move(name, self.at, current, move.left, 0, 0)
            for name, move in came.items()
            if name != one.source and move.known - move.same <= STRAYS
        }

    def move_in(self, one: _Standing) -> Move | None:
        """Move a source that shares no content with its numbering to another one; None if none fits."""
        current = self.manifest.sources[one.source]
        target = self.agreeing_numbering(one)
        if target is None and len(self.members[current]) == 1 and self.number_in_stanza(current):
            target = self.kin_numbering(one)
            others = () if target is None else (self.standings.get(name) for name in self.members[target])
            if any(other is not None and other.differs(current) for other in others):
                return None
        return None if target is None else self.move(one, self.number_in_stanza(target))

    def move(self, one: _Standing, number: int, leaving: Collection[str] = ()) -> Move:
        current = self.manifest.sources[one.source]
        others = (name for name in self.members[current] if name != one.source and name not in leaving)
        met = one.met(current)
        than = tuple(islice(others, MOST_NAMED))
        return Move(one.source, self.at, self.number_in_stanza(current), number, met.known, met.same, than)

    def number_in_stanza(self, number: int) -> int:
        return self.manifest.stanzas[number].numbering

    def agreeing_numbering(self, one: _Standing) -> int | None:
        """Return the other numbering of its family with which a source shares most; None if it agrees with none."""
        current = self.manifest.sources[one.source]
        best = [
            (-met.same, met.numbering)
            for met in one.tally.met
            if met.numbering != current and one.agrees(met.numbering) and met.numbering in self.members
        ]
        return min(best)[1] if best else None

    def kin_numbering(self, one: _Standing) -> int | None:
        """Return another numbering of its family with a source rotated out of the same file; None if there is none."""
        current = self.manifest.sources[one.source]
        groups = families(self.manifest.stanzas)
        alike = (self.manifest.sources[name] for name in self.alike[unrotated(one.source)])
        others = (number for number in alike if number != current and groups[number] == groups[current])
        return next((number for number in others if not one.differs(number) and self.number_in_stanza(number)), None)

    def companions(self, one: _Standing) -> list[str]:
        """List the sources of its numbering that were rotated out of the same file and share no content with others."""
        current = self.manifest.sources[one.source]
        alike = (name for name in self.alike[unrotated(one.source)] if name != one.source and name in self.standings)
        return [
            name
            for name in alike
            if self.manifest.sources[name] == current and not self.standings[name].met(current).same
        ]


def _unused(used: set[int], first: int, at: int) -> int:
    return first if first not in used else next(number for number in count(at + 1) if number not in used)


def unrotated(source: str) -> str:
    """Return a source's name without the parts added by rotation and compression: app.log for app.log.1.gz."""
    folder, slash, name = source.rpartition("/")
    before = ""
    while name != before:
        before, name = name, _ROTATED.sub("", name, count=1) or name
    return folder + slash + name


def with_moves(manifest: Manifest, moves: Sequence[Move]) -> Manifest:
    """Apply moves to a manifest, and record them."""
    placed = with_numberings(manifest, {move.source: move.numbering for move in moves})
    return replace(placed, moves=(*manifest.moves, *moves))


def with_numberings(manifest: Manifest, numbers: Mapping[str, int]) -> Manifest:
    """Put sources into numberings; their stanzas change in nothing else."""
    stanzas, sources = list(manifest.stanzas), dict(manifest.sources)
    for source, number in numbers.items():
        stanza = replace(stanzas[sources[source]], numbering=number)
        if stanza not in stanzas:
            stanzas.append(stanza)
        sources[source] = stanzas.index(stanza)
    return replace(manifest, stanzas=tuple(stanzas), sources=sources)


def as_of(manifest: Manifest, store_state: StoreState) -> Manifest:
    """Return a manifest as if the log ended with a store state: files that end by then, numberings as they were."""
    head = store_state.head
    back: dict[str, int] = {}
    for move in manifest.moves:
        if move.at > head and move.source in store_state.cursors:
            back.setdefault(move.source, move.left)
    before = with_numberings(manifest, back)
    kept = tuple(
        takewhile(
            lambda file: file.last <= head and back.keys().isdisjoint(tally.source for tally in file.tallies),
            manifest.files,
        )
    )
    sources = {name: number for name, number in before.sources.items() if name in store_state.cursors}
    moves = tuple(move for move in manifest.moves if move.at <= head)
    whole = kept[-1].last if kept else 0
    return replace(before, head=whole, files=kept, sources=sources, moves=moves, judged=head + 1, unjudged=False)


def in_numberings(manifest: Manifest, new: Mapping[str, tuple[int, Stanza]]) -> Mapping[str, Stanza]:
    """Return the stanzas of sources, each with the numbering that the source is in or, if it is new, begins in.

    `new` has the position of each source's first record and its stanza, in the order of the log.
    """
    named: dict[str, Stanza] = {}
    own: dict[str, int] | None = None
    for source, (first, stanza) in new.items():
        if source in manifest.sources:
            numbering = manifest.stanzas[manifest.sources[source]].numbering
        elif stanza.scope == "source":
            own = _by_file(manifest) if own is None else own
            numbering = own.setdefault(_GENERATION.sub("", source), first)
        elif stanza.scope or stanza.numbering:
            numbering = stanza.numbering
        else:
            numbering = numbering_of_kin(manifest, source, stanza)
        named[source] = replace(stanza, numbering=numbering)
    return named


def _by_file(manifest: Manifest) -> dict[str, int]:
    """Return the numbering of each file's first generation that has one."""
    found: dict[str, int] = {}
    for source, number in manifest.sources.items():
        if numbering := manifest.stanzas[number].numbering:
            found.setdefault(_GENERATION.sub("", source), numbering)
    return found


def numbering_of_kin(manifest: Manifest, source: str, stanza: Stanza) -> int:
    """Return the numbering that a new source begins in: that of one rotated out of the same file, else 0."""
    name, base = unrotated(source) if manifest.moves else "", replace(stanza, numbering=0)
    for move in reversed(manifest.moves):
        if move.source != source and unrotated(move.source) == name and move.source in manifest.sources:
            own = manifest.stanzas[manifest.sources[move.source]]
            if replace(own, numbering=0) == base:
                return own.numbering
    return 0
