"""Questions about states: at a point, when a condition held, over time, and whether a system agrees with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from esctl.api.asking import ask
from esctl.api.relation import Relation
from esctl.ask.states.folding import folding
from esctl.errors import UsageError
from esctl.given import as_tuple
from esctl.store import OpenStore

if TYPE_CHECKING:
    from esctl.ask.compare.live_table import LiveTable
    from esctl.ask.over_time.series import Sampling
    from esctl.ask.over_time.when import Moments
    from esctl.engine.isolated import Sandbox
    from esctl.output.charts.spec import Words


class MomentsRelation(Relation, frozen=True, kw_only=True):
    """The moments at which a condition on the state turned true."""

    moments: Moments

    def counted(self) -> Relation:
        """Return one row: how many entities and how many intervals there are.

        >>> store.when("balance > 20000", which="every", projection="account").counted().rows()
        [{'entities': 17, 'intervals': 37}]
        """
        from esctl.ask.over_time.when import count

        return Relation(count(self.answer), self.scope, points=self.points)

    def held(self) -> bool:
        """Return whether the condition held at any moment between the bounds, even if it turned true before them.

        >>> store.when("balance < 0", projection="account").held()
        False
        """
        from esctl.ask.over_time.when import overlapping_intervals

        assert self.scope is not None
        answer = overlapping_intervals(self.scope, self.moments)
        return Relation(answer, self.scope, points=self.points).has_rows()


class ReconciledRelation(Relation, frozen=True, kw_only=True):
    """The differences between a system's own table and the log's state."""

    differs: bool


class SeriesRelation(Relation, frozen=True, kw_only=True):
    """The values of an aggregate over a grid of times; a notebook draws them."""

    sampling: Sampling

    def chart(self, suffix: str = ".svg", tz: str = "UTC") -> bytes:
        """Draw the series (needs the extra `plot`). Raises UsageError if the values are not numbers, or too many.

        >>> Path("balances.png").write_bytes(store.series("sum(balance)", projection="account").chart(".png")) > 0
        True
        """
        from esctl.output.charts.draw import draw
        from esctl.output.charts.points import read_lines

        return draw(read_lines(self.answer, tz, "a chart"), self._words(tz), suffix)

    def _words(self, tz: str = "UTC") -> Words:
        from esctl.ask.scope.basis import to_lines
        from esctl.output.charts.spec import Words

        wanted = self.sampling
        of = f" of {', '.join(self.scope.entities)}" if self.scope is not None and self.scope.entities else ""
        title = f"{wanted.expression}{of}{f' by {wanted.by}' if wanted.by else ''}, every {wanted.every}"
        caption = [] if self.basis is None else to_lines(self.basis)
        return Words(title, wanted.expression, wanted.by, tz, tuple(caption))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from esctl.output.charts.draw import notebook
        from esctl.output.charts.points import read_lines

        plain = {"text/plain": repr(self), "text/html": self._repr_html_()}
        try:
            return {**plain, **notebook(read_lines(self.answer, "UTC", "a chart"), self._words())}
        except UsageError:  # it cannot be drawn: no numbers, or too many
            return plain


class States(OpenStore):
    """Questions about states."""

    def replay(
        self,
        *entities: str,
        at: str = "",
        before: str = "",
        known_at: str = "",
        projection: str = "",
        where: str = "",
        deleted: bool = False,
        without: str | Sequence[str] = (),
        projection_file: Path | str | None = None,
    ) -> Relation:
        """Return the state of each entity at a point in time. Takes the arguments of `esctl replay`.

        >>> for row in store.replay("account-01*", at="2024-02-01", where="balance > 13000"):
        ...     print(row["entity"], row["state"]["balance"])
        account-019 16064.64
        """
        from esctl.ask.scope.own_times import with_own_times
        from esctl.ask.scope.unseen import unseen_note
        from esctl.ask.states.replay import replay

        bound = self.bound(at, before)
        scope = folding(self.scope(entities, projection, known_at, without, projection_file), bound)
        answer = with_own_times(scope, ask(self, replay, scope, bound, where, deleted=deleted))
        line = unseen_note(scope, bound)
        return Relation(replace(answer, notes=(*answer.notes, line)) if line else answer, scope, bound)

    def when(
        self,
        predicate: str,
        *entities: str,
        which: Literal["first", "last", "every"] = "first",
        from_: str = "",
        to: str = "",
        each_event: bool = False,
        known_at: str = "",
        projection: str = "",
        without: str | Sequence[str] = (),
        projection_file: Path | str | None = None,
        with_state: bool = False,
    ) -> MomentsRelation:
        """Return the moments at which a condition on the state turned true. Takes the arguments of `esctl when`.

        `with_state` adds a column `state`: the state at that moment.

        >>> for row in store.when("daily_limit > 4000", from_="2024-03-05", to="2024-03-06"):
        ...     print(row["entity"], row["start"], row["actor"])
        account-017 2024-03-05T02:09:11Z svc-backoffice
        account-041 2024-03-06T02:10:03Z svc-backoffice
        """
        from esctl.ask.over_time.when import Moments, when

        bounds = self.span(from_, to)
        scope = folding(self.scope(entities, projection, known_at, without, projection_file))
        moments = Moments(predicate, which, *bounds, each_event, with_state)
        return MomentsRelation(ask(self, when, scope, moments), scope, points=bounds, moments=moments)

    def series(
        self,
        expression: str,
        *entities: str,
        every: str = "1d",
        by: str = "",
        from_: str = "",
        to: str = "",
        known_at: str = "",
        projection: str = "",
    ) -> SeriesRelation:
        """Return an aggregate over all states at each point of a grid of times. Takes the arguments of `esctl series`.

        >>> for row in store.series("sum(balance)", every="1mo", projection="account"):
        ...     print(row["time"], row["value"])
        2024-02-01T00:00:00Z 346205.23
        2024-03-01T00:00:00Z 516826.83
        2024-04-01T00:00:00Z 644613.93
        """
        from esctl.ask.over_time.series import Sampling, series

        bounds = self.span(from_, to)
        scope = folding(self.scope(entities, projection, known_at))
        sampling = Sampling(expression, every, by, *bounds)
        return SeriesRelation(ask(self, series, scope, sampling), scope, points=bounds, sampling=sampling)

    def reconcile(
        self,
        file: Path | str,
        *entities: str,
        at: str = "",
        before: str = "",
        known_at: str = "",
        projection: str = "",
        key: str = "",
        ignore: str | Sequence[str] = (),
        all_fields: bool = False,
        null: str | None = None,
        decimal: str | None = None,
        encoding: str | None = None,
        header: bool | None = None,
        input_format: str = "",
        records_path: str | None = None,
        time_format: str | Sequence[str] = (),
    ) -> ReconciledRelation:
        """Compare a system's own table with the log's state. Takes the arguments of `esctl reconcile`.

        >>> Path("bank.csv").write_text("entity,balance\\naccount-013,1.00\\n")
        32
        >>> [(row["field"], row["log"], row["file"]) for row in store.reconcile("bank.csv", "account-013")]
        [('balance', Decimal('13333.66'), '1.00')]
        """
        from esctl.ask.compare.external_table import FileOptions
        from esctl.ask.compare.reconcile import Comparison, compare, reconcile

        options = FileOptions(null, decimal, encoding, header, input_format, records_path)
        how = Comparison(key, as_tuple(ignore), all_fields, options, as_tuple(time_format))
        live = self._live_table(file, as_tuple(ignore), key)
        if live is not None:
            entities = entities or ((live.entities,) if live.entities else ())
            before = before or ("" if at else live.before)
        bound = self.bound(at, before)
        scope = folding(self.scope(entities, projection, known_at), bound)
        found = reconcile(scope, Path(file), bound, how) if live is None else compare(scope, live.table, bound, how)
        return ReconciledRelation(found.answer, scope, bound, differs=found.differs)

    def _live_table(self, file: Path | str, ignored: Sequence[str], key: str) -> LiveTable | None:
        from esctl.ask.compare.live_table import is_live, read_live

        if not isinstance(file, str) or not is_live(file):
            return None
        return read_live(self.session, file, ignored, key, self.store_state.cursors, self.scope().view.manifest.stanzas)

    def sql(
        self,
        query: str,
        *,
        known_at: str = "",
        projection: str = "",
        timeout: float = 60,
        limit: int | None = None,
        sandbox: Sandbox | None = None,
    ) -> Relation:
        """Return the rows of a SELECT over events and states. Takes the arguments of `esctl sql`.

        The query runs at once, in a process of its own that ends with it; `sandbox` is one that was started earlier.

        >>> store.sql("select count(*) n from events where type = 'MoneyDeposited'").rows()
        [{'n': 1179}]
        """
        from esctl.ask.sql.sql import sql
        from esctl.engine.isolated import Limits, Sandbox

        if sandbox is None:
            with Sandbox() as own:
                return self.sql(
                    query, known_at=known_at, projection=projection, timeout=timeout, limit=limit, sandbox=own
                )
        scope = self.scope((), projection, known_at)
        answer, points = sql(scope, query, Limits(self.memory_limit, timeout, limit), sandbox)
        return Relation(answer, scope, points=points)
