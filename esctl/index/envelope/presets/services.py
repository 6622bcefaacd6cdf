"""Audit logs and events of services."""

from __future__ import annotations

from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza

_HEADERS = ("X-GitHub-Event", "x-github-event", "X-Github-Event")
GITHUB_WEBHOOKS = Preset(
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

GITHUB_EVENTS = Preset(
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


_OKTA_TARGET = tuple(f"{{target[*].type}}/{{target[*].{name}}}" for name in ("alternateId", "displayName", "id"))

OKTA = Preset(
    Stanza(
        "okta",
        id=("uuid",),
        type=("eventType",),
        time=("published",),
        entities=(("target", (*_OKTA_TARGET, "{actor.type}/{actor.alternateId}", "{actor.type}/{actor.id}")),),
        actor=("actor.alternateId", "actor.displayName", "actor.id"),
        correlation=("transaction.id",),
        data=("record",),
        absent=("unknown",),
    ),
    needs=(("uuid",), ("eventType",), ("published",), ("actor.type",), ("outcome", "target", "client")),
)
"""https://developer.okta.com/docs/api/openapi/okta-management/management/tag/SystemLog/"""

GITHUB_AUDIT = Preset(
    Stanza(
        "github_audit",
        id=("_document_id",),
        type=("action",),
        time=("@timestamp", "created_at"),
        entity=("repo", "org", "business", "user"),
        actor=("actor", "actor_id"),
        data=("record",),
    ),
    needs=(("_document_id",), ("action",), ("@timestamp", "created_at")),
)
"""https://docs.github.com/en/organizations/keeping-your-organization-secure/managing-security-settings-for-your-organization/reviewing-the-audit-log-for-your-organization"""

GOOGLE_WORKSPACE = Preset(
    Stanza(
        "google_workspace",
        id=("{id.applicationName}/{id.time}/{id.uniqueQualifier}",),
        type=("events[0].name",),
        time=("id.time",),
        entity=("actor.email", "actor.profileId", "id.customerId"),
        actor=("actor.email", "actor.profileId", "actor.key"),
        data=("record",),
    ),
    needs=(("id.time",), ("id.applicationName",), ("id.uniqueQualifier",), ("events",)),
)
"""https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities"""

GITLAB_AUDIT = Preset(
    Stanza(
        "gitlab_audit",
        id=("id",),
        type=("event_type", "event_name", "details.event_name", "change", "details.change", "custom_message"),
        time=("created_at", "time"),
        entity=("{entity_type}/{entity_path}", "{entity_type}/{details.entity_path}", "{entity_type}/{entity_id}"),
        kind=("entity_type",),
        actor=("author_name", "details.author_name", "author_id"),
        correlation=("correlation_id",),
        data=("record",),
    ),
    needs=(
        ("entity_type",),
        ("entity_id",),
        ("author_name", "author_id"),
        ("target_type", "target_details", "target_id", "details"),
    ),
)
"""https://docs.gitlab.com/administration/logs/#audit_jsonlog and .../user/compliance/audit_event_schema/"""

_SLACK_THINGS = ("user.email", "user.id", "channel.id", "file.id", "app.id", "usergroup.id", "workspace.id")
SLACK_AUDIT = Preset(
    Stanza(
        "slack_audit",
        id=("id",),
        type=("action",),
        time=("date_create",),
        entity=tuple(f"{{entity.type}}/{{entity.{name}}}" for name in (*_SLACK_THINGS, "enterprise.id")),
        kind=("entity.type",),
        actor=("actor.user.email", "actor.user.id"),
        data=("record",),
    ),
    needs=(("date_create",), ("action",), ("entity.type",), ("actor",)),
)
"""https://docs.slack.dev/admins/audit-logs-api"""

AUTH0 = Preset(
    Stanza(
        "auth0",
        id=("log_id", "_id"),
        type=("type",),
        time=("date",),
        entity=("user_id", "user_name", "client_id"),
        actor=("user_name", "user_id", "client_id"),
        data=("record",),
    ),
    needs=(("log_id", "_id"), ("type",), ("date",), ("client_id", "user_id", "connection"), ("ip", "user_agent")),
)
"""https://auth0.com/docs/deploy-monitor/logs/log-event-type-codes"""

STRIPE = Preset(
    Stanza(
        "stripe",
        id=("id",),
        type=("type",),
        time=("created",),
        entity=("{data.object.object}/{data.object.id}", "data.object.object"),
        kind=("data.object.object",),
        correlation=("request.id",),
        data=("data.object",),
    ),
    needs=(("data.object.object",), ("created",), ("type",), ("livemode", "api_version", "pending_webhooks")),
)
"""https://docs.stripe.com/api/events/object"""

TELEPORT = Preset(
    Stanza(
        "teleport",
        id=("uid",),
        type=("event",),
        time=("time",),
        entity=("sid", "name", "server_id", "user"),
        actor=("user",),
        correlation=("sid",),
        data=("record",),
    ),
    needs=(("uid",), ("event",), ("time",), ("code",), ("ei", "cluster_name")),
)
"""https://goteleport.com/docs/reference/monitoring/audit/"""

VAULT = Preset(
    Stanza(
        "vault",
        id=("{request.id}/{type}",),
        type=("{type}.{request.operation}", "type"),
        time=("time",),
        entity=("request.path",),
        actor=("auth.display_name", "auth.entity_id"),
        correlation=("request.id",),
        data=("record",),
    ),
    needs=(("request.id",), ("request.path",), ("request.operation",), ("time",)),
)
"""https://developer.hashicorp.com/vault/docs/audit/schema"""

SALESFORCE_FIELD_HISTORY = Preset(
    Stanza(
        "salesforce_field_history",
        id=("Id",),
        type=("Field",),
        time=("CreatedDate",),
        entity=("ParentId", "AccountId", "OpportunityId", "ContactId", "LeadId", "CaseId", "ContractId"),
        actor=("CreatedById", "CreatedBy.Name"),
        data=("record",),
    ),
    needs=(("Field",), ("CreatedDate",), ("CreatedById", "CreatedBy"), ("NewValue", "OldValue")),
)
"""https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_associated_objects_history.htm"""
