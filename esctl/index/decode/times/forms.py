"""The forms of times that have a calendar date, as patterns that RE2 and `re` read alike.

Text is tidied first (`TIDY`, `STEPS`), and is in upper case. The names of groups say what is in them: y year, m month,
b the name of a month, d day, j day of the year, g w e year, week and day of ISO weeks, h hour, i minute, s second,
f fraction, n nanoseconds, p the letter of AM or PM, z zone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

DATE = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK_PLAIN = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
OFFSET = r"(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
ZONED = rf"{DATE}[T ]{_CLOCK_PLAIN}{OFFSET}"
LOCAL = rf"{DATE}(?:[T ]{_CLOCK_PLAIN})?"
"""RFC 3339 and what DuckDB casts itself: the forms that most logs have."""

PIVOT = 69
"""Years of two digits are 1969 to 2068, as in POSIX."""
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MONTH = rf"(?P<b>{'|'.join(MONTHS)})[A-Z]*\.?"
_YEAR = r"(?P<y>[0-9]{4})"
_SHORT_YEAR = r"(?P<y>[0-9]{4}|[0-9]{2})"
_MONTH = r"(?P<m>[0-9]{1,2})"
_DAY = r"(?P<d>[0-9]{1,2})"
HALF = r"(?: ?(?P<p>[AP])\.?M\.?)?"
CLOCK = r"(?P<h>[0-9]{1,2})[:.](?P<i>[0-9]{2})(?:[:.](?P<s>[0-9]{2})(?:[.,:](?P<f>[0-9]+))?)?"
_TIGHT = r"(?P<h>[0-9]{2}):?(?P<i>[0-9]{2})(?::?(?P<s>[0-9]{2})(?:[.,]?(?P<f>[0-9]+))?)?"
_DOTTED = r"(?P<h>[0-9]{2})\.(?P<i>[0-9]{2})\.(?P<s>[0-9]{2})(?:\.(?P<f>[0-9]+))?"
_BETWEEN = r"(?:[T_:] ?|,? +(?:AT +)?|,)"
_SIZE = r"[+-](?:[01]?[0-9]|2[0-3])(?::?[0-5][0-9])?"

BASIC_DAY = r"(?:1[89]|2[01])[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
BASIC = rf"{BASIC_DAY}(?:(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9](?:[0-9]{{3}})?)?)?"
"""Digits that are a date, or a date and clock to the minute, second or millisecond, not an epoch number."""

TIDY = (("\u00a0", " "), ("\u202f", " "))
"""Blanks that browsers write before AM and PM."""
ASCII = r"[ -~]+"
STEPS: tuple[tuple[str, str], ...] = (
    (r"^(?:MON|TUE|WED|THU|FRI|SAT|SUN)[A-Z]*[,.]? +", ""),
    (r" *\([A-Z ]+\)$", ""),
    (rf"(Z|{_SIZE})(?:\[[^\[\]]*\])+$", r"\1"),
    (rf"( {_SIZE}) [A-Z]{{3,5}}(?: M=[+-][0-9.]+)?$", r"\1"),
    (r"""^(?:\[|(?:ISODATE\()?["'])([0-9]{1,4}[-/.][^"',\[\]]+)(?:\]|["']\)?)$""", r"\1"),
    (r" UHR$", ""),
)
"""Replacements, in order: names of days, comments (RFC 5322), names of zones after an offset (RFC 9557, Go), what
access logs, shells and scripts put around a time, the German word after a clock."""

ORDERS = {"day-first": "dmy", "month-first": "mdy", "year-first": "ymd"}
"""How dates of three numbers can be read, unless they begin with a year of four digits."""


class Form(Struct, frozen=True):
    """A pattern for whole times, with `ZONE` in place of the known zones."""

    name: str
    pattern: str

    @property
    def groups(self) -> list[str]:
        """List the names of its groups."""
        return re.findall(r"\(\?P<([a-z])>", self.pattern)


def with_clock(date: str, clock: str = CLOCK) -> str:
    """Write the pattern of a date that a clock may follow."""
    return rf"{date}(?:{_BETWEEN}{clock}{HALF}ZONE)?"


FORMS: tuple[Form, ...] = (
    Form("year first", with_clock(rf"{_YEAR}[-/.]{_MONTH}[-/.]{_DAY}")),
    Form("day, name of month", with_clock(rf"{_DAY}(?:ST|ND|RD|TH)?[-/ .]{{0,2}}{MONTH}[-/ .,]{{0,2}}{_SHORT_YEAR}")),
    Form("name of month, day", with_clock(rf"{MONTH}[-/ .]{{1,2}}{_DAY}(?:ST|ND|RD|TH)?,?[-/ ]{{1,2}}{_YEAR}")),
    Form("asctime", rf"{MONTH} +{_DAY},? +{CLOCK}{HALF}ZONE +{_YEAR}"),
    Form("asctime, zone last", rf"{MONTH} +{_DAY},? +{CLOCK}{HALF} +{_YEAR}ZONE"),
    Form("year, name of month", with_clock(rf"{_YEAR}[-/ .]?{MONTH}[-/ .]?{_DAY}")),
    Form("DB2", rf"{_YEAR}-{_MONTH}-{_DAY}-{_DOTTED}"),
    Form(
        "basic",
        rf"(?P<y>(?:1[89]|2[01])[0-9]{{2}})(?P<m>[0-9]{{2}})(?P<d>[0-9]{{2}})(?:[T _-]?{_TIGHT}{HALF}ZONE)?",
    ),
    Form("ISO week", rf"(?P<g>[0-9]{{4}})-?W(?P<w>[0-9]{{2}})-?(?P<e>[1-7])(?:[T ]{_TIGHT}ZONE)?"),
    Form("day of the year", rf"{_YEAR}-?(?P<j>[0-9]{{3}})(?:[T ]{_TIGHT}ZONE)?"),
    Form(
        "array",
        rf"\[{_YEAR}, ?{_MONTH}, ?{_DAY}(?:, ?(?P<h>[0-9]{{1,2}}), ?(?P<i>[0-9]{{1,2}})"
        r"(?:, ?(?P<s>[0-9]{1,2})(?:, ?(?P<n>[0-9]{1,9}))?)?)?\]",
    ),
)
"""The forms that are read in every source; for dates of three numbers see `numbered`."""


def numbered(order: str) -> Form:
    """Return the form of dates of three numbers in an order: dmy, mdy or ymd."""
    size = {"y": "[0-9]{4}|[0-9]{2}", "m": "[0-9]{1,2}", "d": "[0-9]{1,2}"}
    if order == "ymd":
        size["y"] = "[0-9]{2}"
    date = "[-/.]".join(f"(?P<{part}>{size[part]})" for part in order)
    return Form(order, with_clock(date))


_COUNT = r'"?(-?[0-9]{1,19})"?'
_SECONDS = r'"_?(?:SECONDS?|SECS?|EPOCHSECONDS?|T)"'
_FINE = r'"_?(?:NANOS?|NANOSECONDS?|NANOOFSECOND|NSECS?)"'
COUNTED: tuple[tuple[str, str, str], ...] = (
    (rf"\\?/?(?:NEW )?DATE\({_COUNT}(?:[+-][0-9]{{4}})?\)\\?/?", r"\1", "milliseconds"),
    (rf'\{{ *"\$DATE" *: *{_COUNT} *\}}', r"\1", "milliseconds"),
    (rf'\{{ *"\$DATE" *: *\{{ *"\$NUMBERLONG" *: *{_COUNT} *\}} *\}}', r"\1", "milliseconds"),
    (rf"\{{ *{_SECONDS} *: *{_COUNT} *\}}", r"\1", "seconds"),
    (rf'\{{ *"\$TIMESTAMP" *: *\{{ *"T" *: *{_COUNT} *, *"I" *: *[0-9]+ *\}} *\}}', r"\1", "seconds"),
)
"""Numbers in a wrapping that gives their unit: pattern, the group of the number, unit."""
FINE_COUNTED = (
    rf"\{{ *{_SECONDS} *: *{_COUNT} *, *{_FINE} *: *\"?([0-9]{{1,9}})\"? *\}}",
    rf"\{{ *{_FINE} *: *\"?([0-9]{{1,9}})\"? *, *{_SECONDS} *: *{_COUNT} *\}}",
)
"""Seconds and nanoseconds side by side, in either order."""
WRAPPED = (r'^\{ *"\$DATE" *: *"([^"]*)" *\}$', r"\1")
"""Text in a wrapping that says that it is a time."""


def zone_pattern(names: Sequence[str] = ()) -> str:
    """Write the pattern of a zone that may follow a clock: UTC, an offset, or one of some names."""
    more = "".join(f"|{re.escape(name)}" for name in sorted(names, key=lambda name: (-len(name), name)))
    return rf"(?: *(?P<z>Z|(?:GMT|UTC|UT)?{_SIZE}|GMT|UTC|UT{more}))?"
