"""What is between the bracketed values of a JSON stream: blanks and commas, or scalars and garbage to be kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from esctl.sources.feed import Bytes
from esctl.sources.formats.json.text import first_value
from esctl.sources.pieces import BLANKS, Offsets

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]

_SEPARATOR = b"\x1e"  # RFC 7464, JSON text sequences
_COMMA = 44
_STRING = rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_ARRAY_TOKEN = re.compile(rb',|(?:[^,"\\]++|\\.|' + _STRING + rb"|\\\Z)++", re.DOTALL)
_LINE_TOKEN = re.compile(rb'(?:[^\n"\\]++|\\.|' + _STRING + rb"|\\\Z)++", re.DOTALL)
_KEY = re.compile(rb'"(?:[^"\\]++|\\.)*+"[ \t\r\n]*+:', re.DOTALL)
_IS_BLANK = np.zeros(256, np.bool_)
_IS_BLANK[list(BLANKS)] = True


class Span(NamedTuple):
    """A record found in a gap: offsets in the window, and whether it is an element of an array."""

    start: int
    end: int
    inside: bool


class Gaps(NamedTuple):
    """Gaps of arrays: gap i is [froms[i], tos[i]); `fresh` follows the opening bracket, `closing` precedes the closing.

    `froms` and `fresh` may be one longer than the others: then the last gap goes on after the window.
    """

    froms: Offsets
    tos: Offsets
    fresh: Flags
    closing: Flags


def region_spans(window: Bytes, gaps: Gaps, ended: bool, final: bool, named: bool = False) -> list[Span]:
    """Find the scalars and stray commas between the bracketed elements of arrays; `named`: of objects, with keys."""
    count = len(gaps.tos)
    expected = ~gaps.fresh[:count] & ~gaps.closing
    spans: list[Span] = []
    for index in _gaps_with_content(window, gaps.froms[:count], gaps.tos, expected):
        text = _without_keys(window[gaps.froms[index] : gaps.tos[index]].tobytes(), named)
        pieces = _array_pieces(text, bool(gaps.fresh[index]), bool(gaps.closing[index]))
        spans += [_span_at(piece, int(gaps.froms[index]), True) for piece in pieces]
    if len(gaps.froms) > count:
        start = int(gaps.froms[-1])
        text = _without_keys(window[start:].tobytes(), named)
        spans += [_span_at(piece, start, True) for piece in _last_pieces(text, bool(gaps.fresh[-1]), ended, final)]
    return spans


def _without_keys(text: bytes, named: bool) -> bytes:
    """Return the text between values of an object, with blanks in place of its keys."""
    return _KEY.sub(lambda found: b" " * len(found[0]), text) if named else text


def outer_spans(window: Bytes, froms: Offsets, tos: Offsets, ended: bool, final: bool) -> tuple[list[Span], bool]:
    """Return what is outside any bracket, line by line, and whether all up to the window's end is included."""
    count = len(tos)
    spans: list[Span] = []
    for index in _gaps_with_content(window, froms[:count], tos, np.zeros(count, np.bool_)):
        text = window[froms[index] : tos[index]].tobytes()
        spans += [_span_at(piece, int(froms[index]), False) for piece in _line_pieces(text)]
    if len(froms) == count:
        return spans, True
    start = int(froms[-1])
    text = window[start:].tobytes()
    pieces = list(_line_pieces(text))
    whole = True
    if pieces and pieces[-1][1] >= len(text.rstrip(BLANKS)) and not text.endswith(b"\n"):
        whole = ended and (final or not _may_go_on(text[pieces[-1][0] :]))
        pieces = pieces if whole else pieces[:-1]
    return spans + [_span_at(piece, start, False) for piece in pieces], whole


def _gaps_with_content(window: Bytes, froms: Offsets, tos: Offsets, expected: Flags) -> list[int]:
    """Return the gaps that hold anything but blanks and, if it is expected, one comma."""
    sizes = tos - froms
    total = int(sizes.sum())
    if not total:
        return []
    gap = np.repeat(np.arange(len(sizes)), sizes)
    first = np.cumsum(sizes) - sizes
    text = window[np.arange(total) + np.repeat(froms - first, sizes)]
    marked = ~_IS_BLANK[text]
    marks = np.bincount(gap[marked], minlength=len(sizes))
    commas = np.bincount(gap[text == _COMMA], minlength=len(sizes))
    plain = (marks == 0) | (expected & (marks == 1) & (commas == 1))
    return [int(index) for index in np.flatnonzero(~plain)]


def _array_pieces(text: bytes, fresh: bool, closing: bool) -> Iterator[tuple[int, int]]:
    """Yield scalars, and each comma that has no value before it or (before the closing bracket) after it."""
    valued, last_comma = not fresh, None
    for token in _ARRAY_TOKEN.finditer(text):
        if token.group() == b",":
            if not valued:
                yield token.span()
            valued, last_comma = False, token.span() if valued else None
            continue
        trimmed = _trim_span(text, token.start(), token.end())
        if trimmed:
            yield trimmed
            valued, last_comma = True, None
    if closing and last_comma and not valued:
        yield last_comma


def _last_pieces(text: bytes, fresh: bool, ended: bool, final: bool) -> list[tuple[int, int]]:
    pieces = list(_array_pieces(text, fresh, ended and final))
    if not pieces or pieces[-1][1] < len(text.rstrip(BLANKS)):
        return pieces
    start, end = pieces[-1]
    if text[start:end] == b",":
        return pieces
    kept = ended and (final or not _may_go_on(text[start:end]))
    return pieces if kept else pieces[:-1]


def _may_go_on(text: bytes) -> bool:
    return first_value(text.decode(errors="replace")).state == "incomplete"


def _line_pieces(text: bytes) -> Iterator[tuple[int, int]]:
    for token in _LINE_TOKEN.finditer(text):
        trimmed = _trim_span(text, token.start(), token.end(), BLANKS + _SEPARATOR)
        if trimmed:
            yield trimmed


def _trim_span(text: bytes, start: int, end: int, blanks: bytes = BLANKS) -> tuple[int, int] | None:
    part = text[start:end]
    start += len(part) - len(part.lstrip(blanks))
    end -= len(part) - len(part.rstrip(blanks))
    return (start, end) if start < end else None


def _span_at(span: tuple[int, int], by: int, inside: bool) -> Span:
    return Span(span[0] + by, span[1] + by, inside)
