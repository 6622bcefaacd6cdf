"""Envelopes and logs that no one product owns."""

from __future__ import annotations

from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza

CLOUDEVENTS = Preset(
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

OPENTELEMETRY = Preset(
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

_ATTRIBUTES = '"#attributes"'
EVTX = Preset(
    Stanza(
        "evtx",
        id=("{System.Computer}/{System.Channel}/{System.EventRecordID}",),
        type=(
            f'{{System.Provider.{_ATTRIBUTES}.Name}}.{{System.EventID."#text"}}',
            f"{{System.Provider.{_ATTRIBUTES}.Name}}.{{System.EventID}}",
            "System.EventID",
        ),
        time=(f"System.TimeCreated.{_ATTRIBUTES}.SystemTime", "System.TimeCreated.SystemTime"),
        entity=("System.Computer",),
        actor=("EventData.SubjectUserName", f"System.Security.{_ATTRIBUTES}.UserID"),
        correlation=(f"System.Correlation.{_ATTRIBUTES}.ActivityID",),
        data=("EventData", "UserData"),
        absent=("-",),
    ),
    needs=(("System.Channel",), ("System.EventRecordID",), ("System.EventID",), ("System.Computer",)),
)
"""https://github.com/omerbenamram/evtx (evtx_dump -o jsonl)"""

ZEEK = Preset(
    Stanza(
        "zeek",
        type=("_path", "=connection"),
        time=("ts",),
        entity=('"id.orig_h"',),
        correlation=("uid",),
        data=("record",),
        absent=("-",),
    ),
    needs=(("uid",), ("ts",), ('"id.orig_h"',), ('"id.resp_h"',)),
)
"""https://docs.zeek.org/en/current/log-formats.html (JSON)"""

OSQUERY = Preset(
    Stanza(
        "osquery",
        type=("{name}.{action}", "name"),
        time=("unixTime", "calendarTime"),
        entity=("hostIdentifier",),
        actor=("decorations.username",),
        data=("columns", "snapshot"),
    ),
    needs=(("hostIdentifier",), ("unixTime", "calendarTime"), ("name",), ("columns", "snapshot", "diffResults")),
)
"""https://osquery.readthedocs.io/en/stable/deployment/logging/ (results log, event format)"""

OCSF = Preset(
    Stanza(
        "ocsf",
        id=("metadata.uid",),
        type=("type_name", "class_name", "type_uid"),
        time=("time", "time_dt"),
        entity=("user.uid", "user.name", "resources[0].uid", "resources[0].name", "device.uid", "device.hostname"),
        actor=("actor.user.name", "actor.user.uid", "actor.process.name"),
        correlation=("metadata.correlation_uid",),
        data=("record",),
    ),
    needs=(("class_uid",), ("category_uid",), ("metadata",), ("time", "time_dt")),
)
"""https://schema.ocsf.io"""
