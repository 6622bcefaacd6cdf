"""esctl show."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.erasures import erasure_note
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command
from esctl.cli.render import show
from esctl.errors import InputError, NotFoundError, UsageError

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.log.store_state import StoreState
    from esctl.model import Answer


@command
def run(
    shared: Shared,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="An event: its id, or @POSITION.")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the record's bytes as received, and nothing else.")] = False,
) -> None:
    """Show one event with its raw bytes."""
    from esctl.ask.events.log import events_at, find_event, namesakes, with_raw
    from esctl.ask.scope.event_names import events_hint

    if raw:
        shared.refuse(("format", "columns", "limit"), "the bytes of a record", "leave out what is not for --raw")
    store = open_store(shared)
    scope = store.scope()
    positions = find_event(scope, event)
    if not positions:
        raise NotFoundError(f"no event {event!r}", events_hint(event))
    from esctl.log.reader import raw_of

    raws = raw_of(store.store_state, positions)
    if ambiguity := namesakes(scope, event, positions):
        if raw:
            raise UsageError(ambiguity, f"name one of them by its position: esctl show --raw @{positions[0]}")
        diagnostics.note(f"note: {ambiguity}", shared.quiet)
    if raw:
        from esctl.output.sink import write_bytes

        for position in positions:
            _refuse_erased(store.store_state, position)
        write_bytes((raws[position] or b"" for position in positions), shared.output)
        return
    for position in positions:
        if (line := erasure_note(store.store_state, position)) and not shared.quiet:
            diagnostics.note(line)
    texts = {position: _raw_text(value) for position, value in raws.items()}
    found = events_at(scope, positions)
    if not shared.quiet:
        _note_encodings(store, found, raws)
    show(with_raw(found, texts), shared, store)


def _refuse_erased(store_state: StoreState, position: int) -> None:
    if line := erasure_note(store_state, position):
        raise InputError(line, "its bytes are gone; its place and hash are in: esctl log --erased")


def _note_encodings(store: Store, found: Answer, raws: Mapping[int, bytes | None]) -> None:
    """Print the text that records in other encodings than UTF-8 were read as."""
    from esctl.sources.formats.encodings import utf8

    for position, source in store.session.connection.execute(f"SELECT position, source FROM ({found.sql})").fetchall():
        encoding, raw = store.store_state.cursors[source].dialect.get("encoding", ""), raws.get(position)
        if encoding and raw is not None and (read := utf8(raw, encoding)) != raw:
            diagnostics.note(f"note: @{position}, read as {encoding}: {read.decode(errors='replace').rstrip()}")


def _raw_text(raw: bytes | None) -> str | None:
    """Return raw bytes as text, or as base64 with a prefix if they are not UTF-8; None if there are none."""
    if raw is None:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(raw).decode("ascii")
