"""``aws.secretsmanager.deny_read``: the agent's principals cannot read a secret any more; others still can.

What was read once is known for good: only rotation at the issuer makes it worthless, so each secret is
said to be withheld and never revoked. Replicas in other regions follow the primary's policy (Secrets
Manager User Guide, "Replicate secrets across Regions").
"""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.canon import JsonObject
from breakglass.errors import Gone
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Proposal, Proposed, Reversal
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.agent_principals import (
    best_grade,
    deny_statements,
    principal_params,
    principals_shared,
    try_as_each,
)
from breakglass_aws.found import Found
from breakglass_aws.policy_deny import Policies, close_policies, judge_policies, revert_policies

DENIED = (
    "secretsmanager:GetSecretValue",
    "secretsmanager:BatchGetSecretValue",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:DeleteResourcePolicy",
    "secretsmanager:ReplicateSecretToRegions",
)
"""Reading; taking this Deny away; and a copy elsewhere."""
SPEC = ActionSpec(
    name="aws.secretsmanager.deny_read",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="denies the agent's principals to read the secret, in the secret's own policy",
    permissions=(
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetResourcePolicy",
        "secretsmanager:PutResourcePolicy",
    ),
    undo_permissions=(
        "secretsmanager:GetResourcePolicy",
        "secretsmanager:PutResourcePolicy",
        "secretsmanager:DeleteResourcePolicy",
    ),
    blast_radius="whoever shares a role with the agent; everybody else reads on",
    reversibility=Reversibility.FULL,
    undo="puts the policy back byte for byte, or removes it where there was none",
    settle_s=10,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="aws.secretsmanager.deny_read secret/prod/stripe",
    sources=(
        Source("undo", Authority.VENDOR_TEXT, "Secrets Manager API reference, DeleteResourcePolicy"),
        Source("settle", Authority.UNVERIFIED, "no time is published; that of IAM is taken"),
        tiers.source("request shapes and errors are held against the service's model"),
    ),
    service="secretsmanager",
    withholds_only=True,
)
_NO_VERSION = "00000000-0000-0000-0000-000000000000"
"""A version that no secret has: whoever may read is told so, and no secret travels."""


class DenyRead:
    """The resource policy of one secret."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the policy; a secret that is gone has none."""
        arn = str(resource.params["secret"])
        try:
            answer = self._account.call("secretsmanager", "get_resource_policy", SecretId=arn)
        except Gone:
            return State({})
        return State({arn: answer.get("ResourcePolicy")})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Add the Deny."""
        close_policies(self._policies(resource), before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the Deny is there."""
        return judge_policies(self._policies(resource), state, "reading for the agent's principals")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Take the Deny out."""
        return revert_policies(self._policies(resource), before, now)

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask, as the agent, for a version that does not exist: no secret is read."""
        arn = str(resource.params["secret"])
        return try_as_each(
            self._account,
            resource.params,
            lambda keys: self._account.call_as(
                keys, "secretsmanager", "get_secret_value", SecretId=arn, VersionId=_NO_VERSION
            ),
        )

    def _policies(self, resource: Resource) -> Policies:
        def wanted(arn: str) -> Sequence[JsonObject]:  # noqa: ARG001 - a secret's policy is about itself
            return deny_statements(self._account, resource.params, DENIED, "*")

        def put(arn: str, text: str) -> None:
            self._account.call("secretsmanager", "put_resource_policy", SecretId=arn, ResourcePolicy=text)

        def remove(arn: str) -> None:
            self._account.call("secretsmanager", "delete_resource_policy", SecretId=arn)

        return Policies(wanted, put, remove)


def propose(account: Account, found: Found) -> Proposed:
    """Propose a Deny for each secret that the agent reads."""
    params = principal_params(found)
    proposed = Proposed()
    for name in found.of("secrets"):
        if not params["principals"] and not params["sessions"]:
            why = "no principal of the agent is named that a policy could deny"
            proposed = proposed.plus(Proposed(not_touched=(NotTouched(f"secret {name}", why),)))
            continue
        try:
            secret = account.call("secretsmanager", "describe_secret", SecretId=name)
        except Gone:
            gone = NotTouched(f"secret {name}", "there is none of this name")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        label = tiers.label(f"reading of secret {secret['Name']}")
        target = Resource(
            "aws-secret", f"secret/{secret['Name']}", label, {"secret": secret["ARN"], **params}
        )
        step = Proposal(
            key=f"deny_read:{secret['ARN']}",
            action=SPEC.name,
            target=target,
            best_grade=best_grade(account, params),
            settle_s=account.settle_s(SPEC),
            affects=principals_shared(found),
            withholds=(f"secretsmanager:{secret['Name']}",),
        )
        proposed = proposed.plus(Proposed((step,)))
    return proposed


ACTION_CLASSES = (DenyRead,)
SPECS = (SPEC,)
