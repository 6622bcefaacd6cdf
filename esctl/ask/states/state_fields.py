"""The states of one projection as SQL, and what is known of their fields before they are computed."""

from __future__ import annotations

from msgspec import Struct

from esctl.projection.values import Shape


class StateField(Struct, frozen=True):
    """A field of states and its column of JSON text.

    `static`: NUMBER, STRING, BOOLEAN or CONTAINER, if it is that whenever it is set; `number`: its SQL type, if it is
    always a number and one type holds all of them.
    """

    name: str
    column: str
    shape: Shape | None = None  # that holds its numbers
    number: str = ""
    static: str = ""
    scaled: bool = False  # `number` is a declared DECIMAL type with digits after the point

    @property
    def is_number_as_text(self) -> bool:
        """Return whether it has numbers that no DECIMAL holds together, so that its values are text."""
        return not self.number and self.static == "NUMBER"


class States(Struct, frozen=True):
    """The states of one projection: SQL with kind, entity, version, position, time, deleted and a column per field."""

    sql: str
    fields: tuple[StateField, ...]

    streamed: bool = False  # the one column `state` holds all fields, whose own columns are SQL over it
    names: frozenset[str] = frozenset()  # of all fields, if `fields` does not list them all
    ordered: bool = False  # the rows come sorted by kind, entity and key, none of them twice

    @property
    def known(self) -> frozenset[str]:
        """Return the names of the fields."""
        return self.names or frozenset(field.name for field in self.fields)


WHOLE = (StateField("*", "state", static="CONTAINER"),)
"""The one field of a state with too many: the whole state."""
