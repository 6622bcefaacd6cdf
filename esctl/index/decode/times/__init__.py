"""Read times in every form that logs use, in SQL for columns and in Python for options, with one meaning.

`forms` and `epochs` say what is read, as data; `sql` and `python` follow them step by step; `written` reads formats
that a user writes; `columns` reads whole columns.
"""

from esctl.index.decode.times.columns import read_nanos, read_times, times_of_none
from esctl.index.decode.times.epochs import BEYOND, FIRST, stands_for_none
from esctl.index.decode.times.python import parse_instant
from esctl.index.decode.times.reading import Reading, reading_of
from esctl.index.decode.times.sql import time_sql, times_sql

__all__ = [
    "BEYOND",
    "FIRST",
    "Reading",
    "parse_instant",
    "read_nanos",
    "read_times",
    "reading_of",
    "stands_for_none",
    "time_sql",
    "times_of_none",
    "times_sql",
]
