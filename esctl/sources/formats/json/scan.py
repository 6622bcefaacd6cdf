"""Where JSON's brackets are, found with numpy: quote parity gives strings, a running sum gives depth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from msgspec import Struct

from esctl.sources.feed import Bytes
from esctl.sources.pieces import QUOTE, Offsets

_BACKSLASH = 92
_BLOCK = 1 << 20  # the temporary arrays of one pass stay in the cache


class State(NamedTuple):
    """What a scan needs to continue: nesting depth, inside a string, next byte escaped."""

    depth: int = 0
    in_string: bool = False
    escaped: bool = False


START = State()


class Brackets(Struct, frozen=True):
    """Brackets outside strings: offset in the text, depth before and after, and whether it is a square one.

    A closing bracket at depth 0 stays there: before and after are 0.
    """

    at: Offsets
    before: Offsets
    after: Offsets
    square: np.ndarray[tuple[int], np.dtype[np.bool_]]


def scan(text: Bytes, deepest: int, state: State = START) -> tuple[Brackets, State]:
    """Return the brackets of a text whose shallower side is at depth `deepest` or less, and the state after it.

    A backslash escapes the byte after it, also outside strings (where none may be). `state` is that after the text
    before, so any cut into pieces gives the same brackets.
    """
    parts: list[Brackets] = []
    for start in range(0, len(text), _BLOCK):
        found, state = _scan_block(text[start : start + _BLOCK], start, deepest, state)
        if len(found.at):
            parts.append(found)
    return _concatenate(parts), state


def _concatenate(parts: list[Brackets]) -> Brackets:
    if not parts:
        none = np.empty(0, np.int64)
        return Brackets(none, none, none, np.empty(0, np.bool_))
    return Brackets(
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.before for part in parts]),
        np.concatenate([part.after for part in parts]),
        np.concatenate([part.square for part in parts]),
    )


def _scan_block(block: Bytes, start: int, deepest: int, state: State) -> tuple[Brackets, State]:
    escaped, escapes_next = escaped_offsets(block, state.escaped)
    folded = block | 32  # [ and { differ from each other, and ] from }, in this bit alone
    at = np.flatnonzero((folded == 123) | (folded == 125) | (block == QUOTE))
    if len(escaped):
        neutral = np.zeros(len(block), np.bool_)
        neutral[escaped] = True
        at = at[~neutral[at]]
    kinds = block[at]
    quotes = kinds == QUOTE
    inside = (np.cumsum(quotes, dtype=np.int64) + state.in_string) & 1
    structural = ~quotes & (inside == 0)
    at, kinds = at[structural], kinds[structural]
    in_string = bool((int(quotes.sum()) + state.in_string) & 1)
    before, after = _depths((kinds | 32) == 123, state.depth)
    depth = int(after[-1]) if len(after) else state.depth
    shallow = np.minimum(before, after) <= deepest
    square = (kinds[shallow] == 91) | (kinds[shallow] == 93)
    found = Brackets(at[shallow] + start, before[shallow], after[shallow], square)
    return found, State(depth, in_string, escapes_next)


def _depths(opening: np.ndarray[tuple[int], np.dtype[np.bool_]], depth: int) -> tuple[Offsets, Offsets]:
    sums = np.cumsum(np.where(opening, 1, -1)) + depth
    # Where the sum falls below zero, brackets closed nothing: the depth is its height above its lowest value so far.
    after = sums - np.minimum(np.minimum.accumulate(sums), 0) if len(sums) else sums
    before = np.empty_like(after)
    if len(after):
        before[0] = depth
        before[1:] = after[:-1]
    return before, after


def escaped_offsets(block: Bytes, first_escaped: bool) -> tuple[Offsets, bool]:
    """Return the offsets of escaped bytes that matter (quotes, brackets), and whether the next block begins escaped."""
    slashes = np.flatnonzero(block == _BACKSLASH)
    if first_escaped:
        slashes = slashes[slashes > 0]
    if not len(slashes):
        return (np.zeros(1, np.int64) if first_escaped else np.empty(0, np.int64)), False
    run_starts = np.flatnonzero(np.concatenate([[True], np.diff(slashes) > 1]))
    runs = np.diff(np.concatenate([run_starts, [len(slashes)]]))
    after_run = slashes[run_starts] + runs
    hit = after_run[(runs & 1) == 1]
    escapes_next = bool(len(hit)) and int(hit[-1]) == len(block)
    hit = hit[hit < len(block)]
    return (np.concatenate([[0], hit]) if first_escaped else hit), escapes_next
