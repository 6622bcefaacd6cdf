"""Times without a year, as syslog has them (RFC 3164): completed if the year is given, never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TEXT = pa.large_string()
_NAMES = "|".join(MONTHS)
_YEARLESS = (
    rf"\A(?P<month>{_NAMES})[a-z]* +(?P<day>[0-9]{{1,2}}) "
    r"(?P<clock>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?)\z"
)
_FIRST = re.compile(rb"\b(%s)[a-z]* [ 0-3]?[0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}(?! [0-9]{4})" % _NAMES.encode())
_YEAR = re.compile(rb"\b(?:19|20)[0-9]{2}\b")


def first_month(head: bytes) -> str:
    """Return the month ("1" to "12") of the time without a year in a source's first line, or "" if it has none."""
    line = head.lstrip().partition(b"\n")[0]
    found = _FIRST.search(line[:4096])
    if found is None or _YEAR.search(line, 0, found.start()):
        return ""
    return str(MONTHS.index(found[1].decode()) + 1)


def with_years(column: Any, dialect: Mapping[str, str]) -> Any:
    """Return a column with a year added to times without one, if the dialect has that of the first record.

    A month before that of the first record is in the next year: a log is assumed to span less than a year.
    """
    if "year" not in dialect:
        return column
    found = pc.extract_regex(column, _YEARLESS)
    if found.null_count == len(found):
        return column
    names = pc.struct_field(found, "month").cast(_TEXT)
    month = pc.add(pc.index_in(names, value_set=pa.array(MONTHS, _TEXT)), 1)
    year = pc.add(int(dialect["year"]), pc.less(month, int(dialect.get("month", "1"))).cast(pa.int32()))
    day, clock = (pc.struct_field(found, name).cast(_TEXT) for name in ("day", "clock"))
    date = pc.binary_join_element_wise(year.cast(_TEXT), names, day, pa.scalar("-", _TEXT))
    whole = pc.binary_join_element_wise(date, clock, pa.scalar(" ", _TEXT))
    return pc.if_else(pc.is_valid(found), whole, column)
