"""Envelopes and logs that belong to no single product."""

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
    source="https://github.com/cloudevents/spec/blob/main/cloudevents/formats/json-format.md",
)
"""With the extensions for correlation, authentication and distributed tracing."""

OPENTELEMETRY = Preset(
    Stanza(
        "opentelemetry",
        type=(
            "eventName", "EventName", 'attributes."event.name"', 'Attributes."event.name"',
            "severityText", "SeverityText", "=log",
        ),
        time=("timeUnixNano", "Timestamp", "observedTimeUnixNano", "ObservedTimestamp"),
        entity=(
            'wrapper.resource.attributes."service.name"', 'resource.attributes."service.name"',
            'resource."service.name"', 'Resource."service.name"', 'ResourceAttributes."service.name"', "ServiceName",
            'wrapper.resource.attributes."host.name"', "traceId", "TraceId",
        ),
        actor=(
            'attributes."enduser.id"', 'Attributes."enduser.id"', 'attributes."user.id"', 'Attributes."user.id"',
            'attributes."user.name"', 'LogAttributes."enduser.id"', 'LogAttributes."user.id"',
        ),
        correlation=("traceId", "TraceId"),
        data=("record",),
        aliases=(("traceparent", ("traceId", "TraceId")),),  # links to events that have the header itself
        opened=(("attributes", "pairs"), ("resource.attributes", "pairs"), ("wrapper.resource.attributes", "pairs")),
    ),
    needs=(
        ("timeUnixNano", "observedTimeUnixNano", "Timestamp"),
        ("body", "Body", "attributes", "Attributes"),
        ("severityNumber", "severityText", "SeverityNumber", "SeverityText", "traceId", "TraceId", "eventName",
         "observedTimeUnixNano"),
    ),
    source="https://opentelemetry.io/docs/specs/otel/logs/data-model/",
)  # fmt: skip
"""One log record each: in OTLP's names, with the resource around it, or in the names of exporters."""

_ATTRIBUTES = ('"#attributes".{}', '"@{}"', "{}")
"""How tools write the attributes of an XML element: evtx_dump, python-evtx, golang-evtx."""


def _attribute(element: str, name: str) -> tuple[str, ...]:
    place = f"System.{element}"
    apart = f"{place}_attributes.{name}"  # evtx_dump --separate-json-attributes
    return (*(f"{place}.{how.format(name)}" for how in _ATTRIBUTES), apart)


EVTX = Preset(
    Stanza(
        "evtx",
        id=("{System.Computer}/{System.Channel}/{System.EventRecordID}", "{System.Computer}/{System.EventRecordID}"),
        type=(
            *(
                f"{{{provider}}}.{{{number}}}"
                for provider in _attribute("Provider", "Name")
                for number in ('System.EventID."#text"', "System.EventID")
            ),
            'System.EventID."#text"',
            "System.EventID",
        ),
        time=_attribute("TimeCreated", "SystemTime"),
        entity=("System.Computer",),
        actor=(
            "EventData.SubjectUserName",
            "EventData.Data.SubjectUserName",
            "EventData.User",
            *_attribute("Security", "UserID"),
        ),
        correlation=_attribute("Correlation", "ActivityID"),
        data=("EventData", "UserData", "record"),
        absent=("-",),
        opened=(("EventData.Data", "pairs"),),
    ),
    needs=(
        ("System.TimeCreated", "System.TimeCreated_attributes", "System.Channel"),
        ("System.EventRecordID",),
        ("System.EventID",),
        ("System.Computer",),
    ),
    source="https://github.com/omerbenamram/evtx",
)

_WINLOG = "winlog.event_data."
WINLOGBEAT = Preset(
    Stanza(
        "winlogbeat",
        id=("{winlog.computer_name}/{winlog.channel}/{winlog.record_id}",),
        type=("{winlog.provider_name}.{winlog.event_id}", "{event.provider}.{winlog.event_id}", "winlog.event_id"),
        time=("@timestamp",),
        entity=("winlog.computer_name", "host.name"),
        actor=(f"{_WINLOG}SubjectUserName", f"{_WINLOG}User", "winlog.user.name", "winlog.user.identifier"),
        correlation=("winlog.activity_id",),
        data=("winlog.event_data", "winlog.user_data", "record"),
        absent=("-",),
    ),
    needs=(("winlog.event_id",), ("winlog.channel",), ("@timestamp",), ("winlog.computer_name", "host.name")),
    source="https://www.elastic.co/docs/reference/beats/winlogbeat/exported-fields-winlog",
)

WINDOWS_EVENTS = Preset(
    Stanza(
        "windows_events",
        id=(
            "{Computer}/{Channel}/{EventRecordID}", "{Hostname}/{Channel}/{RecordNumber}",
            "{Computer}/{Channel}/{EventRecordId}", "{Computer}/{Channel}/{RecordNumber}",
            "{MachineName}/{LogName}/{RecordId}",
        ),
        type=(
            "{Provider}.{EventID}", "{ProviderName}.{EventID}", "{SourceName}.{EventID}", "{ProviderName}.{Id}",
            "{Provider}.{EventId}", "EventID", "EventId", "Id",
        ),
        time=("@timestamp", "SystemTime", "UtcTime", "TimeCreated", "EventTime"),
        entity=("Computer", "Hostname", "MachineName"),
        actor=("SubjectUserName", "User", "AccountName", "UserId", "UserID"),
        data=("record",),
        absent=("-",),
    ),
    needs=(
        ("EventID", "EventId", "Id"),
        ("Channel", "LogName"),
        ("Computer", "Hostname", "MachineName"),
        ("EventRecordID", "EventRecordId", "RecordNumber", "RecordId"),
        ("@timestamp", "SystemTime", "UtcTime", "TimeCreated", "EventTime"),
    ),
    source="https://learn.microsoft.com/powershell/module/microsoft.powershell.diagnostics/get-winevent",
)  # fmt: skip
"""Flat, as Get-WinEvent, NXLog and EvtxECmd write them."""

ZEEK = Preset(
    Stanza(
        "zeek",
        type=("_path", "=connection"),
        time=("ts",),
        entity=('"id.orig_h"', "id.orig_h", "id_orig_h", "tx_hosts[0]", "tx_hosts"),
        correlation=("uid", "fuid", "conn_uids[0]", "conn_uids"),
        data=("record",),
        absent=("-", "(empty)"),
    ),
    needs=(
        ("ts",),
        ("uid", "fuid"),
        ('"id.orig_h"', "id.orig_h", "id_orig_h", "tx_hosts"),
        ('"id.resp_h"', "id.resp_h", "id_resp_h", "rx_hosts", "conn_uids"),
    ),
    source="https://docs.zeek.org/en/current/log-formats.html",
)

OSQUERY = Preset(
    Stanza(
        "osquery",
        type=("{name}.{action}", "name"),
        time=("unixTime", "calendarTime"),
        entity=("hostIdentifier", "decorations.host_uuid"),
        actor=("decorations.username",),
        data=("columns", "record"),
    ),
    needs=(("hostIdentifier",), ("unixTime", "calendarTime"), ("name",), ("columns", "snapshot", "diffResults")),
    source="https://osquery.readthedocs.io/en/stable/deployment/logging/",
)
"""Differential logs (by row, or by query), and snapshots, whose rows stay in one record."""

OCSF = Preset(
    Stanza(
        "ocsf",
        id=("metadata.uid",),
        type=("type_name", "class_name", "type_uid"),
        time=("time", "time_dt"),
        entity=(
            "user.uid", "user.name", "group.uid", "resources[0].uid", "resources[0].name", "resource.uid",
            "entity.uid", "device.uid", "device.hostname", "dst_endpoint.uid", "dst_endpoint.hostname",
            "finding_info.uid", "src_endpoint.ip", "cloud.account.uid",
        ),
        actor=("actor.user.name", "actor.user.email_addr", "actor.user.uid", "actor.session.uid", "actor.process.name"),
        correlation=("metadata.correlation_uid",),
        data=("record",),
    ),
    needs=(("class_uid",), ("category_uid",), ("metadata",), ("time", "time_dt")),
    source="https://schema.ocsf.io/",
)  # fmt: skip
