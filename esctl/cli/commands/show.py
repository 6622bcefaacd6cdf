"""esctl show."""

from __future__ import annotations

import base64
from typing import Annotated

import typer

from esctl.cli.opening import open_store, show
from esctl.cli.options import Shared, command
from esctl.errors import NotFoundError


@command
def run(
    shared: Shared,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="An event: its id, or @POSITION.")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the record's bytes as received, and nothing else.")] = False,
) -> None:
    """Show one event with its raw bytes."""
    from esctl.queries.log import events_at, find_event, with_raw

    store = open_store(shared)
    scope = store.scope()
    positions = find_event(scope, event)
    if not positions:
        raise NotFoundError(f"no event {event!r}", "list events with: esctl log --columns position,id,type")
    from esctl.log.reader import raw_of

    raws = raw_of(store.snapshot, positions)
    if raw:
        from esctl.cli.bytes_out import write_bytes

        write_bytes((raws[position] or b"" for position in positions), shared.output)
        return
    texts = {position: _text(value) for position, value in raws.items()}
    show(with_raw(events_at(scope, positions), texts), shared, store)


def _text(raw: bytes | None) -> str | None:
    """Write raw bytes as text; bytes that are no UTF-8 in base64, told by a prefix."""
    if raw is None:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(raw).decode("ascii")
