"""Views of the store: states of a projection kept in databases and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from esctl.api.relation import Relation
from esctl.store import OpenStore

if TYPE_CHECKING:
    from esctl.views.view import View


class CheckedView(Relation, frozen=True, kw_only=True):
    """The differences between a view and the log, with the number of rows that differ."""

    differing: int


class Views(OpenStore):
    """The views of a store."""

    def views(self) -> list[View]:
        """Return the views of esctl.toml and those that were created, by name.

        >>> view = store.create_view("ledger", to="parquet:ledger", projection="account")
        >>> "ledger" in [view.name for view in store.views()]
        True
        """
        from esctl.views.definitions import definitions
        from esctl.views.view import View

        return [View(self, each) for each in definitions(self.path, self.config).values()]

    def find_view(self, name: str) -> View:
        """Find a view by name. Raises NotFoundError with the nearest name.

        >>> store.create_view("accounts", to="sqlite:accounts.db/accounts", projection="account").name
        'accounts'
        >>> store.find_view("accounts").refresh().how
        'nothing'
        """
        from esctl.views.definitions import definitions, find
        from esctl.views.view import View

        return View(self, find(definitions(self.path, self.config), name))

    def create_view(
        self,
        name: str,
        *,
        to: str,
        projection: str = "",
        key: str = "",
        properties: str = "",
        property: Mapping[str, str] = MappingProxyType({}),  # noqa: A002  # as the option
    ) -> View:
        """Make a view and fill it. Takes the arguments of `esctl view create`.

        Nothing is kept if it cannot be filled. Raises UsageError if the name is not valid, or taken.

        >>> store.create_view("sensors", to="parquet:sensors", projection="sensor").state()[0]
        'fresh'
        """
        from esctl.ask.scope.scope import find_projection
        from esctl.views.definitions import Definition, add, definitions, discard
        from esctl.views.targets import Options, parse_target
        from esctl.views.view import View

        base = Path.cwd()
        options = Options(key, properties, dict(property))
        parse_target(to, name, base, options)
        if projection:
            find_projection(self.projections, projection)
        definition = Definition(name, projection, to, base, "store", options)
        add(self.path, definitions(self.path, self.config), definition)
        view = View(self, definition)
        try:
            view.refresh()
        except BaseException:
            discard(self.path, name)
            raise
        return view

    def drop_view(self, name: str) -> None:
        """Remove a view: its states in the target, and its definition.

        >>> store.create_view("gone", to="parquet:gone").name
        'gone'
        >>> store.drop_view("gone")
        """
        from esctl.views.definitions import discard

        self.find_view(name).drop()
        discard(self.path, name)

    def check_view(self, name: str) -> CheckedView:
        """Compare what a view holds with the log. Takes the arguments of `esctl view check`.

        >>> view = store.create_view("orders", to="sqlite:orders.db/orders", projection="order")
        >>> store.check_view("orders").differing
        0
        """
        difference = self.find_view(name).check()
        return CheckedView(difference.answer, differing=difference.rows)

    def view_list(self, *names: str, look: bool = False) -> Relation:
        """Return the views: name, projection, target, where each is defined; `look`: position, head and state instead.

        >>> view = store.create_view("skus", to="parquet:skus", projection="sku")
        >>> [(row["name"], row["state"]) for row in store.view_list("skus", look=True)]
        [('skus', 'fresh')]
        """
        from esctl.model import Column
        from esctl.reports.rows import answer_of_rows

        head = self.store_state.head
        views = [self.find_view(name) for name in names] if names else self.views()
        columns = [Column(name, "text") for name in ("name", "projection", "to", "defined_in")]
        rows: list[list[str | int | None]] = [
            [each.name, each.definition.projection, each.definition.to, each.definition.source] for each in views
        ]
        if look:
            columns = [*columns[:3], Column("position", "integer"), Column("head", "integer"), Column("state", "text")]
            for row, view in zip(rows, views, strict=True):
                state, position = view.state()
                row[3:] = [position, head, state]
        return Relation(answer_of_rows(self.session, tuple(columns), rows, "views"))
