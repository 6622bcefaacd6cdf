"""Open what the shared options name, and say on stderr what an answer rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esctl.cli import diagnostics
from esctl.cli.options import Shared

if TYPE_CHECKING:
    from esctl.model import Answer, AsOf
    from esctl.store import Store


def open_store(shared: Shared) -> Store:
    """Open the store and its configuration."""
    from esctl.store import Store

    store = Store.open(shared.store, shared.config, memory_limit=shared.memory_limit, tz=zone(shared))
    # A time that is typed is meant in the zone that times are shown in.
    store.tz = shared.tz or output_settings(store).get("tz") or "UTC"
    return store


def zone(shared: Shared) -> str:
    """Give the zone that times without one are read in."""
    return shared.tz or "UTC"


def output_settings(store: Store) -> dict[str, str]:
    """Give the [output] table of esctl.toml."""
    return {name: str(value) for name, value in store.config.output.items()}


def show(answer: Answer, shared: Shared, store: Store, table_columns: tuple[str, ...] = ()) -> int:
    """Write an answer; gives the number of rows."""
    from esctl.cli.render import render

    return render(answer, shared, table_columns, output_settings(store)).rows


def is_any(answer: Answer) -> bool:
    """Say whether an answer has any row."""
    from esctl.engine.duckdb import explained, single_row

    with explained():
        return single_row(answer.session.connection, f"SELECT 1 FROM ({answer.sql}) LIMIT 1") is not None


def echo_bound(store: Store, shared: Shared, at: AsOf | None) -> None:
    """Say which instant and position a bound was resolved to."""
    if not shared.quiet:
        for line in store.describe(at):
            diagnostics.note(line)
