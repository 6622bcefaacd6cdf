"""The filters on events that `audit` and `log` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esctl.ask.scope.filters import Filters
    from esctl.store import Store


def filters(
    store: Store,
    actors: list[str] | None,
    types: list[str] | None,
    start: str,
    end: str,
    fields: list[str] | None = None,
) -> Filters:
    """Read the filter options."""
    from esctl.ask.scope.filters import Filters

    return Filters(
        actors=tuple(actors or ()),
        types=tuple(types or ()),
        fields=tuple(fields or ()),
        start=store.given(start, "--from", inclusive=False),
        end=store.given(end, "--to"),
    )
