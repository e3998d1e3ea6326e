"""S3, DynamoDB, CloudWatch Logs, CloudTrail: where things are written down."""

from __future__ import annotations

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.tables.table import Table

_BUCKET_GETS = (
    "GetBucketAcl GetBucketCors GetBucketEncryption GetBucketLifecycleConfiguration"
    " GetBucketLocation GetBucketLogging"
    " GetBucketNotificationConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus"
    " GetBucketReplication GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite"
    " GetObjectLockConfiguration GetPublicAccessBlock"
)
_BUCKET_PUTS = (
    "CreateBucket DeleteBucket DeleteBucketCors DeleteBucketEncryption DeleteBucketLifecycle"
    " DeleteBucketPolicy"
    " DeleteBucketReplication DeleteBucketTagging DeleteBucketWebsite DeletePublicAccessBlock HeadBucket"
    " ListMultipartUploads ListObjectVersions ListObjects ListObjectsV2 PutBucketAcl PutBucketCors"
    " PutBucketEncryption"
    " PutBucketLifecycleConfiguration PutBucketLogging PutBucketNotificationConfiguration"
    " PutBucketOwnershipControls"
    " PutBucketPolicy PutBucketReplication PutBucketTagging PutBucketVersioning PutBucketWebsite"
    " PutObjectLockConfiguration PutPublicAccessBlock"
)
S3 = Table(
    "s3",
    {
        "{Bucket}": f"{_BUCKET_GETS} {_BUCKET_PUTS}",
        "{Bucket}/{Key}": (
            "AbortMultipartUpload CompleteMultipartUpload CopyObject CreateMultipartUpload DeleteObject"
            " DeleteObjectTagging GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold"
            " GetObjectRetention"
            " GetObjectTagging HeadObject ListParts PutObject PutObjectAcl PutObjectLegalHold"
            " PutObjectRetention"
            " PutObjectTagging RestoreObject SelectObjectContent UploadPart UploadPartCopy"
        ),
        "{Bucket}/{Delete.Objects.Key}": "DeleteObjects",
        "*": "ListBuckets",
    },
    # "Actions, resources, and condition keys for Amazon S3", column Actions against API operations
    actions={
        "AbortMultipartUpload": "AbortMultipartUpload",
        "CompleteMultipartUpload": "PutObject",
        "CopyObject": "PutObject",
        "CreateMultipartUpload": "PutObject",
        "DeleteBucketCors": "PutBucketCORS",
        "DeleteBucketEncryption": "PutEncryptionConfiguration",
        "DeleteBucketLifecycle": "PutLifecycleConfiguration",
        "DeleteBucketReplication": "PutReplicationConfiguration",
        "DeleteBucketTagging": "PutBucketTagging",
        "DeleteObjects": "DeleteObject",
        "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
        "GetBucketCors": "GetBucketCORS",
        "GetBucketEncryption": "GetEncryptionConfiguration",
        "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
        "GetBucketNotificationConfiguration": "GetBucketNotification",
        "GetBucketReplication": "GetReplicationConfiguration",
        "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
        "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
        "HeadBucket": "ListBucket",
        "HeadObject": "GetObject",
        "ListBuckets": "ListAllMyBuckets",
        "ListMultipartUploads": "ListBucketMultipartUploads",
        "ListObjectVersions": "ListBucketVersions",
        "ListObjects": "ListBucket",
        "ListObjectsV2": "ListBucket",
        "ListParts": "ListMultipartUploadParts",
        "PutBucketCors": "PutBucketCORS",
        "PutBucketEncryption": "PutEncryptionConfiguration",
        "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
        "PutBucketNotificationConfiguration": "PutBucketNotification",
        "PutBucketReplication": "PutReplicationConfiguration",
        "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
        "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
        "SelectObjectContent": "GetObject",
        "UploadPart": "PutObject",
        "UploadPartCopy": "PutObject",
    },
    partition=":",
)


def s3_extras(call: Call) -> tuple[str, ...]:
    """Return the further actions that parts of a call need (S3 User Guide "Required permissions")."""
    params, found = call.params, []
    if call.operation in ("PutObject", "CopyObject", "CreateMultipartUpload"):
        if params.get("ObjectLockMode") or params.get("ObjectLockRetainUntilDate"):
            found.append("s3:PutObjectRetention")
        if params.get("ObjectLockLegalHoldStatus"):
            found.append("s3:PutObjectLegalHold")
        if params.get("Tagging"):
            found.append("s3:PutObjectTagging")
        if params.get("ACL"):
            found.append("s3:PutObjectAcl")
    if params.get("BypassGovernanceRetention"):
        found.append("s3:BypassGovernanceRetention")
    if call.operation == "CreateBucket" and params.get("ObjectLockEnabledForBucket"):
        found += ["s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning"]
    return tuple(found)


def s3_actions(call: Call) -> tuple[str, ...]:
    """Return the action of an object's version where one is named, else the table's."""
    versioned = {
        "GetObject": "GetObjectVersion",
        "HeadObject": "GetObjectVersion",
        "DeleteObject": "DeleteObjectVersion",
        "GetObjectTagging": "GetObjectVersionTagging",
        "GetObjectAcl": "GetObjectVersionAcl",
    }
    if call.params.get("VersionId") and call.operation in versioned:
        return (f"s3:{versioned[call.operation]}",)
    if call.operation == "DeleteObjects":
        objects = call.params.get("Delete", {}).get("Objects", ())
        return tuple(
            {"s3:DeleteObjectVersion" if one.get("VersionId") else "s3:DeleteObject" for one in objects}
        )
    return S3.names(call)


def _group(value: str, _: Call) -> str:
    """Log groups are matched as ``log-group:NAME:*`` (CloudWatch Logs User Guide "Resources")."""
    name = value.removesuffix(":*")
    return f"{name}:*" if name.startswith("arn:") else f"log-group:{name}:*"


LOGS = Table(
    "logs",
    {
        "{logGroupIdentifier|logGroupName:group}": (
            "AssociateKmsKey CreateLogGroup DeleteDataProtectionPolicy DeleteLogGroup DeleteMetricFilter"
            " DeleteRetentionPolicy DeleteSubscriptionFilter DescribeLogStreams DescribeMetricFilters"
            " DescribeSubscriptionFilters DisassociateKmsKey FilterLogEvents GetDataProtectionPolicy"
            " GetLogGroupFields"
            " ListTagsLogGroup PutDataProtectionPolicy PutMetricFilter PutRetentionPolicy"
            " PutSubscriptionFilter"
            " TagLogGroup UntagLogGroup PutLogGroupDeletionProtection"
        ),
        "{logGroupIdentifiers|logGroupNames|logGroupIdentifier|logGroupName:group}": (
            "StartQuery StartLiveTail"
        ),
        "log-group:{logGroupName}:*": "CreateExportTask",
        "log-group:{logGroupIdentifier|logGroupName}:log-stream:{logStreamName}": (
            "CreateLogStream DeleteLogStream GetLogEvents PutLogEvents"
        ),
        "{resourceArn}": "TagResource UntagResource ListTagsForResource",
        "log-group:{logGroupNamePrefix=*}": "DescribeLogGroups",
        "*": (
            "CancelExportTask DescribeAccountPolicies DescribeDestinations DescribeExportTasks"
            " DescribeQueries"
            " DescribeQueryDefinitions DescribeResourcePolicies GetQueryResults GetLogRecord"
            " ListLogGroups StopQuery"
            " PutResourcePolicy DeleteResourcePolicy TestMetricFilter"
        ),
    },
    changes={"group": _group},
)
CLOUDTRAIL = Table(
    "cloudtrail",
    {
        "trail/{Name}": (
            "CreateTrail DeleteTrail GetTrail GetTrailStatus StartLogging StopLogging UpdateTrail"
        ),
        "trail/{TrailName}": "GetEventSelectors PutEventSelectors GetInsightSelectors PutInsightSelectors",
        "{ResourceId|ResourceIdList}": "AddTags RemoveTags ListTags",
        "eventdatastore/{EventDataStore}": "GetEventDataStore UpdateEventDataStore DeleteEventDataStore",
        "eventdatastore/{EventDataStore=*}": "DescribeQuery GetQueryResults CancelQuery",
        "eventdatastore/*": "StartQuery CreateEventDataStore",
        "*": "DescribeTrails ListTrails LookupEvents ListEventDataStores ListPublicKeys",
    },
)
DYNAMODB = Table(
    "dynamodb",
    {
        "table/{TableName}": (
            "CreateTable DeleteItem DeleteTable DescribeTable GetItem PutItem Query Scan"
            " UpdateItem UpdateTable"
        ),
        "*": "ListTables DescribeLimits",
    },
)
TABLES = {"dynamodb": DYNAMODB, "s3": S3, "logs": LOGS, "cloudtrail": CLOUDTRAIL}
