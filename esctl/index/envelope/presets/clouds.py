"""Audit logs of clouds, and of what runs in them."""

from __future__ import annotations

from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza

CLOUDTRAIL = Preset(
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
        actor=("user.username", "user.uid"),
        correlation=("auditID",),
        data=("record",),
        aliases=(("auditID", ("auditID",)),),
    ),
    needs=(("auditID",), ("verb",), ("stage", "requestURI")),
)
"""https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/"""

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
)
"""https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-insights-events.html"""

CLOUDTRAIL_DIGEST = Preset(
    Stanza(
        "cloudtrail_digest",
        type=("=CloudTrailDigest",),
        time=("digestEndTime", "newestEventTime"),
        data=("record",),
        ignore_types=("*",),  # it vouches for files of events, and is none
    ),
    needs=(
        ("digestStartTime", "oldestEventTime"),
        ("digestEndTime", "newestEventTime"),
        ("digestS3Object", "s3Object"),
        ("digestSignatureAlgorithm", "logFiles", "hashAlgorithm"),
    ),  # whole, or one of the files that it lists
)
"""https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html"""

GCP_AUDIT = Preset(
    Stanza(
        "gcp_audit",
        id=("{logName}/{timestamp}/{insertId}", "insertId"),
        type=("protoPayload.methodName",),
        time=("timestamp", "receiveTimestamp"),
        entity=("protoPayload.resourceName", "protoPayload.serviceName", "resource.type"),
        actor=(
            "protoPayload.authenticationInfo.principalEmail",
            "protoPayload.authenticationInfo.principalSubject",
        ),
        correlation=("operation.id", "trace"),
        data=("protoPayload",),
    ),
    needs=(("protoPayload.methodName",), ("insertId", "logName"), ("timestamp", "receiveTimestamp")),
)
"""https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog, in a LogEntry"""

_CLAIMS = '"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/{}"'
AZURE_ACTIVITY = Preset(
    Stanza(
        "azure_activity",
        id=("eventDataId",),
        type=("operationName.value", "operationName"),
        time=("time", "eventTimestamp"),
        entity=("resourceId", "resourceUri", "resourceGroupName"),
        actor=(
            "caller",
            f"identity.claims.{_CLAIMS.format('upn')}",
            f"identity.claims.{_CLAIMS.format('name')}",
            "identity.claims.appid",
        ),
        correlation=("correlationId",),
        data=("properties",),
    ),
    needs=(
        ("operationName",),
        ("resourceId", "resourceUri"),
        ("time", "eventTimestamp"),
        ("correlationId",),
        ("caller", "identity.authorization", "identity.claims", "eventDataId"),
    ),
)
"""https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema (REST, and storage accounts)"""

ENTRA_SIGNIN = Preset(
    Stanza(
        "entra_signin",
        id=("properties.id", "id"),
        type=("operationName", "=SignIn"),
        time=("properties.createdDateTime", "createdDateTime", "time"),
        entity=("properties.userId", "userId", "properties.servicePrincipalId", "servicePrincipalId"),
        actor=("properties.userPrincipalName", "userPrincipalName", "properties.appDisplayName", "appDisplayName"),
        correlation=("properties.correlationId", "correlationId"),
        data=("properties", "record"),
    ),
    needs=(
        ("properties.createdDateTime", "createdDateTime"),
        ("properties.appId", "appId"),
        ("properties.userPrincipalName", "userPrincipalName", "properties.servicePrincipalId", "servicePrincipalId"),
        ("properties.ipAddress", "ipAddress", "properties.conditionalAccessStatus", "conditionalAccessStatus"),
    ),
)
"""https://learn.microsoft.com/graph/api/resources/signin, alone or as `properties` of diagnostic logs"""


_ENTRA_TARGET = tuple(
    f"{{targetResources[*].type}}/{{targetResources[*].{name}}}" for name in ("userPrincipalName", "displayName", "id")
)

ENTRA_AUDIT = Preset(
    Stanza(
        "entra_audit",
        id=("id",),
        type=("activityDisplayName", "operationName"),
        time=("activityDateTime",),
        entities=(("target", _ENTRA_TARGET),),
        actor=(
            "initiatedBy.user.userPrincipalName",
            "initiatedBy.user.id",
            "initiatedBy.app.displayName",
            "initiatedBy.app.servicePrincipalId",
        ),
        correlation=("correlationId",),
        data=("record",),
    ),
    needs=(("activityDateTime",), ("activityDisplayName", "operationName"), ("targetResources",), ("initiatedBy",)),
)
"""https://learn.microsoft.com/graph/api/resources/directoryaudit"""

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
)
"""https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema"""
