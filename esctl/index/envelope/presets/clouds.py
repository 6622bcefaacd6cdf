"""Audit logs of clouds, and of what runs in them."""

from __future__ import annotations

from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza

_AWS = "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/"
_LEARN = "https://learn.microsoft.com/"


CLOUDTRAIL = Preset(
    Stanza(
        "cloudtrail",
        id=("eventID",),
        type=("eventName",),
        time=("eventTime",),
        entities=(
            (
                "resource",
                (
                    *(f"resources[*].{name}" for name in ("ARN", "arn", "ARNPrefix")),
                    "responseElements.instancesSet.items[*].instanceId",  # that were started, stopped, ...
                    "requestParameters.instancesSet.items[*].instanceId",
                    *(
                        f"requestParameters.{name}"
                        for name in (
                            "instanceId", "bucketName", "userName", "roleName", "roleArn", "groupName", "policyArn",
                            "functionName", "secretId", "keyId", "trailName", "dBInstanceIdentifier",
                            "dBSnapshotIdentifier", "dBClusterIdentifier", "snapshotId", "imageId", "volumeId",
                            "groupId", "vpcId", "subnetId", "networkInterfaceId", "tableName", "queueUrl", "topicArn",
                            "stackName", "clusterName", "logGroupName", "repositoryName", "hostedZoneId",
                            "resolverQueryLogConfigId", "modelId", "commandId", "sessionId", "target", "name",
                            "resourceArn", "arn",
                        )
                    ),
                    *(
                        f"responseElements.{name}"
                        for name in (
                            "vpc.vpcId", "subnet.subnetId", "volumeId", "snapshotId", "imageId", "functionArn",
                            "keyMetadata.arn",
                        )
                    ),
                    "eventSource",
                ),
            ),
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
    source=f"{_AWS}cloudtrail-event-reference-record-contents.html",
    any_spelling=("userIdentity", "userIdentity.arn", "userIdentity.type"),
)  # fmt: skip

KUBERNETES = Preset(
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
        actor=("user.username", "user.name", "user.uid"),  # `name`: of Rancher
        correlation=("auditID",),
        data=("record",),
        aliases=(("auditID", ("auditID",)),),
    ),
    needs=(("auditID",), ("verb",), ("stage", "requestURI")),
    source="https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/",
)

CLOUDTRAIL_INSIGHT = Preset(
    Stanza(
        "cloudtrail_insight",
        id=("eventID",),
        type=("{insightDetails.insightType}.{insightDetails.state}", "insightDetails.insightType", "eventType"),
        time=("eventTime",),
        entity=("insightDetails.eventSource", "recipientAccountId"),
        correlation=("sharedEventID",),
        data=("insightDetails",),
    ),
    needs=(("insightDetails",), ("eventTime",), ("eventID",)),
    source=f"{_AWS}cloudtrail-event-reference-insights-events.html",
)

CLOUDTRAIL_DIGEST = Preset(
    Stanza(
        "cloudtrail_digest",
        type=("=CloudTrailDigest",),
        time=("digestEndTime", "newestEventTime"),
        data=("record",),
        ignore_types=("*",),  # a digest vouches for files of events, and is no event
    ),
    needs=(
        ("digestStartTime", "oldestEventTime"),
        ("digestEndTime", "newestEventTime"),
        ("digestS3Object", "s3Object"),
        ("digestSignatureAlgorithm", "logFiles", "hashAlgorithm"),
    ),  # a whole digest, or one of the files that it lists
    source=f"{_AWS}cloudtrail-log-file-validation-digest-file-structure.html",
)

_GCP = ("protoPayload", "protopayload_auditlog")  # a log entry, and its row in BigQuery


def _gcp(*names: str) -> tuple[str, ...]:
    return tuple(f"{payload}.{name}" for payload in _GCP for name in names)


GCP_AUDIT = Preset(
    Stanza(
        "gcp_audit",
        id=("{logName}/{timestamp}/{insertId}", "insertId"),
        type=_gcp("methodName"),
        time=("timestamp", "receiveTimestamp"),
        entity=(*_gcp("resourceName"), *_gcp("serviceName"), "resource.type"),
        actor=_gcp(
            "authenticationInfo.principalEmail",
            "authenticationInfo.principalSubject",
        ),
        correlation=("operation.id", "trace"),
        data=_GCP,
    ),
    needs=(_gcp("methodName"), ("insertId", "logName"), ("timestamp", "receiveTimestamp")),
    source="https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog",
    any_spelling=_gcp("methodName"),
)

_CLAIMS = '"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/{}"'
_UPN, _NAME = _CLAIMS.format("upn"), _CLAIMS.format("name")
AZURE_ACTIVITY = Preset(
    Stanza(
        "azure_activity",
        id=("eventDataId",),
        type=("operationName.value", "operationName", "operationNameValue"),
        time=("eventTimestamp", "time", "TimeGenerated"),
        entity=("resourceId", "resourceUri", "_ResourceId", "resourceGroupName"),
        actor=(
            "caller",
            *(
                f"{claims}.{name}"
                for claims in ("identity.claims", "claims", "identity.claim")
                for name in (_UPN, "upn", _NAME, "name", "appid")
            ),
        ),
        correlation=("correlationId",),
        data=("properties", "record"),
        ignore_case=True,
    ),
    needs=(
        ("operationName", "operationNameValue"),
        ("resourceId", "resourceUri", "_ResourceId"),
        ("eventTimestamp", "time", "TimeGenerated"),
        ("correlationId",),
        ("caller", "identity.authorization", "identity.claims", "identity.claim", "eventDataId"),
    ),
    source=f"{_LEARN}azure/azure-monitor/platform/activity-log-schema",
    any_spelling=("_ResourceId", "eventDataId", "identity.claims", "identity.authorization"),
)
AZURE_ACTIVITY_CSV = Preset(
    Stanza(
        "azure_activity_csv",
        type=('"Operation name"',),
        time=("Time",),
        entity=(
            "{Subscription}/{Resource group}/{Resource}",
            "{Resource group}/{Resource}",
            "{Subscription}/{Resource group}",
            "Resource",
            "Subscription",
        ),
        actor=('"Event initiated by"',),
        correlation=('"Correlation id"',),
        data=("record",),
        ignore_case=True,
    ),
    needs=(
        ('"Correlation id"',),
        ('"Operation name"',),
        ('"Event initiated by"',),
        ("Time",),
        ("Subscription", '"Resource group"'),
    ),
    source=f"{_LEARN}azure/azure-monitor/platform/activity-log",
)

ENTRA_SIGNIN = Preset(
    Stanza(
        "entra_signin",
        id=("properties.id", "id", '"Request ID"'),
        type=("operationName", "=SignIn"),
        time=("properties.createdDateTime", "createdDateTime", '"Date (UTC)"', "time"),
        entity=(
            "properties.userId",
            "userId",
            '"User ID"',
            "properties.servicePrincipalId",
            "servicePrincipalId",
            '"Service principal ID"',
            "Username",
        ),
        actor=(
            "properties.userPrincipalName",
            "userPrincipalName",
            "Username",
            "properties.servicePrincipalName",
            "servicePrincipalName",
            '"Service principal name"',
            "properties.appDisplayName",
            "appDisplayName",
        ),
        correlation=("properties.correlationId", "correlationId", '"Correlation ID"'),
        data=("properties", "record"),
    ),
    needs=(
        ("properties.createdDateTime", "createdDateTime", '"Date (UTC)"'),
        ("properties.appId", "appId", '"Application ID"', "Application"),
        (
            "properties.userPrincipalName",
            "userPrincipalName",
            "properties.servicePrincipalId",
            "servicePrincipalId",
            "Username",
            '"Service principal ID"',
        ),
        (
            "properties.ipAddress",
            "ipAddress",
            '"IP address"',
            "properties.conditionalAccessStatus",
            "conditionalAccessStatus",
        ),
    ),
    source=f"{_LEARN}graph/api/resources/signin",
    any_spelling=("userPrincipalName", "servicePrincipalId", "conditionalAccessStatus"),
)


def _entra_target(at: int) -> tuple[str, ...]:
    """Return the paths of target number `at` in the portal's CSV; for 1, also of all in Graph and diagnostic logs."""
    names = ("userPrincipalName", "displayName", "id")
    within = ("targetResources[*]", "properties.targetResources[*]") if at == 1 else ()
    csv, columns = f"Target{at}", ("UserPrincipalName", "DisplayName", "ObjectId")
    found = [f"{{{place}.type}}/{{{place}.{name}}}" for place in within for name in names]
    return (*found, *(f"{{{csv}Type}}/{{{csv}{name}}}" for name in columns))


ENTRA_AUDIT = Preset(
    Stanza(
        "entra_audit",
        id=("id", "properties.id"),
        type=("activityDisplayName", "properties.activityDisplayName", "operationName", "Activity"),
        time=("activityDateTime", "properties.activityDateTime", '"Date (UTC)"', "Date"),
        entities=(("target", _entra_target(1)), ("target_2", _entra_target(2)), ("target_3", _entra_target(3))),
        actor=(
            *(
                f"{within}{name}"
                for within in ("", "properties.")
                for name in (
                    "initiatedBy.user.userPrincipalName", "initiatedBy.user.id", "initiatedBy.app.displayName",
                    "initiatedBy.app.servicePrincipalId",
                )
            ),
            "ActorUserPrincipalName", "ActorServicePrincipalName", "ActorDisplayName", "ActorObjectId",
        ),
        correlation=("correlationId", "properties.correlationId", "CorrelationId"),
        data=("record",),
        absent=("N/A",),
    ),
    needs=(
        ("activityDateTime", "properties.activityDateTime", '"Date (UTC)"', "Date"),
        ("activityDisplayName", "properties.activityDisplayName", "operationName", "Activity"),
        ("targetResources", "properties.targetResources", "Target1Type", "Target1DisplayName", "Target1ObjectId"),
        ("initiatedBy", "properties.initiatedBy", "ActorType", "ActorDisplayName", "ActorObjectId"),
    ),
    source=f"{_LEARN}graph/api/resources/directoryaudit",
    any_spelling=("targetResources", "targetResources[0].id", "Target1ObjectId"),
)  # fmt: skip

M365_UAL = Preset(
    Stanza(
        "m365_ual",
        id=("Id",),
        type=("Operation",),
        time=("CreationTime",),  # UTC, though it names no zone
        entity=("ObjectId", "SiteUrl", "MailboxOwnerUPN", "UserId"),
        actor=("UserId", "UserKey"),
        data=("record",),
    ),
    needs=(("CreationTime",), ("Operation",), ("Workload",), ("UserId", "UserKey"), ("RecordType",)),
    source=f"{_LEARN}office/office-365-management-api/office-365-management-activity-api-schema",
)
"""Also the content of `AuditData` in the CSV, and of `auditData` in Graph's queries."""

VPC_FLOW = Preset(
    Stanza(
        "vpc_flow",
        type=("action", "log-status", "log_status", "=flow"),
        time=("start",),
        entity=("interface-id", "interface_id", "tgw-attachment-id", "tgw_attachment_id", "tgw-id", "tgw_id"),
        actor=("srcaddr", "pkt-srcaddr", "pkt_srcaddr"),
        data=("record",),
        data_without=("start",),
        absent=("-",),
    ),
    needs=(
        ("interface-id", "interface_id", "tgw-id", "tgw_id"),
        ("start",),
        ("end",),
        ("log-status", "log_status", "srcaddr", "pkt-srcaddr", "pkt_srcaddr"),
    ),
    source="https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html",
)
"""Flow logs of interfaces and transit gateways, with any fields, as text with a header or as Parquet."""
