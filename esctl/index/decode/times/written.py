"""Formats written by a user in the letters of strptime, as patterns like those of the usual forms."""

from __future__ import annotations

import re
from functools import lru_cache

from esctl.errors import UsageError
from esctl.index.decode.times.forms import MONTH, Form, with_clock

_LETTERS = {
    "Y": r"(?P<y>[0-9]{4})", "y": r"(?P<y>[0-9]{2})", "m": r"(?P<m>[0-9]{1,2})", "d": r" ?(?P<d>[0-9]{1,2})",
    "e": r" ?(?P<d>[0-9]{1,2})", "b": MONTH, "B": MONTH, "h": MONTH, "j": r"(?P<j>[0-9]{3})",
    "G": r"(?P<g>[0-9]{4})", "V": r"(?P<w>[0-9]{2})", "u": r"(?P<e>[1-7])",
    "H": r" ?(?P<h>[0-9]{1,2})", "k": r" ?(?P<h>[0-9]{1,2})", "I": r" ?(?P<h>[0-9]{1,2})", "l": r" ?(?P<h>[0-9]{1,2})",
    "M": r"(?P<i>[0-9]{1,2})", "S": r"(?P<s>[0-9]{1,2})", "f": r"(?P<f>[0-9]+)", "L": r"(?P<f>[0-9]+)",
    "N": r"(?P<f>[0-9]+)", "p": r"(?P<p>[AP])\.?M\.?", "P": r"(?P<p>[AP])\.?M\.?", "z": "ZONE", "Z": "ZONE",
    "a": r"[A-Z]+\.?", "A": r"[A-Z]+", "%": "%", "n": " *", "t": " *",
}  # fmt: skip
_SHORT = {
    "F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "r": "%I:%M:%S %p", "c": "%a %b %e %H:%M:%S %Y",
}  # fmt: skip
_TOKEN = re.compile(r"%[-_0^#]?[1-9]?([A-Za-z%])|( +)|([^ ])", re.DOTALL)
_CLOCK = frozenset("hisfpz")
_DAYS = ({"y", "m", "d"}, {"y", "b", "d"}, {"y", "j"}, {"g", "w", "e"})
HINT = "write it in the letters of strptime, like %d/%m/%Y %H:%M:%S"


@lru_cache(64)
def written_form(text: str) -> Form:
    """Return the form of a format; without a clock, one may follow the date. Raises UsageError if it is not valid."""
    if "%" not in text or len(text) > 200:
        raise UsageError(f"the time format {text!r} has no letters such as %Y", HINT)
    short = re.sub(r"%([FTRDrc])", lambda found: _SHORT[found[1]], text)
    pattern = ""
    for token in _TOKEN.finditer(short):
        letter, blank, other = token.groups()
        if letter and letter not in _LETTERS:
            raise UsageError(f"the time format {text!r} has the letter %{letter}, which is not known", HINT)
        pattern += _LETTERS[letter] if letter else (" +" if blank else re.escape(other.upper()))
    pattern = pattern.replace(" + ?", " +")
    groups = re.findall(r"\(\?P<([a-z])>", pattern.replace("ZONE", "(?P<z>"))
    twice = {group for group in groups if groups.count(group) > 1}
    if twice:
        raise UsageError(f"the time format {text!r} says one thing twice", HINT)
    if not any(day <= set(groups) for day in _DAYS):
        raise UsageError(f"the time format {text!r} makes no whole date: it needs year, month and day", HINT)
    return Form(text, pattern if _CLOCK & set(groups) else with_clock(pattern))
