"""Tables of versions of rows, each with its start and end: slowly changing dimensions, histories kept by triggers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from esctl.index.decode.rows.change import Row, RowChange, unmarked
from esctl.index.decode.rows.messages import message_of, opened

VERSION = "version"
"""The type of a version."""
PERIODS = (
    ("_valid_from", "_valid_to"), ("valid_from", "valid_to"), ("dbt_valid_from", "dbt_valid_to"),
    ("_fivetran_start", "_fivetran_end"), ("_airbyte_start_at", "_airbyte_end_at"), ("SysStartTime", "SysEndTime"),
    ("ValidFrom", "ValidTo"), ("sys_start", "sys_end"), ("row_start", "row_end"), ("ROW_START", "ROW_END"),
    ("effective_from", "effective_to"), ("__START_AT", "__END_AT"), ("_ab_cdc_updated_at", ""),
    ("_fivetran_synced", ""),
)  # fmt: skip
"""The columns of the start and end of a version; the end may be missing."""
_RANGES = ("sys_period", "_period")
_PLAIN = {"valid_from", "effective_from", "ValidFrom"}
"""Starts that other records have too: a version must have the end as well, and no column of an event."""
_OF_EVENTS = {"event", "event_type", "eventType", "time", "timestamp", "occurred_at"}
NAMES = ("id", "_id", "ID", "Id", "uuid", "key", "code", "_airbyte_unique_key")
_RANGE = re.compile(r'\s*[\[(]\s*"?([^",]*)"?\s*,\s*"?([^",]*)"?\s*[\])]\s*\Z')
_NO_END = re.compile(
    r"\+?(?:99\d\d-|2999-|3000-|2099-12-31|2106-02-07|2038-01-19[ T]03:14:07|2262-04-11)|infinity"
    r"|\d\d?[/.]\d\d?[/.](?:9999|2999)|(?:null|none|nat)?\s*\Z",
    re.IGNORECASE,
)
"""Matches the start of ends that mean no end."""
_FAR = 4_070_908_800
"""Seconds since 1970 of the year 2099: a larger number as an end means no end."""
_LAST_DAY = range(253_402_214_400, 253_402_300_801)
"""Seconds since 1970 of the last day of the year 9999."""
_ENDED = ("dbt_is_deleted", "_fivetran_deleted", "_airbyte_deleted", "is_deleted", "_ab_cdc_deleted_at")
"""Columns that say that the row of a version was deleted."""


def read(record: Any) -> RowChange | None:
    """Read a record as a version of a row, or as its deletion if it says so; None if it is neither."""
    record = _row_of(record)
    if not isinstance(record, dict) or not (names := _key(record)):
        return None
    period = _period(record)
    if period is None:
        return None
    begin, end = period
    return RowChange(
        "delete" if any(_is_true(record.get(name)) for name in _ENDED) else VERSION,
        "",
        "",
        record,
        key=names,
        time=begin,
        until=None if _is_open(end) else end,
    )


def _row_of(record: Any) -> Any:
    """Return the row in a message or in a record of Airbyte; any other record is the row itself."""
    record = message_of(record).value
    if not isinstance(record, dict):
        return record
    if isinstance(told := record.get("record"), dict) and record.get("type") == "RECORD":
        return told.get("data")
    return opened(record.get("_airbyte_data", record))


def _is_open(end: Any) -> bool:
    """Return whether the end of a version means that it has none."""
    told = unmarked(end)
    if isinstance(told, str) and re.fullmatch(r"\d{9,18}", told):
        told = int(told)
    if isinstance(told, int | float) and not isinstance(told, bool):
        return told in _LAST_DAY or told / (1 if told < 10**11 else 1000 if told < 10**15 else 10**6) > _FAR
    return told is None or (isinstance(told, str) and _NO_END.match(told) is not None)


def _is_true(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() not in ("", "false", "f", "0", "no", "null"))


def _period(record: Row) -> tuple[Any, Any] | None:
    for begin, end in PERIODS:
        is_plain = begin in _PLAIN
        if record.get(begin) is not None and not (is_plain and (end not in record or _OF_EVENTS & record.keys())):
            return record[begin], record.get(end)
    for name in _RANGES:
        told = record.get(name)
        if isinstance(found := opened(told), list) and len(found) == 2:
            return found[0], found[1]
        if isinstance(told, str) and (parts := _RANGE.match(told)):
            return parts[1] or None, parts[2]
    return None


def _key(record: Row) -> tuple[str, ...]:
    """Return the column that the versions of a row most likely share; () if there is none."""
    return next(((name,) for name in _candidates(record)), ())


_NAMING = re.compile(
    r"(?!dbt_|_fivetran|_airbyte).*(?:_(?:id|key|code|no|number|nk|bk|uuid)|[a-z](?:Id|ID|Key|Code))\Z"
)


def _candidates(record: Row) -> list[str]:
    others = [name for name in record if name not in NAMES and _NAMING.match(name)]
    return [name for name in (*NAMES, *others) if record.get(name) is not None]


def learned_key(records: Sequence[Any]) -> tuple[str, ...]:
    """Return the column that the versions of a row share, by some records of a table; () if there is none.

    A column is preferred if versions share its values and those of each value follow one another: it is the key even
    if each version has a number of its own as well.
    """
    rows = [row for row in map(_row_of, records) if isinstance(row, dict) and _period(row) is not None]
    names = [name for name in (_candidates(rows[0]) if rows else ()) if all(row.get(name) is not None for row in rows)]
    for name in names:
        versions: dict[str, list[tuple[str, str]]] = {}
        for row in rows:
            begin, end = _period(row) or ("", "")
            versions.setdefault(repr(row[name]), []).append((str(unmarked(begin)), _end_for_sorting(end)))
        if any(len(each) > 1 for each in versions.values()) and all(map(_follow_each_other, versions.values())):
            return (name,)
    return tuple(names[:1])


def _end_for_sorting(end: Any) -> str:
    return "~" if _is_open(end) else str(unmarked(end))  # sorts after all digits


def _follow_each_other(versions: list[tuple[str, str]]) -> bool:
    """Return whether each version begins only after the one before it has ended."""
    ordered = sorted(dict.fromkeys(versions))
    return all(one[0] < two[0] and one[1] <= two[0] for one, two in pairwise(ordered))
