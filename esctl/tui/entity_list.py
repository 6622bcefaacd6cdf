"""The list of entities: asked for once and kept as columns; only the rows that are seen become values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from esctl.engine.quoting import glob_regex
from esctl.tui.values import Entity, Sort

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

SORTS: tuple[Sort, ...] = ("name", "events", "first", "last")


class ListedEntity(Struct, frozen=True):
    """One row of the list. Times are microseconds since the epoch."""

    entity: Entity
    events: int
    first: int | None
    last: int | None


class Entities(Protocol):
    """Entities in the order and the selection that are asked for. `whole` is false while only the first are known."""

    whole: bool

    def __len__(self) -> int:
        """Return how many are selected."""

    @property
    def total(self) -> int:
        """How many there are without a filter."""

    def row(self, index: int) -> ListedEntity:
        """Return a row."""

    def entity(self, index: int) -> Entity:
        """Return the entity of a row."""

    def kinds(self) -> list[str]:
        """Return the kinds, by name."""

    def index_of(self, entity: Entity | None) -> int | None:
        """Return the row of an entity; None if it is not listed."""

    def arrange(self, text: str = "", kind: str = "", sort: Sort = "name") -> Entities:
        """Return the entities whose name holds a text, or matches it if it has wildcards, in an order.

        By name is as `esctl entities` lists them, by kind first; by numbers and times the greatest come first.
        """


class FirstEntities:
    """The first entities, shown until all are known; they are neither filtered nor sorted."""

    whole = False

    def __init__(self, rows: Sequence[ListedEntity] = ()) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def total(self) -> int:
        """The number of entities."""
        return len(self._rows)

    def row(self, index: int) -> ListedEntity:
        """Return a row."""
        return self._rows[index]

    def entity(self, index: int) -> Entity:
        """Return the entity of a row."""
        return self._rows[index].entity

    def kinds(self) -> list[str]:
        """Return no kinds: they are not known yet."""
        return []

    def index_of(self, entity: Entity | None) -> int | None:
        """Return the row of an entity; None if it is not listed."""
        return next((at for at, row in enumerate(self._rows) if row.entity == entity), None)

    def arrange(self, text: str = "", kind: str = "", sort: Sort = "name") -> FirstEntities:
        """Return the list unchanged."""
        return self


class EntityList:
    """All entities of a table with the columns of `esctl entities`."""

    whole = True

    def __init__(self, table: pa.Table, rows: npt.NDArray[np.int64] | None = None) -> None:
        import numpy as np

        self.table = table.combine_chunks()
        self.rows = np.arange(self.total, dtype=np.int64) if rows is None else rows

    @property
    def total(self) -> int:
        """How many there are without a filter."""
        return int(self.table.num_rows)

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> ListedEntity:
        """Return a row."""
        row = int(self.rows[index])
        cells = {name: self.table[name][row] for name in ("events", "first", "last")}
        first, last = (cells[name].value if cells[name].is_valid else None for name in ("first", "last"))
        return ListedEntity(self.entity(index), int(cells["events"].as_py()), first, last)

    def entity(self, index: int) -> Entity:
        """Return the entity of a row."""
        row = int(self.rows[index])
        return Entity(self.table["entity"][row].as_py(), self.table["kind"][row].as_py() or "")

    def kinds(self) -> list[str]:
        """Return the kinds, by name."""
        import pyarrow.compute as pc

        return sorted(kind for kind in pc.unique(self.table["kind"]).to_pylist() if kind is not None)

    def index_of(self, entity: Entity | None) -> int | None:
        """Return the row of an entity; None if it is not listed."""
        import numpy as np
        import pyarrow.compute as pc

        if entity is None:
            return None
        same = pc.and_(pc.equal(self.table["entity"], entity.name), pc.equal(self.table["kind"], entity.kind))
        at = pc.index(same, True).as_py()
        found: list[int] = np.flatnonzero(self.rows == at).tolist() if at >= 0 else []
        return found[0] if found else None

    def arrange(self, text: str = "", kind: str = "", sort: Sort = "name") -> EntityList:
        """Return the entities that match, in an order."""
        return EntityList(self.table, _sort_rows(self.table, _matching_rows(self.table, text, kind), sort))


def _matching_rows(table: Any, text: str, kind: str) -> npt.NDArray[np.int64]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = pa.array(np.ones(table.num_rows, dtype=bool))
    if kind:
        mask = pc.and_(mask, pc.equal(table["kind"], kind))
    if "*" in text or "?" in text:
        mask = pc.and_(mask, pc.match_substring_regex(table["entity"], glob_regex(text)))
    elif text:
        mask = pc.and_(mask, pc.match_substring(table["entity"], text))
    mask = mask.combine_chunks() if isinstance(mask, pa.ChunkedArray) else mask
    return np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False)).astype(np.int64)


def _sort_rows(table: Any, rows: npt.NDArray[np.int64], sort: Sort) -> npt.NDArray[np.int64]:
    import pyarrow.compute as pc

    if sort == "name":
        return rows
    keys: Sequence[tuple[str, str]] = [(sort, "descending")]
    order = pc.sort_indices(table.select([sort]).take(rows), sort_keys=keys)
    sorted_rows: npt.NDArray[np.int64] = rows[order.to_numpy()]
    return sorted_rows
