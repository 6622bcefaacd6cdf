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
    from esctl.cli.opening import heed_config, output_settings
    from esctl.cli.render import check_showable, render
    from esctl.engine.duckdb import explained
    from esctl.maintain.compact import compact, plan_compaction
    from esctl.reports.compact import COLUMNS, compact_answer

    store = Store.open(shared.store, shared.config, memory_limit=shared.memory_limit)
    heed_config(shared, store)
    check_showable(shared, COLUMNS, output_settings(store))
    with explained():
        done = plan_compaction(store.store_state, store.updater()) if dry_run else compact(store.path, store.updater())
    render(compact_answer(store.session, done), shared, TABLE, output_settings(store))
