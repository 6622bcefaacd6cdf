"""Event stores and libraries of event sourcing."""

from __future__ import annotations

from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza

EVENTSOURCING = Preset(
    Stanza(
        "eventsourcing",
        id=("id", "notification_id"),
        type=("topic",),
        time=("state.timestamp._data_", "state.timestamp", "timestamp"),
        entity=("originator_id",),
        data=("state",),
        order="",
    ),
    needs=(("originator_id",), ("originator_version",), ("topic",), ("state",)),
    sequences=(("id",), ("notification_id",), ("originator_version",)),
    source="https://eventsourcing.readthedocs.io/en/stable/topics/persistence.html",
)

MARTEN = Preset(
    Stanza(
        "marten",
        id=("id", "Id"),
        type=("type", "eventTypeName", "EventTypeName"),
        time=("timestamp", "Timestamp"),
        entity=("stream_id", "streamKey", "streamId", "StreamKey", "StreamId"),
        tenant=("tenant_id", "tenantId", "TenantId"),
        absent=("*DEFAULT*",),  # its name for no tenant
        actor=("user_name", "userName", "UserName", "headers.user_name", "headers.user"),
        correlation=("correlation_id", "correlationId", "CorrelationId"),
        causation=("causation_id", "causationId", "CausationId"),
        data=("data", "Data"),
        order="",
    ),
    needs=(
        ("seq_id", "eventTypeName", "EventTypeName"),
        ("stream_id", "streamId", "streamKey", "StreamId", "StreamKey"),
        ("version", "Version"),
        ("data", "Data"),
    ),
    sequences=(("seq_id",), ("sequence",), ("Sequence",)),
    source="https://martendb.io/events/storage",
)
"""The table mt_events, and the JSON of its IEvent."""

AXON = Preset(
    Stanza(
        "axon",
        id=("eventIdentifier", "event_identifier", "messageIdentifier"),
        type=("payloadType", "payload_type"),
        time=("timeStamp", "time_stamp", "timestamp"),
        entity=("aggregateIdentifier", "aggregate_identifier"),
        kind=("type", "aggregateType", "aggregate_type"),
        actor=("metaData.userId", "metaData.user", "metaData.username", "meta_data.userId", "meta_data.user"),
        correlation=(
            "metaData.correlationId", "metaData.traceId", "meta_data.correlationId", "meta_data.traceId",
        ),
        data=("payload", "payloadData", "payload_data"),
        order="",
    ),
    needs=(
        ("eventIdentifier", "event_identifier", "messageIdentifier"),
        ("aggregateIdentifier", "aggregate_identifier"),
        ("payloadType", "payload_type"),
    ),
    sequences=(
        ("globalIndex",), ("global_index",), ("sequenceNumber",), ("sequence_number",), ("aggregateSequenceNumber",),
    ),
    source="https://docs.axoniq.io/axon-framework-reference/",
)  # fmt: skip
"""The table DomainEventEntry, and the event message."""

_META = ("metadata", "metaData", "userMetadata", "eventMetadata")
KURRENTDB = Preset(
    Stanza(
        "kurrentdb",
        id=("eventId", "id"),
        type=("eventType", "type"),
        time=("created", "createdEpoch", "createdUtc", "timestamp", "updated"),
        entity=("streamId", "eventStreamId", "streamName", "stream"),
        actor=tuple(f"{meta}.{name}" for meta in _META for name in ("$userId", "userId", "user", "username")),
        correlation=tuple(f"{meta}.$correlationId" for meta in _META),
        causation=tuple(f"{meta}.$causationId" for meta in _META),
        data=("data", "eventData"),
        order="",
        ignore_types=("$*",),  # links, metadata of streams, statistics: the store's own
    ),
    needs=(
        ("eventType", "type"),
        ("streamId", "eventStreamId", "streamName", "stream"),
        ("eventNumber", "revision", "streamRevision", "eventRevision"),
        ("data", "eventData"),
    ),
    sequences=(("eventNumber",), ("revision",), ("streamRevision",), ("eventRevision",)),
    otherwise="position",
    source="https://docs.kurrent.io/",
)
"""In the spellings of EventStoreDB's feed, clients and replicator; event numbers order one stream only."""

COMMANDED = Preset(
    Stanza(
        "commanded",
        id=("event_id",),
        type=("event_type",),
        time=("created_at",),
        entity=("stream_uuid", "stream_id"),  # of the table, of RecordedEvent
        actor=("metadata.user_id", "metadata.user", "metadata.actor"),
        correlation=("correlation_id",),
        causation=("causation_id",),
        data=("data",),
        order="",
    ),
    needs=(
        ("event_id",),
        ("event_type",),
        ("stream_uuid", "stream_id"),
        ("data",),
        ("stream_version", "event_number"),
        ("created_at",),
    ),
    sequences=(("event_number",), ("stream_version",)),
    source="https://hexdocs.pm/eventstore/EventStore.RecordedEvent.html",
)

RAILS_EVENT_STORE = Preset(
    Stanza(
        "rails_event_store",
        id=("event_id",),
        type=("event_type",),
        time=("metadata.timestamp", "valid_at", "created_at", "timestamp"),
        entity=("stream", "stream_name", "metadata.stream"),
        actor=("metadata.user_id", "metadata.user", "metadata.actor"),
        correlation=("metadata.correlation_id",),
        causation=("metadata.causation_id",),
        data=("data",),
        order="",
    ),
    needs=(("event_id",), ("event_type",), ("data",), ("metadata",), ("stream", "stream_name")),
    sequences=(("position",),),
    source="https://railseventstore.org/",
)
"""The table event_store_events, joined with event_store_events_in_streams."""

PEKKO_JDBC = Preset(
    Stanza(
        "pekko_jdbc",
        id=("{persistence_id}/{sequence_number}",),
        type=("event_manifest", "event_ser_manifest", "adapter_manifest", "=event"),
        time=("write_timestamp", "timestamp"),
        entity=("persistence_id",),
        data=("event_payload", "payload", "message"),
        order="",
    ),
    needs=(("persistence_id",), ("sequence_number",), ("event_payload", "payload", "message")),
    sequences=(("ordering",), ("sequence_number",)),
    source="https://pekko.apache.org/docs/pekko-persistence-jdbc/current/configuration.html",
)
"""The table event_journal (formerly journal); Akka's is alike."""

PROOPH = Preset(
    Stanza(
        "prooph",
        id=("event_id",),
        type=("event_name",),
        time=("created_at",),
        entity=(
            "{metadata._aggregate_type}/{metadata._aggregate_id}",
            "{aggregate_type}/{aggregate_id}",
            "metadata._aggregate_id",
            "aggregate_id",
        ),
        kind=("metadata._aggregate_type", "aggregate_type"),
        actor=("metadata.user_id", "metadata._user_id"),
        causation=("metadata._causation_id",),
        data=("payload",),
        order="",
    ),
    needs=(("event_id",), ("event_name",), ("payload",), ("metadata._aggregate_id", "aggregate_id")),
    sequences=(("no",), ("metadata._aggregate_version",)),
    source="https://github.com/prooph/pdo-event-store",
)

SPATIE = Preset(
    Stanza(
        "spatie",
        id=("id",),
        type=("event_class",),
        time=("created_at",),
        entity=("aggregate_uuid", "meta_data.aggregate-root-uuid"),
        actor=("meta_data.user_id", "meta_data.user"),
        data=("event_properties",),
        order="",
    ),
    needs=(("event_class",), ("event_properties",), ("created_at",), ("aggregate_uuid", "meta_data")),
    sequences=(("id",), ("aggregate_version",)),
    source="https://spatie.be/docs/laravel-event-sourcing/v7/introduction",
)
