"""JSON values in a stream: elements of arrays, of wrapped arrays, or values one after another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from msgspec.structs import replace

from esctl.sources.feed import Bytes, Feed
from esctl.sources.formats.gaps import Gaps, Span, outer_spans, region_spans
from esctl.sources.formats.json.scan import Brackets, State, scan
from esctl.sources.formats.json.text import first_value
from esctl.sources.formats.scripts import is_script
from esctl.sources.formats.shape import MEMBERS, Every, Shape, find_openings, is_led_to
from esctl.sources.formats.surroundings import Surroundings
from esctl.sources.pieces import BLANKS, BOM, Offsets, Piece, slices_of

_LARGEST_CHUNK = 16 << 20  # a chunk's brackets take several times its own size in the worst case


class _Cut(Struct, frozen=True):
    """What one window gave: spans (start, end, whether inside an array), and the point to continue from."""

    starts: Offsets
    ends: Offsets
    inside: np.ndarray[tuple[int], np.dtype[np.bool_]]
    resume: int
    resume_inside: bool
    open_value: int | None  # where an unfinished value begins
    around: pa.Array | None = None  # what surrounds each span; None if nothing surrounds any

    def before(self, number: int) -> _Cut:
        """Return the cut before span `number`, which is not the first."""
        starts, ends, inside = self.starts[:number], self.ends[:number], self.inside[:number]
        around = None if self.around is None else self.around[:number]
        return _Cut(starts, ends, inside, int(ends[-1]), bool(inside[-1]), None, around)


class ValueReader:
    """Cuts a feed into JSON values, about `size` bytes at a time, as Pieces.

    `inside`: the feed begins within an array whose elements are records. What no bracket encloses (scalars, garbage)
    becomes records of its own: only blanks, commas, and the wrapping around the arrays are left out. An unfinished
    value at the end of the stream stays unread, counted in `pending`, unless `final`; a broken one is a record.
    `in_script`: the script around the JSON is left out too.
    """

    def __init__(
        self, feed: Feed, size: int, final: bool, shape: Shape, inside: bool = False, in_script: bool = False
    ) -> None:
        self.pending = 0
        self._feed = feed
        self._size = min(size, _LARGEST_CHUNK)
        self._final = final
        self._shape = shape
        self._inside = inside
        self._in_script = in_script
        self._surroundings = Surroundings(shape.steps)

    def __iter__(self) -> Iterator[Piece]:
        feed = self._feed
        feed.fill(self._size)
        while not feed.ended:
            yield from self._deliver(self._cut(False))
            feed.check_open()
            feed.fill(self._size)
        if len(feed.window):
            cut = self._cut(True)
            yield from self._deliver(self._add_unfinished(cut))
            self.pending = len(feed.window.tobytes().strip(BLANKS))

    def _deliver(self, cut: _Cut) -> Iterator[Piece]:
        fitting, too_long = self._feed.count_fitting(cut.starts, cut.ends)
        if too_long is None and cut.resume:
            yield self._piece(cut)
        elif fitting:
            yield self._piece(cut.before(fitting))
        if too_long:
            raise too_long

    def _piece(self, cut: _Cut) -> Piece:
        feed = self._feed
        bounds = np.zeros(max(2 * len(cut.starts), 1), np.int64)
        bounds[: 2 * len(cut.starts) : 2], bounds[1::2] = cut.starts, cut.ends
        raws = pc.take(slices_of(feed.window, bounds), np.arange(0, len(bounds) - 1, 2))
        self._inside = cut.resume_inside
        upto = feed.base + cut.resume
        starts, ends = cut.starts + feed.base, cut.ends + feed.base
        return Piece(raws, starts, ends, upto, inside=cut.inside, inside_end=cut.resume_inside, around=cut.around)

    def _cut(self, ended: bool) -> _Cut:
        window, depth = self._feed.window, self._shape.depth
        brackets, _ = scan(window, depth, State(depth if self._inside else 0))
        regions = _find_regions(window, brackets, self._shape, self._inside)
        elements = _find_elements(window, brackets, self._shape, regions) if depth else _NO_PAIRS
        documents = _find_documents(brackets, regions)
        begin = len(BOM) if self._feed.base == 0 and window[: len(BOM)].tobytes() == BOM else 0
        froms = documents.ends if self._inside else np.concatenate([[begin], documents.ends])
        outer, whole = outer_spans(window, froms, documents.starts, ended, self._final)
        if self._in_script:
            outer = [span for span in outer if not is_script(window[span.start : span.end].tobytes())]
        inner = self._find_unbracketed(regions, elements, ended)
        cut = _assemble(elements, documents, inner + outer)
        cut = replace(
            cut, around=_place_surroundings(cut, regions, self._surroundings.find(window, brackets, regions.first))
        )
        at_top = len(froms) > len(documents.starts)
        if ended and (self._final or (at_top and whole)):
            array_open = bool(len(regions.end)) and int(regions.end[-1]) < 0
            cut = replace(cut, resume=len(window), resume_inside=array_open)
        return cut

    def _find_unbracketed(self, regions: _Regions, elements: _Pairs, ended: bool) -> list[Span]:
        """Return the records that no bracket encloses: none if one member is the record, as the others wrap it."""
        last = self._shape.steps[-1:]
        if not last or not isinstance(last[0], Every):
            return []
        gaps = _find_gaps(regions, elements)
        return region_spans(self._feed.window, gaps, ended, self._final, named=last[0] is MEMBERS)

    def _add_unfinished(self, cut: _Cut) -> _Cut:
        window, start = self._feed.window, cut.open_value
        if start is None:
            return cut
        text = window[start:].tobytes().decode(errors="replace")
        if not self._final and first_value(text).state == "incomplete":
            return cut
        end = len(window)
        starts, ends = np.append(cut.starts, start), np.append(cut.ends, end)
        around = None if cut.around is None else pa.concat_arrays([cut.around, pa.nulls(1, pa.binary())])
        return _Cut(starts, ends, np.append(cut.inside, False), end, False, None, around)


class _Regions(Struct, frozen=True):
    """Arrays whose elements are records: bracket index and offset of both ends (index len/offset -1: still open)."""

    first: Offsets
    last: Offsets
    begin: Offsets
    end: Offsets
    continued: bool

    def are_within(self, indexes: Offsets) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return a mask of the brackets that lie within an array."""
        if not len(self.first):
            return np.zeros(len(indexes), np.bool_)
        which = np.searchsorted(self.first, indexes) - 1
        return (which >= 0) & (indexes < self.last[np.maximum(which, 0)])


class _Pairs(Struct, frozen=True):
    starts: Offsets
    ends: Offsets
    open: int | None = None


class _Documents(Struct, frozen=True):
    """Top-level values: all of them for the gaps between, and those that are records as a whole."""

    starts: Offsets
    ends: Offsets
    whole: _Pairs
    continued: bool


_NO_OFFSETS = np.empty(0, np.int64)
_NO_PAIRS = _Pairs(_NO_OFFSETS, _NO_OFFSETS)


def _find_regions(window: Bytes, brackets: Brackets, shape: Shape, inside: bool) -> _Regions:
    first = find_openings(window, brackets, shape.steps, inside)
    begin = brackets.at[first] + 1
    if inside:
        first, begin = np.concatenate([[-1], first]), np.concatenate([[0], begin])
    closing = np.flatnonzero((brackets.after == shape.depth - 1) & (brackets.before == shape.depth))
    which = np.searchsorted(closing, first, side="right")
    padded = np.append(closing, len(brackets.at))
    last = padded[which]
    end = np.append(brackets.at, -1)[last]
    return _Regions(first, last, begin, end, inside)


def _find_elements(window: Bytes, brackets: Brackets, shape: Shape, regions: _Regions) -> _Pairs:
    depth = shape.depth
    opens = np.flatnonzero((brackets.before == depth) & (brackets.after == depth + 1))
    closes = np.flatnonzero((brackets.before == depth + 1) & (brackets.after == depth))
    opens, closes = opens[regions.are_within(opens)], closes[regions.are_within(closes)]
    starts, ends = brackets.at[opens], brackets.at[closes] + 1
    kept = is_led_to(window, starts, shape.steps[-1])
    unended = int(starts[-1]) if len(starts) > len(ends) and kept[-1] else None
    return _Pairs(starts[: len(ends)][kept[: len(ends)]], ends[kept[: len(ends)]], unended)


def _find_documents(brackets: Brackets, regions: _Regions) -> _Documents:
    opens = np.flatnonzero((brackets.before == 0) & (brackets.after == 1))
    closes = np.flatnonzero((brackets.before == 1) & (brackets.after == 0))
    closed = closes[int(regions.continued) :]
    wraps = np.zeros(len(opens), np.bool_)
    outer = np.searchsorted(opens, regions.first, side="right") - 1
    wraps[outer[outer >= 0]] = True
    starts = brackets.at[opens]
    unended = int(starts[-1]) if len(opens) > len(closed) and not wraps[-1] else None
    whole = ~wraps[: len(closed)]
    records = _Pairs(starts[: len(closed)][whole], brackets.at[closed][whole] + 1, unended)
    return _Documents(starts, brackets.at[closes] + 1, records, regions.continued)


def _place_surroundings(cut: _Cut, regions: _Regions, texts: list[bytes | None]) -> pa.Array | None:
    """Return what surrounds each span, which is what surrounds its region; None if nothing surrounds any."""
    if not any(texts):
        return None
    which = np.searchsorted(regions.begin, cut.starts, side="right") - 1
    ends = np.where(regions.end < 0, np.iinfo(np.int64).max, regions.end)
    within = (which >= 0) & (cut.starts < ends[np.maximum(which, 0)])
    return pa.array(texts, pa.binary()).take(pa.array(np.maximum(which, 0), mask=~within))


def _find_gaps(regions: _Regions, elements: _Pairs) -> Gaps:
    closed = regions.end[regions.end >= 0]
    opened = np.array([] if elements.open is None else [elements.open], np.int64)
    froms = np.sort(np.concatenate([regions.begin, elements.ends]))
    tos = np.sort(np.concatenate([elements.starts, opened, closed]))
    fresh = np.isin(froms, regions.begin[int(regions.continued) :])
    return Gaps(froms, tos, fresh, np.isin(tos, closed))


def _assemble(elements: _Pairs, documents: _Documents, spans: list[Span]) -> _Cut:
    extra = np.array([(span.start, span.end) for span in spans], np.int64).reshape(-1, 2)
    whole = documents.whole
    starts = np.concatenate([elements.starts, whole.starts, extra[:, 0]])
    ends = np.concatenate([elements.ends, whole.ends, extra[:, 1]])
    odd = np.array([span.inside for span in spans], np.bool_)
    inside = np.concatenate([np.ones(len(elements.starts), np.bool_), np.zeros(len(whole.starts), np.bool_), odd])
    order = np.argsort(starts, kind="stable")
    starts, ends, inside = starts[order], ends[order], inside[order]
    points = [(0, documents.continued)]
    if len(ends):
        points.append((int(ends[-1]), bool(inside[-1])))
    if len(documents.ends):
        points.append((int(documents.ends[-1]), False))
    resume, resume_inside = max(points)
    return _Cut(starts, ends, inside, resume, resume_inside, elements.open if whole.open is None else whole.open)
