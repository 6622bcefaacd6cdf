"""Show UTC times in one zone."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from esctl.engine.quoting import literal
from esctl.errors import UsageError

_OFFSET = re.compile(r"([+-])(\d{2}):?([0-5]\d)")
_UTC = frozenset({"utc", "etc/utc", "z", "+00:00", "-00:00"})


class Zone(Struct, frozen=True):
    """A zone and, where it is a fixed offset, its minutes east of UTC."""

    name: str
    minutes: int | None

    def local_sql(self, utc: str) -> str:
        """Give the SQL of the wall-clock TIMESTAMP of the UTC timestamp `utc`."""
        if self.minutes == 0:
            return utc
        return f"({utc} + to_minutes({self._offset_sql(utc)}))"

    def suffix_sql(self, utc: str) -> str:
        """Give the SQL of the RFC 3339 suffix: `Z`, else the offset `+05:45` that holds at `utc`."""
        if self.minutes == 0:
            return "'Z'"
        offset = self._offset_sql(utc)
        digits = f"lpad((abs({offset}) // 60)::varchar, 2, '0') || ':' || lpad((abs({offset}) % 60)::varchar, 2, '0')"
        return f"case when {offset} < 0 then '-' else '+' end || {digits}"

    def _offset_sql(self, utc: str) -> str:
        if self.minutes is not None:
            return f"({self.minutes})"
        # RFC 3339 has no seconds in an offset; local mean times before about 1900 do, and are shown to the minute.
        return f"(date_diff('second', {utc}, timezone({literal(self.name)}, timezone('UTC', {utc}))) // 60)"


UTC = Zone("UTC", 0)


def find_zone(name: str, connection: Any) -> Zone:
    """Look up a zone by its IANA name or offset, in DuckDB's own tables: the machine may have none.

    Raises UsageError for a name that is no zone.
    """
    if name.lower() in _UTC:
        return UTC
    if match := _OFFSET.fullmatch(name):
        sign, hours, minutes = match.groups()
        if int(hours) < 24:
            return Zone(name, (int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1))
    known = {row[0].lower(): row[0] for row in connection.execute("select name from pg_timezone_names()").fetchall()}
    if name.lower() in known:
        return Zone(known[name.lower()], None)
    close = get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {known[close[0]]}?" if close else "write an IANA name (Europe/Vienna) or an offset (+05:45)"
    raise UsageError(f"unknown time zone {name!r}", hint)
