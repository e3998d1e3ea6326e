"""``aws.iam.deny_role``: denies everything to a role, to sessions that exist and to new ones.

A condition on ``aws:TokenIssueTime`` would spare a workload that fetches new credentials by itself, so the
deny has none (IAM User Guide, "Revoke IAM role temporary security credentials").
"""

from __future__ import annotations

from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Reversal
from breakglass_aws.account import Account
from breakglass_aws.actions.quarantine import ROLE, Quarantine
from breakglass_aws.probe import judge_principal

SPEC = ActionSpec(
    name="aws.iam.deny_role",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="denies the role everything: by the quarantine policy, else its boundary, else an inline policy",
    permissions=(
        "iam:AttachRolePolicy",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:SimulatePrincipalPolicy",
    ),
    undo_permissions=(
        "iam:DeleteRolePermissionsBoundary",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
    ),
    blast_radius="everything that runs with this role; a function's own log lines stop with it",
    reversibility=Reversibility.FULL,
    undo="takes the deny away again, and puts the boundary back that was there",
    settle_s=10,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="aws.iam.deny_role role/support-bot",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "IAM User Guide: changes are not always immediately visible"),
        Source("settle", Authority.UNVERIFIED, "3 to 4 s were measured by others; 10 s is our margin"),
        Source("effect", Authority.VENDOR_TEXT, "IAM User Guide, Policy evaluation logic: explicit deny"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_deny_role.py"),
    ),
    service="iam",
)


class DenyRole:
    """One role, denied everything."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account
        self._quarantine = Quarantine(account, ROLE)

    def observe(self, resource: Resource) -> State:
        """Read its attached policies, its boundary and our inline policy."""
        return self._quarantine.observe(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Deny by the first slot that is free."""
        self._quarantine.apply(resource, before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether a slot denies everything."""
        return self._quarantine.judge(resource, state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Take back what the stop set."""
        return self._quarantine.revert(resource, before, now)

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask the evaluator, and try a call as the role where a session of it is held."""
        params = resource.params
        return judge_principal(
            self._account,
            str(params["role_arn"]),
            call=str(params["canary"]),
            why_no_call=str(params["no_canary"]),
        )


ACTION_CLASSES = (DenyRole,)
SPECS = (SPEC,)
