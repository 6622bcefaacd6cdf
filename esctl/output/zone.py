"""Show UTC times in one zone."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from esctl.engine.offsets import offset_sql
from esctl.engine.quoting import literal
from esctl.engine.zones import canonical_name, fixed_minutes

_FIRST, _LAST = "TIMESTAMP '0001-01-02'", "TIMESTAMP '9999-12-31'"
"""Times outside these are shown in UTC: in a zone they may have a year that RFC 3339 cannot write."""


class Zone(Struct, frozen=True):
    """A zone and, if it is a fixed offset, its minutes east of UTC."""

    name: str
    minutes: int | None

    def local_sql(self, utc: str, rfc3339: bool = True) -> str:
        """Return the SQL of the wall-clock TIMESTAMP of the UTC timestamp `utc`.

        RFC 3339 has no seconds in an offset; local mean times before about 1900 do, and are then shown to the minute.
        """
        if self.minutes == 0:
            return utc
        offset = self._offset_sql(utc, lambda seconds: str(seconds // 60 * 60 if rfc3339 else seconds), "BIGINT")
        return f"({utc} + to_seconds(coalesce({offset}, 0)))"

    def suffix_sql(self, utc: str) -> str:
        """Return the SQL of the RFC 3339 suffix: `Z`, else the offset `+05:45` that holds at `utc`."""
        return "'Z'" if self.minutes == 0 else f"coalesce({self._offset_sql(utc, _offset_text, 'VARCHAR')}, 'Z')"

    def _offset_sql(self, utc: str, write: Callable[[int], str], kind: str) -> str:
        if self.minutes is None:
            offset = offset_sql(utc, self.name, write=write, kind=kind)
        else:
            offset = f"CAST({literal(write(self.minutes * 60))} AS {kind})"
        return f"CASE WHEN {utc} >= {_FIRST} AND {utc} < {_LAST} THEN {offset} END"


UTC = Zone("UTC", 0)


def _offset_text(seconds: int) -> str:
    minutes = seconds // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def zone_called(name: str) -> Zone:
    """Look up a zone by its IANA name or offset. Raises UsageError for a name that is not a zone."""
    minutes = fixed_minutes(name)
    if minutes == 0:
        return UTC
    return Zone(canonical_name(name) if minutes is None else name, minutes)
