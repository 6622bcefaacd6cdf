"""esctl compact."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.options import Shared, command

TABLE = ("part", "files_before", "files_after", "bytes_before", "bytes_after")


@command
def run(
    shared: Shared,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be merged; change nothing.")] = False,
) -> None:
    """Merge small files of the log and the index, while others read and write: no answer and no proof changes."""
    from esctl.api import Store
    from esctl.cli.opening import output_settings, tell_passed_over
    from esctl.cli.render import render
    from esctl.engine.duckdb import explained
    from esctl.maintain.compact import compact, planned
    from esctl.reports.compact import compacted

    store = Store.open(shared.store, shared.config, memory_limit=shared.memory_limit)
    tell_passed_over(shared, store)
    with explained():
        done = planned(store.snapshot, store.updater()) if dry_run else compact(store.path, store.updater())
    render(compacted(store.session, done), shared, TABLE, output_settings(store))
