"""An answer to work with in Python, and what it was asked of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.model import Answer, AsOf

if TYPE_CHECKING:
    import pandas
    import pyarrow as pa

    from esctl.ask.scope.scope import Scope


class Relation(Struct, frozen=True):
    """An answer, not yet run, with what it counts and the points it lies between."""

    answer: Answer
    scope: Scope | None = None  # None: it counts no events
    at: AsOf | None = None  # the bound of what is folded
    points: tuple[AsOf | None, ...] = ()  # the other points that were asked for

    def arrow(self) -> pa.Table:
        """Return the answer as an Arrow table, a column per field of a state (`state.balance`)."""
        from esctl.output import to_arrow

        return to_arrow(self.answer)

    def df(self) -> pandas.DataFrame:
        """Return the answer as a pandas DataFrame (needs the extra `pandas`)."""
        return self.arrow().to_pandas()

    def rows(self) -> list[dict[str, Any]]:
        """Return the answer as the dicts that `-f json` prints, numbers with a fraction as Decimal."""
        from esctl.output import to_rows

        rows: list[dict[str, Any]] = to_rows(self.answer)
        return rows

    def page(self, offset: int, limit: int) -> list[dict[str, Any]]:
        """Return at most `limit` rows from the row `offset` (from 0) on, as `rows` gives them."""
        from esctl.output import to_rows

        sql = f"SELECT * FROM ({self.answer.sql}) LIMIT {int(limit)} OFFSET {int(offset)}"
        page: list[dict[str, Any]] = to_rows(replace(self.answer, sql=sql, flat_sql="", ready=None))
        return page

    def has_rows(self) -> bool:
        """Return whether the answer has any row."""
        from esctl.engine.duckdb import explained, single_row

        with explained():
            return single_row(self.answer.session.connection, f"SELECT 1 FROM ({self.answer.sql}) LIMIT 1") is not None

    def cancel(self) -> None:
        """Cancel this answer's running query from another thread; the waiting thread gets an error."""
        self.answer.session.connection.interrupt()
