"""Which JSON values of a document are its records: the document, or what a path within it leads to."""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import NamedTuple

import numpy as np

from esctl.sources.feed import Bytes
from esctl.sources.formats.json.scan import Brackets, scan
from esctl.sources.pieces import BLANKS, BOM, Offsets

_ESCAPED = re.compile(r'\\(["\\])')
_LONGEST_KEY = 4096
_PATH_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|(\[\])|(\*)(?=\.|\[|\Z)|([^.\[]+(?:\[(?!\])[^.\[]*)*)')


class Every(Enum):
    """A step to more than one value: each element of an array, or the value of each member of an object."""

    ELEMENT = "[]"
    MEMBER = "*"


Step = str | Every
Path = tuple[Step, ...]
EACH = Every.ELEMENT
MEMBERS = Every.MEMBER


class Shape(NamedTuple):
    """How records lie in JSON documents; `path` leads to each of them if they are `wrapped`."""

    kind: str  # values | array | wrapped
    path: Path = ()

    @property
    def steps(self) -> Path:
        """Return the path from a document to each record."""
        return (EACH,) if self.kind == "array" else self.path

    @property
    def depth(self) -> int:
        """Nesting depth at which the records' own brackets open."""
        return len(self.steps)


def shape_of(path: Path) -> Shape:
    """Return the shape of documents whose records lie at a path."""
    return Shape("values") if not path else Shape("array") if path == (EACH,) else Shape("wrapped", path)


def parse_records_path(text: str) -> Path:
    """Parse a dotted path: `[]` are the elements of an array, `*` all members; odd names are in quotes (`a."b.c"`).

    In quotes, a backslash comes before a quote and a backslash. A path without `[]` and `*` leads to an array, whose
    elements are meant; with `{}` after it, to an object.
    """
    if text.endswith("{}"):
        return parse_records_path(text[:-2])[:-1]
    found = _PATH_PART.findall(text)
    steps: Path = tuple(
        EACH if each else MEMBERS if star else name or _ESCAPED.sub(r"\1", quoted) for quoted, each, star, name in found
    )
    return steps if not steps or any(isinstance(step, Every) for step in steps) else (*steps, EACH)


def format_records_path(path: Path) -> str:
    """Return a path as text that `parse_records_path` reads."""
    is_object = bool(path) and all(isinstance(step, str) for step in path)
    if path[-1:] == (EACH,) and not any(isinstance(step, Every) for step in path[:-1]):
        path = path[:-1] or path
    text = ""
    for step in path:
        if step is EACH:
            text += "[]"
        else:
            text += "." * bool(text) + ("*" if isinstance(step, Every) else _quote_if_odd(step))
    return text + "{}" * is_object


def _quote_if_odd(name: str) -> str:
    if not re.search(r'[."\[]|^\*?$|\{\}$', name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def find_openings(window: Bytes, brackets: Brackets, steps: Path, inside: bool) -> Offsets:
    """Return the indexes of the brackets that hold records: those that a path without its last step leads to.

    `inside`: such a bracket is open where the window begins.
    """
    if not steps:
        return np.empty(0, np.int64)
    kept = [inside] * len(steps)  # whether what is open at each level lies on the path
    opens = np.flatnonzero((brackets.after == brackets.before + 1) & (brackets.before < len(steps)))
    found = []
    for index in opens.tolist():
        level = int(brackets.before[index])
        leads = level == 0 or (kept[level - 1] and _leads_to(window, int(brackets.at[index]), steps[level - 1]))
        kept[level] = leads and bool(brackets.square[index]) == (steps[level] is EACH)
        if kept[level] and level == len(steps) - 1:
            found.append(index)
    return np.array(found, np.int64)


def _leads_to(window: Bytes, at: int, step: Step) -> bool:
    """Return whether a step leads to the value that begins at `at`."""
    return isinstance(step, Every) or key_before(window, at) == step


def is_led_to(window: Bytes, starts: Offsets, step: Step) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return a mask of the values, given where they begin, that the last step of a path leads to."""
    if isinstance(step, Every):
        return np.ones(len(starts), np.bool_)
    return np.array([key_before(window, at) == step for at in starts.tolist()], np.bool_)


def may_have_records(head: bytes, whole: bool, path: Path) -> bool:
    """Return whether records at a path are in the head of a JSON stream, or may still come in its first document."""
    window = np.frombuffer(head, np.uint8)
    brackets, _ = scan(window, len(path))
    begun = not whole or head.removeprefix(BOM).lstrip(BLANKS)[:1] in b"{["  # what is unfinished may go on later
    if begun and not (brackets.after == 0).any():
        return True
    if not len(find_openings(window, brackets, path, False)):
        return False
    opens = (brackets.before == len(path)) & (brackets.after == len(path) + 1)
    return bool(path[-1] is EACH or is_led_to(window, brackets.at[opens], path[-1]).any())


def key_before(window: Bytes, at: int) -> str | None:
    """Return the object key whose value begins at `at`, or None if there is none."""
    before = window[max(0, at - _LONGEST_KEY) : at].tobytes().rstrip(BLANKS)
    if not before.endswith(b":"):
        return None
    before = before[:-1].rstrip(BLANKS)
    if not before.endswith(b'"'):
        return None
    start = len(before) - 1
    while (start := before.rfind(b'"', 0, start)) >= 0:
        slashes = start - len(before[:start].rstrip(b"\\"))
        if slashes % 2 == 0:
            return _unescape(before[start + 1 : -1])
    return None


def _unescape(text: bytes) -> str:
    try:
        return str(json.loads(b'"' + text + b'"'))
    except ValueError:
        return text.decode(errors="replace")
