"""Audit logs and events of services for code, identity and collaboration."""

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
        order="position",  # no time is in all deliveries
    ),
    needs=(tuple(f"headers.{name}" for name in _HEADERS), ("body",)),
    source="https://docs.github.com/en/webhooks/webhook-events-and-payloads",
)

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
    source="https://docs.github.com/en/rest/activity/events",
)
"""Also what GH Archive keeps."""

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
    needs=(
        ("action",),
        ("@timestamp", "created_at"),
        ("_document_id", "actor_location", "actor_is_bot"),
        ("actor", "actor_id", "_document_id"),
    ),
    source="https://docs.github.com/en/rest/orgs/orgs#get-the-audit-log-for-an-organization",
)
"""If a repository or an organisation is named, `user` is whom it was done to."""

GITLAB_AUDIT = Preset(
    Stanza(
        "gitlab_audit",
        id=("id", "ID"),
        type=(
            "event_type", "event_name", "details.event_name", "details.custom_message", "change", "details.change",
            "details.add", "details.remove", "add", "remove", "custom_message", "Action",
        ),
        time=("created_at", "time", '"Created At (UTC)"', '"Created At"'),
        entity=(
            "{entity_type}/{entity_path}",
            "{entity_type}/{details.entity_path}",
            "{Entity Type}/{Entity Path}",
            "{entity_type}/{entity_id}",
            "{Entity Type}/{Entity ID}",
        ),
        kind=("entity_type", '"Entity Type"'),
        actor=("author_name", "details.author_name", '"Author Name"', "author_id", '"Author ID"'),
        correlation=("correlation_id",),
        data=("record",),
    ),
    needs=(
        ("entity_type", '"Entity Type"'),
        ("entity_id", '"Entity ID"'),
        ("author_name", "author_id", '"Author ID"', '"Author Name"'),
        ("target_type", "target_details", "target_id", "details", '"Target Type"', '"Target Details"'),
    ),
    source="https://docs.gitlab.com/user/compliance/audit_event_schema/",
)  # fmt: skip
"""Streamed, from the API, in `audit_json.log`, and as CSV."""


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
    needs=(("uuid",), ("eventType",), ("published",), ("actor.type", "actor.id"), ("outcome", "target", "client")),
    source="https://developer.okta.com/docs/api/openapi/okta-management/management/tag/SystemLog/",
    any_spelling=("actor.alternateId",),
)

GOOGLE_WORKSPACE = Preset(
    Stanza(
        "google_workspace",
        id=("{id.applicationName}/{id.time}/{id.uniqueQualifier}",),
        type=(
            "{events[0].name},{events[1].name},{events[2].name}",
            "{events[0].name},{events[1].name}",
            "events[0].name",
        ),
        time=("id.time",),
        entity=(
            *(
                f"{kind}/{{events[0].parameters.{name}}}"
                for kind, name in (
                    ("document", "doc_id"), ("user", "USER_EMAIL"), ("user", "user_email"), ("group", "GROUP_EMAIL"),
                    ("group", "group_email"), ("group", "group_id"), ("calendar", "calendar_id"), ("app", "app_name"),
                    ("device", "DEVICE_ID"), ("domain", "DOMAIN_NAME"), ("role", "ROLE_NAME"),
                    ("orgunit", "ORG_UNIT_NAME"), ("application", "APPLICATION_NAME"),
                )
            ),
            "user/{actor.email}",
            "user/{actor.profileId}",
            "id.customerId",
        ),
        actor=("actor.email", "actor.profileId", "actor.key", "actor.applicationInfo.applicationName"),
        data=("record",),
        opened=(("events[0].parameters", "pairs"),),
    ),
    needs=(("id.time",), ("id.applicationName",), ("id.uniqueQualifier",), ("events",)),
    source="https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities",
)  # fmt: skip

_SLACK_THINGS = ("user.email", "user.id", "channel.id", "file.id", "app.id", "usergroup.id", "workflow.id", "role.id")
_SLACK_OTHERS = ("barrier.id", "message.channel", "huddle.id", "account_type_role.id", "workspace.id", "enterprise.id")
SLACK_AUDIT = Preset(
    Stanza(
        "slack_audit",
        id=("id",),
        type=("action",),
        time=("date_create",),
        entity=tuple(f"{{entity.type}}/{{entity.{name}}}" for name in (*_SLACK_THINGS, *_SLACK_OTHERS)),
        kind=("entity.type",),
        actor=("actor.user.email", "actor.user.id", "actor.app.id"),
        data=("record",),
    ),
    needs=(("date_create",), ("action",), ("entity.type",), ("actor",)),
    source="https://docs.slack.dev/reference/audit-logs-api/methods-actions-reference",
)

_AUTH0_ADMIN = "details.request.auth.user"
AUTH0 = Preset(
    Stanza(
        "auth0",
        id=("log_id", "_id"),
        type=("type",),
        time=("date",),
        entity=("user_id", "user_name", "details.request.path", "client_id"),
        actor=(
            f"{_AUTH0_ADMIN}.email", f"{_AUTH0_ADMIN}.name", f"{_AUTH0_ADMIN}.user_id", "user_name", "user_id",
            "client_id",
        ),
        data=("record",),
    ),
    needs=(
        ("log_id", "_id"),
        ("type",),
        ("date",),
        ("client_id", "user_id", "connection", "client_name"),
        ("ip", "user_agent"),
        ("log_id", "strategy", "isMobile", "connection", "tenant_name", "hostname", "client_name"),
    ),
    source="https://auth0.com/docs/tenant-logs",
)  # fmt: skip
"""For the Management API, the actor is in `details.request.auth`, and the entity is the path of the request."""

STRIPE = Preset(
    Stanza(
        "stripe",
        id=("id",),
        type=("type",),
        time=("created",),
        entity=(
            "{data.object.object}/{data.object.id}",
            "{related_object.type}/{related_object.id}",
            "data.object.object",
        ),
        kind=("data.object.object", "related_object.type"),
        correlation=("request.id", "reason.request.id"),
        data=("data.object", "data", "record"),
    ),
    needs=(
        ("data.object.object", "related_object.id"),
        ("created",),
        ("type",),
        ("livemode", "api_version", "pending_webhooks"),
    ),
    source="https://docs.stripe.com/api/events/object",
)

_SHOPIFY = ("X-Shopify-{}", "x-shopify-{}")


def _shopify(name: str) -> tuple[str, ...]:
    return (f"headers.{_SHOPIFY[0].format(name)}", f"headers.{_SHOPIFY[1].format(name.lower())}")


SHOPIFY_WEBHOOKS = Preset(
    Stanza(
        "shopify_webhooks",
        id=(*_shopify("Webhook-Id"), *_shopify("Event-Id")),
        type=_shopify("Topic"),
        time=(*_shopify("Triggered-At"), "body.updated_at", "body.created_at"),
        entity=("body.admin_graphql_api_id", "body.id", *_shopify("Shop-Domain")),
        actor=_shopify("Shop-Domain"),
        correlation=_shopify("Event-Id"),
        data=("body",),
    ),
    needs=(_shopify("Topic"), _shopify("Shop-Domain"), ("body",)),
    source="https://shopify.dev/docs/apps/build/webhooks",
)

SHOPIFY_EVENTS = Preset(
    Stanza(
        "shopify_events",
        id=("id",),
        type=("{subject_type}.{verb}", "verb"),
        time=("created_at",),
        entity=("{subject_type}/{subject_id}",),
        kind=("subject_type",),
        actor=("author",),
        data=("record",),
    ),
    needs=(("subject_id",), ("subject_type",), ("verb",), ("created_at",), ("arguments", "path")),
    source="https://shopify.dev/docs/api/admin-rest/latest/resources/event",
)

TELEPORT = Preset(
    Stanza(
        "teleport",
        id=("uid",),
        type=("event",),
        time=("time",),
        entity=("sid", "name", "db_service", "app_name", "kubernetes_cluster", "server_id", "identity.user", "user"),
        actor=("user", "identity.user"),
        correlation=("sid",),
        data=("record",),
    ),
    needs=(("uid",), ("event",), ("time",), ("code",), ("ei", "cluster_name")),
    source="https://goteleport.com/docs/reference/audit-events/",
)

VAULT = Preset(
    Stanza(
        "vault",
        id=("{request.id}/{type}",),
        type=("{type}.{request.operation}", "type"),
        time=("time",),
        entity=("{request.namespace.path}{request.path}", "request.path"),
        actor=("auth.display_name", "auth.entity_id"),
        correlation=("request.id",),
        data=("record",),
    ),
    needs=(("request.id",), ("request.path",), ("request.operation",), ("time",)),
    source="https://developer.hashicorp.com/vault/docs/audit/schema",
)

_SALESFORCE = (
    "ParentId", "AccountId", "OpportunityId", "ContactId", "LeadId", "CaseId", "ContractId", "OrderId", "SolutionId",
    "AssetId", "CampaignId", "EntitlementId", "ServiceContractId", "Product2Id", "QuoteId",
)  # fmt: skip
_SALESFORCE_THINGS = (*_SALESFORCE, *(name.upper() for name in _SALESFORCE))
SALESFORCE_FIELD_HISTORY = Preset(
    Stanza(
        "salesforce_field_history",
        id=("Id", "ID"),
        type=("Field", "FIELD"),
        time=("CreatedDate", "CREATEDDATE"),
        entity=_SALESFORCE_THINGS,
        actor=("CreatedById", "CREATEDBYID", "CreatedBy.Username", "CreatedBy.Name"),
        data=("record",),
    ),
    needs=(
        ("Field", "FIELD"),
        ("CreatedDate", "CREATEDDATE"),
        ("CreatedById", "CREATEDBYID", "CreatedBy"),
        _SALESFORCE_THINGS,
    ),
    source="https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/"
    "sforce_api_associated_objects_history.htm",
)
"""From a query, and in the capitals of Data Loader."""

_JIRA_PEOPLE = ("emailAddress", "accountId", "key", "name", "displayName")
JIRA_CHANGELOG = Preset(
    Stanza(
        "jira_changelog",
        id=("id",),
        type=tuple(",".join(f"{{items[{at}].field}}" for at in range(count)) for count in (5, 4, 3, 2, 1)),
        time=("created",),
        entity=("wrapper.key", "wrapper.issueId", "wrapper.id"),
        actor=tuple(f"author.{name}" for name in _JIRA_PEOPLE),
        data=("record",),
        data_without=("wrapper", "author"),
    ),
    needs=(("items",), ("created",), ("id",), ("author",), ("items[0].field",)),
    source="https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/",
)  # fmt: skip
"""The histories of an issue, whose key is in the object around them (`expand=changelog`, `changelog/bulkfetch`)."""

JIRA_WEBHOOKS = Preset(
    Stanza(
        "jira_webhooks",
        type=("webhookEvent",),
        time=("timestamp",),
        entity=("issue.key", "project.key", "version.id", "user.accountId", "worklog.issueId", "sprint.id"),
        actor=tuple(f"{who}.{name}" for who in ("user", "comment.updateAuthor", "comment.author")
                    for name in _JIRA_PEOPLE),
        correlation=("changelog.id",),
        data=("record",),
    ),
    needs=(("webhookEvent",), ("timestamp",), ("issue", "project", "version", "user", "worklog", "sprint", "comment")),
    source="https://developer.atlassian.com/server/jira/platform/webhooks/",
)  # fmt: skip
