"""Questions about changes: differences, the trail, who set each field, how to go back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from esctl.api.asking import ask
from esctl.api.relation import Relation
from esctl.ask.states.folding import folding, folding_each
from esctl.errors import UsageError
from esctl.given import as_tuple
from esctl.store import OpenStore


class Changes(OpenStore):
    """Questions about changes."""

    def diff(
        self,
        a: str,
        b: str,
        *entities: str,
        known_at: str = "",
        projection: str = "",
        without: str | Sequence[str] = (),
        projection_file: Path | str | None = None,
        summary: bool = False,
    ) -> Relation:
        """Return what differs between the states at two points. Takes the arguments of `esctl diff`.

        >>> [(row["field"], row["after"]) for row in store.diff("2024-03-04", "2024-03-05", "account-017")]
        [('balance', Decimal('21326.90')), ('charges', 36), ('largest_charge', Decimal('4950.00'))]
        """
        from esctl.ask.changes.diff import Side, compare

        points = self.point(a, "A"), self.point(b, "B")
        asked = self.scope(entities, projection, known_at, without, projection_file)
        first, second = map(Side, folding_each(asked, *points), points)
        return Relation(ask(self, compare, first, second, summary=summary), second.scope, points=points)

    def diff_known(
        self,
        known_at: str,
        later: str,
        *entities: str,
        at: str = "",
        projection: str = "",
        without: str | Sequence[str] = (),
        projection_file: Path | str | None = None,
        summary: bool = False,
    ) -> Relation:
        """Return what differs between the states as known at two points: `esctl diff --known-at KNOWN_AT LATER`.

        >>> len(store.diff_known("@6000", "@6500", "sku-10*"))
        113
        """
        from esctl.ask.changes.diff import Side, compare

        point, until = self.given(at, "--at"), self.point(later, "B")
        asked = self.scope(entities, projection, known_at, without, projection_file)
        # What became of a row depends on what was known of it.
        before, after = folding(asked, point), folding(replace(asked, known_at=until), point)
        answer = ask(self, compare, Side(before, point), Side(after, point), summary=summary)
        return Relation(answer, after, points=(point, before.known_at))

    def diff_what_if(
        self,
        *entities: str,
        at: str = "",
        known_at: str = "",
        projection: str = "",
        without: str | Sequence[str] = (),
        projection_file: Path | str | None = None,
        summary: bool = False,
        option: str = "--at",
    ) -> Relation:
        """Return what would differ without some events or under other rules: `esctl diff --what-if`.

        `option` is the option that `at` was given as, for messages.

        >>> [row["after"] for row in store.diff_what_if("account-013", without="@4976")]
        [Decimal('13327.00')]
        """
        from esctl.ask.changes.diff import Side, compare

        point = self.given(at, option)
        real = folding(self.scope(entities, projection, known_at), point)
        supposed = folding(self.scope(entities, projection, known_at, without, projection_file), point)
        answer = ask(self, compare, Side(real, point), Side(supposed, point), summary=summary)
        return Relation(answer, supposed, points=(point,))

    def audit(
        self,
        *entities: str,
        actor: str | Sequence[str] = (),
        type: str | Sequence[str] = (),  # noqa: A002  # as the option
        field: str | Sequence[str] = (),
        from_: str = "",
        to: str = "",
        at: str = "",
        before: str = "",
        known_at: str = "",
        projection: str = "",
        with_data: bool = False,
    ) -> Relation:
        """Return the trail, as `esctl audit` does; `with_data` adds a column `data`, the payload of the event.

        >>> for row in store.audit("account-017", field="daily_limit", from_="2024-03-05", to="2024-03-08"):
        ...     print(row["actor"], row["changes"])
        svc-backoffice [{'field': 'daily_limit', 'before': Decimal('1000.00'), 'after': Decimal('5000.00')}]
        svc-backoffice [{'field': 'daily_limit', 'before': Decimal('5000.00'), 'after': Decimal('1000.00')}]
        """
        from esctl.ask.changes.audit import audit
        from esctl.ask.scope.own_times import with_own_times

        bound = self.bound(at, before)
        filters = self.filters(actor, type, field, from_, to)
        scope = folding(self.scope(entities, projection, known_at), bound)
        answer = with_own_times(scope, ask(self, audit, scope, bound, filters, with_data=with_data))
        return Relation(answer, scope, bound, (filters.start, filters.end))

    def blame(
        self,
        *entities: str,
        field: str | Sequence[str] = (),
        all: bool = False,  # noqa: A002  # as the option
        at: str = "",
        before: str = "",
        known_at: str = "",
        projection: str = "",
    ) -> Relation:
        """Return each field of the states with the event that set it; `all`: with every event that contributed.

        >>> [row["actor"] for row in store.blame("account-017", field="daily_limit", at="2024-03-07")]
        ['svc-backoffice']
        """
        from esctl.ask.changes.blame import blame
        from esctl.ask.scope.own_times import with_own_times

        bound = self.bound(at, before)
        scope = folding(self.scope(entities, projection, known_at), bound)
        answer = ask(self, blame, scope, bound, as_tuple(field), every=all)
        return Relation(with_own_times(scope, answer), scope, bound)

    def revert(
        self, *entities: str, to: str = "", known_at: str = "", projection: str = "", as_events: str = ""
    ) -> Relation:
        """Return the changes that take entities back to their state at `to`. Takes the arguments of `esctl revert`.

        >>> [(row["op"], row["field"], row["value"]) for row in store.revert("account-017", to="2024-03-05")]
        [('add', 'balance', Decimal('11495.64')), ('add', 'charges', -6), ('set', 'disputed', [])]
        """
        from esctl.ask.changes.revert import revert

        point = self.given(to, "--to")
        if point is None:
            raise UsageError("missing option '--to'", "say back to when: --to 2024-03-04")
        scope, past = folding_each(self.scope(entities, projection, known_at), None, point)
        answer = revert(scope, point, past)
        if as_events:
            from esctl.ask.changes.event_template import read_template, shape_answer

            answer = shape_answer(answer, read_template(as_events, "--as-events"), "--as-events")
        return Relation(answer, scope, points=(point,))
