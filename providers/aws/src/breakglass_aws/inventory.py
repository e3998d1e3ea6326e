"""Lists the keys that an AWS reach of an inventory knows."""

from __future__ import annotations

from breakglass.provider import Setting, SettingType

_TEXT, _TEXTS, _MAPPING = SettingType.TEXT, SettingType.TEXTS, SettingType.MAPPING

SETTINGS = (
    Setting(
        "account", _TEXT, "the account's 12 digits: the caller's account must be this one", required=True
    ),
    Setting("region", _TEXT, "the region; an agent in two regions has two reaches", required=True),
    Setting(
        "as", _TEXT, "ARN of the executor's role; assumed where the credentials found are not it already"
    ),
    Setting("external_id", _TEXT, "the external id that the executor's role asks for"),
    Setting("profile", _TEXT, "the executor's profile in the AWS configuration; without it the usual chain"),
    Setting(
        "credential", _TEXT, "name of a secret of the executor's, in place of a profile: its keys as JSON"
    ),
    Setting("roles", _TEXTS, "roles that the agent acts as: names, with their path where they have one"),
    Setting("users", _TEXTS, "users that are the agent's"),
    Setting(
        "role_sessions", _TEXTS, "of a role that others share, the agent's alone: ROLE/SESSION (* allowed)"
    ),
    Setting("functions", _TEXTS, "Lambda functions of the agent, by name"),
    Setting("rules", _TEXTS, "EventBridge rules that drive it: NAME, or BUS/NAME"),
    Setting("schedules", _TEXTS, "EventBridge Scheduler: NAME, or GROUP/NAME"),
    Setting("pipes", _TEXTS, "EventBridge Pipes, by name"),
    Setting("state_machines", _TEXTS, "Step Functions state machines, by name"),
    Setting("queues", _TEXTS, "SQS queues that bring it work or take its writes, by name"),
    Setting("topics", _TEXTS, "SNS topics that it publishes to or hears, by name"),
    Setting("streams", _TEXTS, "Kinesis streams, by name"),
    Setting("services", _TEXTS, "ECS services: CLUSTER/SERVICE"),
    Setting(
        "task_families", _TEXTS, "ECS task definitions whose tasks run without a service: CLUSTER/FAMILY"
    ),
    Setting("instances", _TEXTS, "EC2 instances, by id"),
    Setting("auto_scaling_groups", _TEXTS, "Auto Scaling groups, by name"),
    Setting(
        "stop_instances", SettingType.FLAG, "stop instances once they are isolated; their memory is lost"
    ),
    Setting(
        "nacl_subnets", _TEXTS, "subnets that may be closed as a whole, where a flow survives the isolation"
    ),
    Setting("buckets", _TEXTS, "S3 buckets that the agent must not reach any more, by name"),
    Setting("secrets", _TEXTS, "Secrets Manager secrets that the agent reads, by name or ARN"),
    Setting("keys", _TEXTS, "KMS keys that the agent uses: key ids or ARNs"),
    Setting("apis", _TEXTS, "API Gateway: rest:ID/STAGE, http:ID/STAGE or apikey:ID"),
    Setting("bedrock_agents", _TEXTS, "Bedrock agents: AGENT_ID/ALIAS_ID"),
    Setting("agent_runtimes", _TEXTS, "AgentCore runtimes, by ARN"),
    Setting(
        "runtime_sessions", _TEXTS, "sessions of AgentCore runtimes that are known: RUNTIME_ARN#SESSION_ID"
    ),
    Setting("agent_browsers", _TEXTS, "AgentCore browsers, by id"),
    Setting("agent_code_interpreters", _TEXTS, "AgentCore code interpreters, by id"),
    Setting("agent_gateways", _TEXTS, "AgentCore gateways, by ARN"),
    Setting("anchor_profiles", _TEXTS, "Roles Anywhere profiles that give the agent's roles, by id"),
    Setting("pod_identities", _TEXTS, "EKS Pod Identity: CLUSTER/ASSOCIATION_ID"),
    Setting("permission_sets", _TEXTS, "IAM Identity Center: INSTANCE_ARN#PERMISSION_SET_ARN#USER_ID"),
    Setting("log_groups", _TEXTS, "CloudWatch log groups to preserve, by name"),
    Setting("evidence_bucket", _TEXT, "bucket with Object Lock that evidence goes to"),
    Setting("evidence_owner", _TEXT, "the account that owns the evidence bucket, where it is another one"),
    Setting("evidence_days", _TEXT, "days of compliance retention of evidence; 30 without it"),
    Setting(
        "deployers", _TEXTS, "codepipeline:NAME/STAGE, cloudformation:STACK, codedeploy:APPLICATION/GROUP"
    ),
    Setting("quarantine_policy", _TEXT, "ARN of a managed policy that denies all; AWSDenyAll without it"),
    Setting("class_policy", _TEXT, "ARN of the class switch: a policy whose v1 is neutral and v2 denies all"),
    Setting("class_tag", _TEXT, "KEY=VALUE of a principal tag that a standing SCP denies"),
    Setting("class_scp", _TEXT, "id of the SCP whose list of principals the stop may extend"),
    Setting(
        "agent_credentials",
        _MAPPING,
        "user/NAME or role/NAME: name of the executor's secret that holds it, for proof",
    ),
    Setting("accept_blast_radius", _TEXTS, "shared roles (role/NAME) whose other users may be cut off too"),
    Setting("endpoint", _TEXT, "a sandbox on loopback; in a drill only"),
    Setting("settle_factor", _TEXT, "shortens settle times; in a drill only"),
)
