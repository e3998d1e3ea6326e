"""SQS, SNS, Kinesis, Secrets Manager, KMS: what carries a policy of its own."""

from __future__ import annotations

import re

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.tables.table import Table


def _queue(url: str, call: Call) -> str:
    """Return the queue of a URL, which may be another account's: ``http://host/ACCOUNT/NAME``."""
    *_, account, name = f"/{call.account}/{url}".split("/") if "/" not in url else url.split("/")
    return f"arn:aws:sqs:{call.region}:{account if account.isdigit() else call.account}:{name}"


SQS = Table(
    "sqs",
    {
        "{QueueUrl:queue}": (
            "AddPermission ChangeMessageVisibility ChangeMessageVisibilityBatch DeleteMessage"
            " DeleteMessageBatch"
            " DeleteQueue GetQueueAttributes ListDeadLetterSourceQueues ListQueueTags PurgeQueue"
            " ReceiveMessage"
            " RemovePermission SendMessage SendMessageBatch SetQueueAttributes TagQueue UntagQueue"
        ),
        "{QueueName}": "CreateQueue GetQueueUrl",
        "{SourceArn}": "StartMessageMoveTask ListMessageMoveTasks",
        "{TaskHandle=*}": "CancelMessageMoveTask",
        "*": "ListQueues",
    },
    actions={
        "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
        "DeleteMessageBatch": "DeleteMessage",
        "SendMessageBatch": "SendMessage",
    },
    changes={"queue": _queue},
)


def _topic(arn: str, _: Call) -> str:
    """Return the topic's ARN of a subscription's."""
    return ":".join(arn.split(":")[:6])


SNS = Table(
    "sns",
    {
        "{TopicArn|TargetArn|PhoneNumber}": "Publish",
        "{TopicArn}": (
            "AddPermission ConfirmSubscription DeleteTopic GetTopicAttributes"
            " ListSubscriptionsByTopic PublishBatch"
            " RemovePermission SetTopicAttributes Subscribe"
        ),
        "{Name}": "CreateTopic",
        "{SubscriptionArn:topic}": "GetSubscriptionAttributes SetSubscriptionAttributes Unsubscribe",
        "{ResourceArn}": (
            "TagResource UntagResource ListTagsForResource GetDataProtectionPolicy PutDataProtectionPolicy"
        ),
        "*": "ListTopics ListSubscriptions ListPlatformApplications",
    },
    actions={"PublishBatch": "Publish"},
    changes={"topic": _topic},
)
KINESIS = Table(
    "kinesis",
    {
        "stream/{StreamARN|StreamName}": (
            "AddTagsToStream CreateStream DecreaseStreamRetentionPeriod DeleteStream DescribeStream"
            " DescribeStreamSummary DisableEnhancedMonitoring EnableEnhancedMonitoring GetShardIterator"
            " IncreaseStreamRetentionPeriod ListShards ListStreamConsumers ListTagsForStream"
            " MergeShards PutRecord"
            " PutRecords RegisterStreamConsumer RemoveTagsFromStream SplitShard StartStreamEncryption"
            " StopStreamEncryption UpdateShardCount UpdateStreamMode"
        ),
        "stream/{StreamARN=*}": "GetRecords",
        "stream/{ConsumerARN|StreamARN}": "SubscribeToShard DescribeStreamConsumer DeregisterStreamConsumer",
        "{ResourceARN}": (
            "PutResourcePolicy GetResourcePolicy DeleteResourcePolicy TagResource UntagResource"
            " ListTagsForResource"
        ),
        "*": "ListStreams DescribeLimits",
    },
)


def _secret(name: str, call: Call) -> str:
    from moto.secretsmanager.models import secretsmanager_backends

    if name.startswith("arn:"):
        name = name.rpartition(":secret:")[2]
    secrets = secretsmanager_backends[call.account][call.region].secrets
    found = next(
        (one for one in secrets.values() if name in (one.name, one.arn.rpartition(":secret:")[2])), None
    )
    return found.arn if found else f"arn:aws:secretsmanager:{call.region}:{call.account}:secret:{name}"


SECRETS = Table(
    "secretsmanager",
    {
        "{SecretId:secret}": (
            "CancelRotateSecret DeleteResourcePolicy DeleteSecret DescribeSecret GetResourcePolicy"
            " GetSecretValue"
            " ListSecretVersionIds PutResourcePolicy PutSecretValue RestoreSecret RotateSecret TagResource"
            " UntagResource UpdateSecret UpdateSecretVersionStage"
        ),
        "{SecretId=*:secret}": "ValidateResourcePolicy",
        "{SecretIdList=*}": "BatchGetSecretValue",
        "secret:{Name}-??????": "CreateSecret",
        "*": "ListSecrets GetRandomPassword",
    },
    changes={"secret": _secret},
)


def _key(name: str, call: Call) -> str:
    """Return the key's ARN of an id, an ARN, or an alias (KMS: the resource is always the key)."""
    from moto.kms.models import kms_backends

    if name.startswith(("b'", 'b"')):  # a ciphertext begins with the id of its key, here and there
        found = KEY_ID.search(name)
        name = found[0] if found else "*"
    whole = name.startswith("arn:")
    region, account = name.split(":")[3:5] if whole else (call.region, call.account)
    short = name.split(":", 5)[5] if whole else name
    if not short.startswith("alias/"):
        return name if whole else f"arn:aws:kms:{region}:{account}:key/{short}"
    keys = kms_backends[account][region].keys
    named = next((key_id for key_id, key in keys.items() if short in key.aliases), short)
    return f"arn:aws:kms:{region}:{account}:key/{named}"


KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KMS = Table(
    "kms",
    {
        "{KeyId:key}": (
            "CancelKeyDeletion CreateGrant DeleteImportedKeyMaterial DescribeKey DisableKey"
            " DisableKeyRotation EnableKey"
            " EnableKeyRotation Encrypt GenerateDataKey GenerateDataKeyPair"
            " GenerateDataKeyPairWithoutPlaintext"
            " GenerateDataKeyWithoutPlaintext GenerateMac GetKeyPolicy GetKeyRotationStatus"
            " GetPublicKey ListGrants"
            " ListKeyPolicies ListResourceTags PutKeyPolicy RevokeGrant ScheduleKeyDeletion Sign TagResource"
            " UntagResource UpdateKeyDescription Verify VerifyMac"
        ),
        "{KeyId|CiphertextBlob:key}": "Decrypt",
        "{KeyId=*:key}": "RetireGrant",
        "{SourceKeyId|CiphertextBlob:key}": "ReEncrypt",
        "{DestinationKeyId:key}": "ReEncrypt",
        "{TargetKeyId:key}": "CreateAlias UpdateAlias",
        "{AliasName}": "CreateAlias UpdateAlias DeleteAlias",
        "*": "CreateKey ListKeys ListAliases ListRetirableGrants GenerateRandom DescribeCustomKeyStores",
    },
    actions={"ReEncrypt": "ReEncryptFrom ReEncryptTo"},
    changes={"key": _key},
)
TABLES = {"sqs": SQS, "sns": SNS, "kinesis": KINESIS, "secretsmanager": SECRETS, "kms": KMS}
