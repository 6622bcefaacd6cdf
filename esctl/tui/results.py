"""A list of results, read page by page."""

from __future__ import annotations

from collections.abc import Callable

from esctl.api import Relation
from esctl.tui.values import ResultRow


class Results:
    """A list of results that is read page by page."""

    def __init__(
        self, title: str, heads: tuple[str, ...], command: str, page: Callable[[Relation, int], list[ResultRow]]
    ) -> None:
        self.title, self.heads, self.command, self.page = title, heads, command, page
        self.relation: Relation | None = None
        self.rows: list[ResultRow] = []
        self.ended = False
