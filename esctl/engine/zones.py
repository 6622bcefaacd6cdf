"""Time zones, from the package tzdata alone: a machine's own tables and DuckDB's are other releases, and not used."""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from functools import lru_cache

from esctl.errors import UsageError

_PACKAGE = "tzdata"
_OFFSET = r"([+-])([01][0-9]|2[0-3]):?([0-5][0-9])"
_NAMES_OF_UTC = frozenset({"utc", "etc/utc", "z"})


def version() -> str:
    """Return the release of the zones, such as 2026f."""
    import tzdata

    return str(tzdata.IANA_VERSION)


def fixed_minutes(name: str) -> int | None:
    """Read an offset such as `+05:45`, or a name of UTC, as minutes east of UTC; None for the name of a zone."""
    if name.lower() in _NAMES_OF_UTC:
        return 0
    match = re.fullmatch(_OFFSET, name)
    return (int(match[2]) * 60 + int(match[3])) * (-1 if match[1] == "-" else 1) if match else None


@lru_cache(maxsize=16)
def find_zone(name: str) -> tzinfo:
    """Look a zone up by its IANA name, in any case, or read an offset. Raises UsageError for anything else.

    If a clock shows a time twice, `fold=0` is the first; one that it skips is read with the offset before the gap.
    """
    minutes = fixed_minutes(name)
    if minutes is not None:
        return timezone(timedelta(minutes=minutes))
    import io
    from zoneinfo import ZoneInfo

    known = canonical_name(name)
    return ZoneInfo.from_file(io.BytesIO(zone_bytes(known)), key=known)


def canonical_name(name: str) -> str:
    """Return the IANA name of a zone, spelled as in the database. Raises UsageError if it is not there."""
    known = names()
    found = known.get(name.lower())
    if found is None:
        import difflib

        close = difflib.get_close_matches(name.lower()[:64], known, n=1)
        hint = (
            f"did you mean {known[close[0]]}?" if close else "write an IANA name (Europe/Vienna) or an offset (+05:45)"
        )
        raise UsageError(f"unknown time zone {name!r}", hint)
    return found


def zone_bytes(name: str) -> bytes:
    """Read a zone's TZif file (RFC 9636); `name` is spelled as in the database."""
    return _resource(f"zoneinfo/{name}")


def zone_fingerprint(name: str) -> str:
    """Return what times read in a zone depend on: its name, and a digest of its data if it is in the database."""
    if fixed_minutes(name) is not None:
        return name
    import hashlib

    return f"{name} {hashlib.sha256(zone_bytes(canonical_name(name))).hexdigest()[:16]}"


@lru_cache(maxsize=1)
def names() -> dict[str, str]:
    """Return the names of all zones, by their lower-case form."""
    return {name.lower(): name for name in _resource("zones").decode().split()}


def _resource(path: str) -> bytes:
    import pkgutil

    found = pkgutil.get_data(_PACKAGE, path)
    assert found is not None, "the package is installed as files"
    return found
