"""esctl export."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command
from esctl.cli.render import show
from esctl.errors import UsageError

Raw = Annotated[
    bool,
    typer.Option(
        "--raw",
        help="Write a source's bytes exactly as they were ingested; of a topic, its messages as kcat -J does.",
    ),
]
Source = Annotated[str, typer.Option("--source", metavar="NAME", help="The source, as `esctl status` names it.")]
SkipErased = Annotated[
    bool, typer.Option("--skip-erased", help="With --raw, leave out what was erased; else that is an error.")
]


@command
def run(
    shared: Shared,
    raw: Raw = False,
    source: Source = "",
    skip_erased: SkipErased = False,
) -> None:
    """Export the events, or a source byte for byte."""
    if raw:
        shared.refuse(("format", "columns", "limit"), "the bytes of a source", "leave out what is not for --raw")
    elif skip_erased:
        raise UsageError("--skip-erased is for --raw, which is not given", "leave it out: events show what was erased")
    store = open_store(shared)
    from esctl.ask.scope.named_values import check_sources

    names = list(store.store_state.cursors)
    check_sources([source] if source else [], names)
    if not raw:
        show(store.events(source=source).answer, shared, store)
        return
    if not source:
        if len(names) != 1:
            raise UsageError(
                "--raw needs --source",
                f"sources are: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else "",
            )
        source = names[0]
    from esctl.log.messages import export_messages
    from esctl.log.reader import check_unerased, erased_positions, export_raw
    from esctl.model import KafkaCursor
    from esctl.output.sink import write_bytes

    cursor = store.store_state.cursors[source]
    if isinstance(cursor, KafkaCursor):
        check_unerased(store.store_state, source, skip_erased=skip_erased)
        write_bytes(export_messages(store.store_state, source, cursor), shared.output)
    else:
        write_bytes(export_raw(store.store_state, source, skip_erased=skip_erased), shared.output)
    if erased := erased_positions(store.store_state, source):
        diagnostics.note(f"note: {len(erased)} erased records of {source} are left out", shared.quiet)
