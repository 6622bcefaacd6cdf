"""Questions about the events themselves, and about the health of a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from esctl.api.relation import Relation
from esctl.given import as_tuple
from esctl.store import OpenStore


class OccurrencesRelation(Relation, frozen=True):
    """Events that fail checks of a log."""

    tells_findings: ClassVar[bool] = False


class ExaminedRelation(Relation, frozen=True, kw_only=True):
    """What the checks of a log found, a row for each check."""

    found: bool
    tells_findings: ClassVar[bool] = False


class Events(OpenStore):
    """Questions about events."""

    def events(
        self,
        *entities: str,
        actor: str | Sequence[str] = (),
        type: str | Sequence[str] = (),  # noqa: A002  # as the option
        from_: str = "",
        to: str = "",
        where: str = "",
        known_at: str = "",
        only: Literal["", "invalid", "duplicates", "conflicts", "erased", "ignored"] = "",
        source: str | Sequence[str] = (),
        grep: str | None = None,
        tail: int | None = None,
        reverse: bool = False,
        raw: str | Sequence[str] = (),
    ) -> Relation:
        """Return the events in order of arrival, as `esctl log` does; `only` selects as its option of that name does.

        `raw` adds columns of the records as they were received (`raw`, `raw.user.name`).

        >>> [row["id"] for row in store.events("account-017", type="DailyLimit*", where="data.daily_limit > 4000")]
        ['evt-03492']
        """
        from esctl.ask.events.log import EventFilters, log
        from esctl.ask.scope.named_values import check_sources

        check_sources(as_tuple(source), self.store_state.cursors)
        filters = self.filters(actor, type, (), from_, to)
        scope = self.scope(entities, "", known_at)
        wanted = EventFilters(filters, where, only, as_tuple(source), grep, tail, reverse, as_tuple(raw))
        answer = log(scope, wanted, self.store_state)
        return Relation(answer, scope, points=(filters.start, filters.end))

    def entities(self, *entities: str, known_at: str = "") -> Relation:
        """Return the entities, as `esctl entities` does.

        >>> [(row["entity"], row["events"]) for row in store.entities("sensor-*")]
        [('sensor-1', 22), ('sensor-2', 13), ('sensor-3', 12), ('sensor-4', 13)]
        """
        from esctl.ask.events.entities import entities as list_entities

        scope = self.scope(entities, known_at=known_at)
        return Relation(list_entities(scope), scope)

    def first_entities(self, *entities: str, known_at: str = "") -> Relation:
        """Return some of the entities, those whose names come first; fast even if there are millions.

        >>> next(row["entity"] for row in store.first_entities("account-01*"))
        'account-010'
        """
        from esctl.ask.events.entities import entities as list_entities

        scope = self.scope(entities, known_at=known_at)
        return Relation(list_entities(scope, first=True), scope)

    def types(self, *, known_at: str = "") -> Relation:
        """Return the event types, as `esctl types` does.

        >>> next(row["count"] for row in store.types() if row["type"] == "AccountClosed")
        5
        """
        from esctl.ask.events.types import types

        scope = self.scope(known_at=known_at)
        return Relation(types(scope), scope)

    def status(self) -> Relation:
        """Return what the store holds, as `esctl status` does.

        >>> [row["head"] for row in store.status()]
        [7164]
        """
        from esctl.ask.events.status import status

        scope = self.scope()
        return Relation(status(scope, self.store_state), scope)

    def trace(self, name: str, *, depth: int | None = None, known_at: str = "") -> Relation:
        """Return the events tied to one, as `esctl trace` does; `depth` is the most links to follow.

        >>> [(row["position"], row["link"]) for row in store.trace("@60", depth=1)]
        [(59, None), (60, 'causation')]
        """
        from esctl.ask.events.trace import MOST_LINKS, trace
        from esctl.ask.scope.own_times import with_own_times

        scope = self.scope((), "", known_at)
        answer = trace(scope, name, MOST_LINKS if depth is None else depth)
        return Relation(with_own_times(scope, answer), scope)

    def doctor(
        self, *entities: str, from_: str = "", to: str = "", known_at: str = "", projection: str = ""
    ) -> ExaminedRelation:
        """Return what is wrong with the log, a row for each check, as `esctl doctor` does.

        >>> [(row["check"], row["count"]) for row in store.doctor() if row["check"] in ("late", "conflicts")]
        [('conflicts', 1), ('late', 0)]
        """
        from esctl.ask.health.doctor import examine, summary

        filters = self.filters(from_=from_, to=to)
        scope = self.scope(entities, projection, known_at)
        results = examine(scope, filters)
        found = any(result.count for result in results)
        return ExaminedRelation(summary(scope, results), scope, points=(filters.start, filters.end), found=found)

    def occurrences(
        self,
        checks: str | Sequence[str],
        *entities: str,
        from_: str = "",
        to: str = "",
        known_at: str = "",
        projection: str = "",
    ) -> OccurrencesRelation:
        """Return the events that fail some checks of `doctor`, named as in its rows (`late`, `gaps`, ...).

        >>> [row["position"] for row in store.occurrences("conflicts")]
        [5080]
        """
        from esctl.ask.health.doctor import occurrences

        filters = self.filters(from_=from_, to=to)
        scope = self.scope(entities, projection, known_at)
        return OccurrencesRelation(
            occurrences(scope, filters, as_tuple(checks)), scope, points=(filters.start, filters.end)
        )

    def names(
        self, what: Literal["entity", "type", "actor", "field", "projection"], prefix: str, limit: int
    ) -> list[str]:
        """List up to `limit` names that begin with a prefix, for completion."""
        if what in ("projection", "field"):
            known = [projection.name for projection in self.projections]
            if what == "field":
                known = [step.field for each in self.projections for rule in each.rules for step in rule.operations]
                known = list(dict.fromkeys([*filter(None, known), *self.view.fields]))
            return [name for name in known if name.startswith(prefix)][:limit]
        from esctl.ask.events.bound_notes import names_like

        return names_like(self.connection, self.view, what, prefix, limit)
