"""The event formats that are known by name: where each keeps its envelope, and how it is recognised.

A new preset is one more entry of PRESETS, in the module of its family. The first one whose `needs` most records of a
sample meet is taken, so the more specific come first.
"""

from __future__ import annotations

from collections.abc import Mapping

from esctl.index.envelope.presets import (
    cdc,
    clouds,
    event_stores,
    hosts,
    named_columns,
    services,
    tables,
    telemetry,
    text_logs,
)
from esctl.index.envelope.presets.preset import Preset

PRESETS: Mapping[str, Preset] = {
    preset.stanza.name: preset
    for preset in (
        cdc.DEBEZIUM_OUTBOX,
        cdc.PGOUTPUT,
        cdc.DEBEZIUM,
        cdc.DEBEZIUM_FLAT,
        cdc.WAL2JSON,
        cdc.MAXWELL,
        cdc.CANAL,
        cdc.DYNAMODB,
        cdc.AWS_DMS,
        cdc.MONGODB,
        cdc.SUPA_AUDIT,
        cdc.SUPABASE,
        cdc.AUDIT_TRIGGER,
        cdc.PGMEMENTO,
        telemetry.CLOUDEVENTS,
        clouds.CLOUDTRAIL,
        clouds.CLOUDTRAIL_INSIGHT,
        clouds.CLOUDTRAIL_DIGEST,
        clouds.KUBERNETES,
        clouds.GCP_AUDIT,
        clouds.ENTRA_SIGNIN,
        clouds.ENTRA_AUDIT,
        clouds.AZURE_ACTIVITY,
        clouds.AZURE_ACTIVITY_CSV,
        clouds.M365_UAL,
        clouds.VPC_FLOW,
        services.GITHUB_WEBHOOKS,
        services.GITHUB_EVENTS,
        services.GITHUB_AUDIT,
        services.OKTA,
        services.GOOGLE_WORKSPACE,
        services.GITLAB_AUDIT,
        services.SLACK_AUDIT,
        services.STRIPE,
        services.SHOPIFY_WEBHOOKS,
        services.SHOPIFY_EVENTS,
        services.TELEPORT,
        services.VAULT,
        services.SALESFORCE_FIELD_HISTORY,
        services.JIRA_CHANGELOG,
        services.JIRA_WEBHOOKS,
        event_stores.EVENTSOURCING,
        event_stores.MARTEN,
        event_stores.AXON,
        event_stores.COMMANDED,
        event_stores.PROOPH,
        event_stores.SPATIE,
        event_stores.PEKKO_JDBC,
        event_stores.RAILS_EVENT_STORE,
        event_stores.KURRENTDB,
        cdc.ROW_HISTORY,
        tables.PAPER_TRAIL,
        tables.DJANGO_AUDITLOG,
        tables.DJANGO_SIMPLE_HISTORY,
        hosts.JOURNALD,
        hosts.FALCO,
        hosts.KEYCLOAK_ADMIN,
        hosts.KEYCLOAK,
        telemetry.EVTX,
        telemetry.WINLOGBEAT,
        telemetry.WINDOWS_EVENTS,
        telemetry.ZEEK,
        telemetry.OSQUERY,
        telemetry.OCSF,
        named_columns.W3C_ACCESS,
        named_columns.EXCHANGE_TRACKING,
        named_columns.WINDOWS_FIREWALL,
        services.AUTH0,
        telemetry.OPENTELEMETRY,
        text_logs.CEF,
        text_logs.S3_ACCESS,
        text_logs.SQUID,
        text_logs.ACCESS_LOG,
        text_logs.ELB_ACCESS,
        text_logs.APACHE_ERROR,
        text_logs.NGINX_ERROR,
        text_logs.SYSLOG,
        text_logs.POSTGRESQL,
        text_logs.AUDITD,
        text_logs.CONTAINER,
    )
}
"""All presets by name, in the order in which they are tried."""

__all__ = ["PRESETS", "Preset"]
