"""`Relation`: an answer to work with in Python, with its scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import UsageError
from esctl.model import Answer, AsOf, Basis

if TYPE_CHECKING:
    import duckdb
    import pandas
    import polars
    import pyarrow as pa

    from esctl.ask.scope.scope import Scope


class Relation(Struct, frozen=True):
    """An answer that has not run yet, with its scope and its points.

    Each method that gives rows runs the query again. `len`, iteration and truth are those of the rows; Polars, pandas
    and DuckDB read it directly (`__arrow_c_stream__`), and a notebook shows it as a table.
    """

    answer: Answer
    scope: Scope | None = None  # None: the answer counts no events
    at: AsOf | None = None  # the bound on the events that are folded
    points: tuple[AsOf | None, ...] = ()  # the other points that were asked for
    tells_findings: ClassVar[bool] = True  # whether its notes count the findings in its scope

    def __post_init__(self) -> None:
        """Raise UsageError if the answer is bound to a basis, and its projections, what-if or bounds differ."""
        if self.scope is not None and self.scope.bound_to is not None and self.basis is not None:
            from esctl.ask.scope.basis import check_question

            check_question(self.scope.bound_to, self.basis)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows as the dicts that `-f json` prints; numbers with a fraction are Decimal.

        >>> store.replay("account-013", at="2024-02-01").rows()[0]["state"]["balance"]
        Decimal('5488.63')
        """
        from esctl.output import to_rows

        rows: list[dict[str, Any]] = to_rows(self.answer)
        return rows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows as `rows` gives them, read from a temporary file, so that their number does not matter."""
        from esctl.output.frames import iterate_rows

        return iterate_rows(self.answer)

    def __len__(self) -> int:
        from esctl.engine.duckdb import explained, single_row

        with explained():
            counted = self.answer.prepare(f"SELECT count(*) FROM ({self.answer.sql})")
            row = single_row(self.answer.session.connection, counted)
        return int(row[0]) if row else 0

    def __bool__(self) -> bool:
        return self.has_rows()

    def __repr__(self) -> str:
        names = ", ".join(column.name for column in self.answer.columns)
        return f"<{type(self).__name__} {self.answer.title or 'rows'}: {names}>"

    def arrow(self) -> pa.Table:
        """Return the answer as an Arrow table, with a column for each field of a state (`state.balance`).

        >>> store.replay("account-013").arrow().column("state.balance").type
        Decimal128Type(decimal128(18, 2))
        """
        from esctl.output import to_arrow

        return to_arrow(self.answer)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the answer as an Arrow C stream, for `polars.DataFrame(relation)`, a query of DuckDB and others."""
        return self.arrow().__arrow_c_stream__(requested_schema)

    def df(self) -> pandas.DataFrame:
        """Return the answer as a pandas DataFrame (needs the extra `pandas`).

        >>> store.types().df().shape
        (30, 6)
        """
        try:
            import pandas  # noqa: F401  # Arrow would name neither the extra nor how to get it
        except ImportError:
            raise _missing_library("df()", "pandas") from None
        return self.arrow().to_pandas()

    def pl(self) -> polars.DataFrame:
        """Return the answer as a Polars DataFrame (needs the extra `polars`).

        >>> store.types().pl().height
        30
        """
        try:
            import polars
        except ImportError:
            raise _missing_library("pl()", "polars") from None
        return polars.DataFrame(self.arrow())

    def relation(self) -> duckdb.DuckDBPyRelation:
        """Return the answer as a relation of DuckDB, for further queries.

        >>> store.types().relation().aggregate("sum(count)").fetchall()
        [(7155,)]
        """
        from esctl.engine.duckdb import second_cursor

        return second_cursor(self.answer.session.connection).from_arrow(self.arrow())

    def page(self, offset: int, limit: int) -> list[dict[str, Any]]:
        """Return at most `limit` rows, as `rows` gives them, after skipping the first `offset`.

        >>> [row["position"] for row in store.events().page(100, 2)]
        [96, 97]
        """
        from esctl.output import to_rows

        page: list[dict[str, Any]] = to_rows(self.part(offset, limit))
        return page

    def part(self, offset: int, limit: int) -> Answer:
        """Return an answer that has only the rows of one page, for writing it.

        >>> store.events().part(100, 2).title == store.events().answer.title
        True
        """
        sql = f"SELECT * FROM ({self.answer.sql}) LIMIT {int(limit)} OFFSET {int(offset)}"
        return replace(self.answer, sql=sql, flat_sql="", ready=None)

    def has_rows(self) -> bool:
        """Return whether the answer has any row.

        >>> store.when("balance < 0", projection="account").has_rows()
        False
        """
        from esctl.engine.duckdb import explained, single_row

        with explained():
            any_row = self.answer.prepare(f"SELECT 1 FROM ({self.answer.sql}) LIMIT 1")
            return single_row(self.answer.session.connection, any_row) is not None

    def cancel(self) -> None:
        """Cancel this answer's running query from another thread; the waiting thread gets an error."""
        self.answer.session.connection.interrupt()

    @property
    def basis(self) -> Basis | None:
        """What the answer rests on, as `--basis` prints it; None if it counts no events.

        >>> store.replay(at="2024-02-01").basis.bounds
        {'at': '2024-02-01T23:59:59.999999Z'}
        """
        from esctl.ask.scope.basis import basis_of

        if self.scope is None or self.scope.records is None or self.scope.mapping is None:
            return None
        return basis_of(self.scope, self.scope.records, self.scope.mapping, (self.at, *self.points))

    def notes(self) -> list[str]:
        """Return the lines that the command prints on stderr: resolved points, findings in the scope, other notes.

        >>> store.replay("account-013", at="2024-02-01").notes()[0]
        'at 2024-02-01T23:59:59.999999Z, position 7164'
        """
        from esctl.api.said import notes_of

        lines = [] if self.scope is None else notes_of(self.scope, self.at, self.points, findings=self.tells_findings)
        return [*lines, *self.answer.notes]

    def _repr_html_(self) -> str:
        from esctl.api.shown import as_html

        return as_html(self)


def _missing_library(what: str, library: str) -> UsageError:
    return UsageError(f"{what} needs {library}, which is not installed", f"pip install 'esctl-audit[{library}]'")
