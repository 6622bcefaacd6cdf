"""Change logs of databases. Their records are first decoded to changes of rows, in the same form for all."""

from __future__ import annotations

from typing import Literal

from esctl.index.decode.rows.change import OTHER_RECORDS
from esctl.index.decode.rows.versions import PERIODS
from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza

_SEVERAL = (("each", ("each[*]",)), ("ended", ("ended[*]",)))
"""The roles of rows, if one event changes several."""


def _changes(
    name: str,
    needs: tuple[tuple[str, ...], ...],
    source: str,
    times: tuple[str, ...] = ("time",),
    ids: tuple[str, ...] = (),
    actors: tuple[str, ...] = (),
    beside: tuple[str, ...] = OTHER_RECORDS,
    several: bool = False,
    otherwise: Literal["time", "position"] = "position",
) -> Preset:
    stanza = Stanza(
        name,
        id=ids,
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
            *(_SEVERAL if several else ()),
        ),
        kind=("kind",),
        actor=actors,
        correlation=("tx",),
        data=("row",),
        order="",
        opened=(("", name),),
        ignore_types=beside,
    )
    orders = (("seq", "seq2", "seq3"), ("seq", "seq2"), ("seq",))
    return Preset(stanza, needs, source, orders, otherwise)


PGOUTPUT = _changes(
    "pgoutput",
    needs=(("action",), ("lsn",), ("relation",), ("row", "old", "columns")),
    source="https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html",
)
"""What esctl itself writes when it follows a database."""

DEBEZIUM = _changes(
    "debezium",
    needs=(
        ("op", "payload.op", "value.op", "value.payload.op"),
        ("source", "payload.source", "value.source", "value.payload.source"),
        ("before", "after", "payload.after", "payload.before", "value.after", "value.before", "value.payload"),
    ),
    source="https://debezium.io/documentation/reference/stable/connectors/",
    actors=("actor",),
)
"""Change events, with schemas or without."""

DEBEZIUM_FLAT = _changes(
    "debezium_flat",
    needs=(("__op", "__deleted", "value.__op", "value.__deleted", "headers.__op", "headers.__deleted", "payload"),),
    source="https://debezium.io/documentation/reference/stable/transformations/event-flattening.html",
)
"""Rows, with fields of the change event among their columns."""

DEBEZIUM_OUTBOX = _changes(
    "debezium_outbox",
    needs=(("topic", "after", "payload.after", "value"),),
    source="https://debezium.io/documentation/reference/stable/transformations/outbox-event-router.html",
    ids=("id",),
    beside=("(*)",),
)
"""Domain events of an outbox, routed or as rows of the table."""

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

CANAL = _changes(
    "canal",
    needs=(("database", "value.database"), ("isDdl", "value.isDdl"), ("es", "ts", "value.es", "value.ts")),
    source="https://github.com/alibaba/canal/wiki/Canal-Kafka-RocketMQ-QuickStart",
    several=True,
)
"""Flat messages."""

DYNAMODB = _changes(
    "dynamodb",
    needs=(("dynamodb.Keys", "kinesis.data", "Data"),),
    source="https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html",
    ids=("id",),
    actors=("actor",),
)
"""Records of streams, also through Kinesis. A view without new images shows only the keys of items."""

AWS_DMS = _changes(
    "aws_dms",
    needs=(("metadata.record-type", "value.metadata.record-type"), ("metadata.operation", "value.metadata.operation")),
    source="https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.Kinesis.html",
)
"""Messages of AWS DMS to Kinesis and Kafka."""

MONGODB = _changes(
    "mongodb",
    needs=(("operationType",), ("ns.db",), ("documentKey", "ns.coll")),
    source="https://www.mongodb.com/docs/manual/reference/change-events/",
    ids=("id",),
)
"""Change streams, as extended JSON."""

SUPA_AUDIT = _changes(
    "supa_audit",
    needs=(("op",), ("ts",), ("table_schema",), ("table_name",), ("record_id", "old_record_id", "table_oid")),
    source="https://github.com/supabase/supa_audit",
    ids=("id",),
    actors=("actor",),
    otherwise="time",
)
"""The table audit.record_version."""

SUPABASE = _changes(
    "supabase",
    needs=(("type",), ("table",), ("schema",), ("record", "old_record")),
    source="https://supabase.com/docs/guides/database/webhooks",
)
"""What Supabase sends to webhooks and to listeners."""

AUDIT_TRIGGER = _changes(
    "audit_trigger",
    needs=(("event_id",), ("schema_name",), ("table_name",), ("action",), ("action_tstamp_tx",)),
    source="https://wiki.postgresql.org/wiki/Audit_trigger_91plus",
    ids=("id",),
    actors=("actor",),
    otherwise="time",
)
"""The table audit.logged_actions."""

PGMEMENTO = _changes(
    "pgmemento",
    needs=(
        ("audit_id",),
        ("event_key", "event_id"),
        ("new_data", "old_data", "changes"),
        ("event_key", "table_operation", "op_id"),
    ),
    source="https://github.com/pgMemento/pgMemento",
    ids=("id",),
    actors=("actor",),
    otherwise="time",
)
"""The table row_log, alone or joined with table_event_log and transaction_log; `audit_id` is unique across tables."""

_BEGINS = tuple(begin for begin, _ in PERIODS)
ROW_HISTORY = _changes(
    "row_history",
    needs=((*_BEGINS, "sys_period"),),
    source="https://fivetran.com/docs/core-concepts/sync-modes/history-mode",
    times=("time", *_BEGINS),
    otherwise="time",
)
"""Tables of the versions of rows, each with its begin and end: slowly changing dimensions, temporal tables."""
