"""The event formats that are known by name: where each keeps its envelope, and what gives it away.

A new preset is one more entry of PRESETS. The first one whose `needs` most records of a sample meet is taken, so the
more particular come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from esctl.model import Stanza


class Preset(Struct, frozen=True):
    """A known format.

    `needs`: every group must have a path that is present (dotted, no quoting). `sequences`: where the order may be
    kept, one alternative (of one or more parts) after the other; the first that all sampled events have is mapped, and
    settles the order. Where they have none, it is `otherwise`.
    """

    stanza: Stanza
    needs: tuple[tuple[str, ...], ...]
    sequences: tuple[tuple[str, ...], ...] = ()
    otherwise: Literal["time", "position"] = "time"


_CLOUDEVENTS = Preset(
    Stanza(
        "cloudevents",
        id_parts=("source", "id"),
        type=("type",),
        time=("time",),
        entity=("subject", "source"),
        actor=("authid", "actor", "actorid", "userid", "user", "principal"),
        correlation=("correlationid",),
        causation=("causationid",),
        data=("data", "data_base64"),
        aliases=(("traceparent", ("traceparent",)),),
    ),
    needs=(("specversion",), ("type",), ("source",), ("id",)),
)
"""https://github.com/cloudevents/spec (JSON format 1.0; extensions: correlation, auth context, distributed tracing)."""

_CLOUDTRAIL = Preset(
    Stanza(
        "cloudtrail",
        id=("eventID",),
        type=("eventName",),
        time=("eventTime",),
        entity=(
            "resources[0].ARN",
            "resources[0].arn",
            *(
                f"requestParameters.{name}"
                for name in (
                    "instanceId", "instancesSet.items[0].instanceId", "bucketName", "userName", "roleName", "roleArn",
                    "groupName", "policyArn", "functionName", "secretId", "keyId", "trailName", "dBInstanceIdentifier",
                    "dBSnapshotIdentifier", "dBClusterIdentifier", "snapshotId", "imageId", "volumeId", "groupId",
                    "vpcId", "subnetId", "networkInterfaceId", "tableName", "queueUrl", "topicArn", "stackName",
                    "clusterName", "logGroupName", "repositoryName", "hostedZoneId", "resolverQueryLogConfigId",
                    "modelId", "commandId", "sessionId", "target", "name", "resourceArn", "arn",
                )
            ),
            "eventSource",
        ),
        actor=(
            "userIdentity.arn",
            "userIdentity.userName",
            "userIdentity.principalId",
            "userIdentity.invokedBy",
            "userIdentity.accountId",
            "userIdentity.type",
        ),
        correlation=("requestID", "sharedEventID"),
        data=("record",),
        aliases=(("request", ("requestID",)), ("shared_event", ("sharedEventID",))),
    ),
    needs=(("eventName",), ("eventSource",), ("eventTime",), ("eventVersion", "awsRegion")),
)  # fmt: skip
"""https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html"""

_KUBERNETES = Preset(
    Stanza(
        "kubernetes_audit",
        id=("{auditID}/{stage}", "auditID"),
        type=("{verb}.{objectRef.resource}/{objectRef.subresource}", "{verb}.{objectRef.resource}", "verb"),
        time=("stageTimestamp", "requestReceivedTimestamp", "timestamp"),
        entity=(
            "{objectRef.resource}/{objectRef.namespace}/{objectRef.name}",
            "{objectRef.resource}/{objectRef.name}",
            "{objectRef.resource}/{objectRef.namespace}",
            "objectRef.resource",
            "requestURI",
        ),
        kind=("objectRef.resource",),
        actor=("user.username", "user.uid"),
        correlation=("auditID",),
        data=("record",),
        aliases=(("auditID", ("auditID",)),),
    ),
    needs=(("auditID",), ("verb",), ("stage", "requestURI")),
)
"""https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/"""

_HEADERS = ("X-GitHub-Event", "x-github-event", "X-Github-Event")
_GITHUB_WEBHOOKS = Preset(
    Stanza(
        "github_webhooks",
        id=("headers.X-GitHub-Delivery", "headers.x-github-delivery", "headers.X-Github-Delivery"),
        type=tuple(f"{{headers.{name}}}.{{body.action}}" for name in _HEADERS)
        + tuple(f"headers.{name}" for name in _HEADERS),
        entity=(
            "body.repository.full_name",
            "body.organization.login",
            "body.installation.account.login",
            "body.enterprise.slug",
            "body.marketplace_purchase.account.login",
            "body.sponsorship.sponsorable.login",
            "body.security_advisory.ghsa_id",
            "body.sender.login",
        ),
        actor=("body.sender.login", "body.pusher.name"),
        data=("body",),
        order="position",
    ),
    needs=(tuple(f"headers.{name}" for name in _HEADERS), ("body",)),
)
"""https://docs.github.com/en/webhooks/webhook-events-and-payloads; deliveries have no time that all share."""

_GITHUB_EVENTS = Preset(
    Stanza(
        "github_events",
        id=("id",),
        type=("type",),
        time=("created_at",),
        entity=("repo.name", "org.login"),
        actor=("actor.login",),
        data=("payload",),
    ),
    needs=(("id",), ("type",), ("actor.login",), ("repo.name",), ("payload",), ("created_at",)),
)
"""https://docs.github.com/en/rest/activity/events (and GH Archive)."""

_EVENTSOURCING = Preset(
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
)
"""https://eventsourcing.readthedocs.io (StoredEvent and Notification)."""

_MARTEN = Preset(
    Stanza(
        "marten",
        id=("id", "Id"),
        type=("type", "eventTypeName", "EventTypeName"),
        time=("timestamp", "Timestamp"),
        entity=("stream_id", "streamKey", "streamId", "StreamKey", "StreamId"),
        tenant=("tenant_id", "tenantId", "TenantId"),
        absent=("*DEFAULT*",),  # its name of no tenant
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
)
"""https://martendb.io/events/storage (table mt_events) and the JSON of its IEvent."""

_AXON = Preset(
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
)  # fmt: skip
"""https://docs.axoniq.io/axon-framework-reference (table DomainEventEntry and the event message)."""

_META = ("metadata", "metaData", "userMetadata", "eventMetadata")
_KURRENTDB = Preset(
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
)
"""https://docs.kurrent.io (EventStoreDB's feed, client and replicator spellings); the order is a stream's own."""

_OPENTELEMETRY = Preset(
    Stanza(
        "opentelemetry",
        type=(
            "eventName", "EventName", 'attributes."event.name"', 'Attributes."event.name"',
            "severityText", "SeverityText", "=log",
        ),
        time=("timeUnixNano", "Timestamp", "observedTimeUnixNano", "ObservedTimestamp"),
        entity=(
            'resource.attributes."service.name"', 'resource."service.name"', 'Resource."service.name"',
            'ResourceAttributes."service.name"', "ServiceName", "traceId", "TraceId",
        ),
        actor=('attributes."enduser.id"', 'Attributes."enduser.id"', 'attributes."user.id"', 'Attributes."user.id"'),
        correlation=("traceId", "TraceId"),
        data=("record",),
        aliases=(("traceparent", ("traceId", "TraceId")),),  # tied to events that carry the header itself
    ),
    needs=(
        ("timeUnixNano", "observedTimeUnixNano", "Timestamp"),
        ("body", "Body", "attributes", "Attributes"),
        ("severityNumber", "severityText", "SeverityNumber", "SeverityText", "traceId", "TraceId"),
    ),
)  # fmt: skip
"""https://opentelemetry.io/docs/specs/otel/logs/data-model/ (one log record each, in OTLP's or the exporters' names)"""

PRESETS: Mapping[str, Preset] = {
    preset.stanza.name: preset
    for preset in (
        _CLOUDEVENTS,
        _CLOUDTRAIL,
        _KUBERNETES,
        _GITHUB_WEBHOOKS,
        _GITHUB_EVENTS,
        _EVENTSOURCING,
        _MARTEN,
        _AXON,
        _KURRENTDB,
        _OPENTELEMETRY,
    )
}
"""All presets by name, in the order in which they are tried."""
