"""Change logs of databases. Their records are read as changes of rows first, whoever wrote them."""

from __future__ import annotations

from esctl.index.decode.rows.change import BESIDE
from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza


def _changes(name: str, needs: tuple[tuple[str, ...], ...], source: str, times: tuple[str, ...] = ("time",)) -> Preset:
    stanza = Stanza(
        name,
        type=("type",),
        time=times,
        entity=("entity",),
        entities=(
            ("partial", ("partial",)),
            ("copy", ("copy",)),
            ("patch", ("patch",)),
            ("old", ("old",)),
            ("match", ("match",)),
            ("table", ("table",)),
        ),
        kind=("kind",),
        correlation=("tx",),
        data=("row",),
        order="",
        opened=(("", name),),
        ignore_types=BESIDE,
    )
    orders = (("seq", "seq2", "seq3"), ("seq", "seq2"), ("seq",))
    return Preset(stanza, needs, source, orders, "position")


DEBEZIUM = _changes(
    "debezium",
    needs=(
        ("op", "payload.op", "value.op", "value.payload.op"),
        ("source", "payload.source", "value.source", "value.payload.source"),
        ("before", "after", "payload.after", "payload.before", "value.after", "value.before", "value.payload"),
    ),
    source="https://debezium.io/documentation/reference/stable/connectors/",
)
"""Change events, with schemas or without."""

WAL2JSON = _changes(
    "wal2json",
    needs=(("action", "kind"), ("schema",), ("table",), ("columns", "identity", "columnnames", "oldkeys")),
    source="https://github.com/eulerto/wal2json",
    times=("time", "wrapper.timestamp"),  # of a transaction in format 1, which wraps its changes
)
"""Formats 2 and 1."""

MAXWELL = _changes(
    "maxwell",
    needs=(("database",), ("table",), ("type",), ("ts",), ("data",)),
    source="https://maxwells-daemon.io/dataformat",
)
