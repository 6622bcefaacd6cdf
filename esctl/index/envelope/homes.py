"""Choose the one database whose tables have short names, so that tables of two databases never share a name."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from esctl.index.decode.rows import DIALECTS
from esctl.model import Cursor, PostgresCursor, Stanza


def with_home(stanza: Stanza, cursor: Cursor, known: Iterable[Stanza]) -> Stanza:
    """Return the stanza of a change log with its home: the database that the first change log settled.

    Each dialect names servers in its own way, so only the database is taken over from another dialect.
    """
    if not is_change_log(stanza):
        return stanza
    own = (cursor.system, cursor.database) if isinstance(cursor, PostgresCursor) else ()
    home = stanza.row_home or own
    earlier = [each for each in known if each.row_home]
    alike = next((each.row_home for each in earlier if _family(each) == _family(stanza)), None)
    if alike is not None:
        home = alike
    elif earlier and home:
        home = (home[0], earlier[0].row_home[1] or home[1])
    return replace(stanza, row_home=home, row_origin=own)


def is_change_log(stanza: Stanza) -> bool:
    """Return whether the records of a stanza are changes of rows from a change log."""
    return any(encoding in DIALECTS for _, encoding in stanza.opened)


def _family(stanza: Stanza) -> str:
    """Return the family of dialects to which a stanza's belongs; a family names servers in one way."""
    return stanza.name.partition("_")[0]
