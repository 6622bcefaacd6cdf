"""The questions of a store, for notebooks: each takes what the options of its command take, and gives a relation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.model import Answer, AsOf

if TYPE_CHECKING:
    import pandas
    import pyarrow as pa

    from esctl.ask.scope.scope import Scope


class Relation(Struct, frozen=True):
    """An answer to work with in Python."""

    answer: Answer

    def arrow(self) -> pa.Table:
        """Give the answer as an Arrow table, a column per field of a state (`state.balance`)."""
        from esctl.output import to_arrow

        return to_arrow(self.answer)

    def df(self) -> pandas.DataFrame:
        """Give the answer as a pandas DataFrame (needs the extra `pandas`)."""
        return self.arrow().to_pandas()

    def rows(self) -> list[dict[str, Any]]:
        """Give the answer as the dicts that `-f json` prints, numbers with a fraction as Decimal."""
        from esctl.output import to_rows

        rows: list[dict[str, Any]] = to_rows(self.answer)
        return rows


class Questions(ABC):
    """What can be asked of whatever gives scopes and reads points."""

    @abstractmethod
    def scope(
        self,
        entities: Sequence[str] = (),
        projection: str = "",
        known_at: str = "",
        without: Sequence[str] = (),
        projection_file: Path | None = None,
    ) -> Scope:
        """Give the ground of a question."""

    @abstractmethod
    def bound(self, at: str = "", before: str = "") -> AsOf | None:
        """Read `--at` or `--before`."""

    @abstractmethod
    def point(self, text: str, option: str, *, inclusive: bool = True) -> AsOf:
        """Read a point in time or order."""

    @abstractmethod
    def given(self, text: str, option: str, *, inclusive: bool = True) -> AsOf | None:
        """Read a point that may be left out."""

    def replay(
        self,
        *entities: str,
        at: str = "",
        before: str = "",
        known_at: str = "",
        projection: str = "",
        where: str = "",
        deleted: bool = False,
    ) -> Relation:
        """Give the state of each entity at a point in time. Arguments as the options of `esctl replay`."""
        from esctl.ask.states.replay import replay

        return Relation(
            replay(self.scope(entities, projection, known_at), self.bound(at, before), where, deleted=deleted)
        )

    def diff(self, a: str, b: str, *entities: str, known_at: str = "", projection: str = "") -> Relation:
        """Give what differs between two points. Arguments as those of `esctl diff`."""
        from esctl.ask.changes.diff import diff

        scope = self.scope(entities, projection, known_at)
        return Relation(diff(scope, self.point(a, "A"), self.point(b, "B")))

    def audit(
        self,
        *entities: str,
        actor: str = "",
        type: str = "",  # noqa: A002  # as the option
        start: str = "",
        end: str = "",
        field: str = "",
        at: str = "",
        known_at: str = "",
        projection: str = "",
    ) -> Relation:
        """Give the trail. Arguments as the options of `esctl audit` (`start`: --from, `end`: --to)."""
        from esctl.ask.changes.audit import audit
        from esctl.ask.scope.filters import Filters

        filters = Filters(
            actors=(actor,) if actor else (), types=(type,) if type else (), fields=(field,) if field else (),
            start=self.given(start, "--from", inclusive=False), end=self.given(end, "--to"),
        )  # fmt: skip
        return Relation(audit(self.scope(entities, projection, known_at), self.bound(at), filters))

    def events(self, *entities: str) -> Relation:
        """Give the events, as `esctl log` does."""
        from esctl.ask.events.log import EventFilters, log

        return Relation(log(self.scope(entities), EventFilters()))

    def entities(self) -> Relation:
        """Give the entities, as `esctl entities` does."""
        from esctl.ask.events.entities import entities

        return Relation(entities(self.scope()))

    def types(self) -> Relation:
        """Give the event types, as `esctl types` does."""
        from esctl.ask.events.types import types

        return Relation(types(self.scope()))
