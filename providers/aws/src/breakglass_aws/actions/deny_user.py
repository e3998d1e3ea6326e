"""``aws.iam.deny_user``: denies everything to a user: keys, console, and the sessions that it made.

GetSessionToken and GetFederationToken sessions live up to 36 h after their key is off, and a console
session goes on; the user's explicit deny reaches all of them (IAM User Guide, "Disabling permissions for
temporary security credentials"). A password is never deleted: nobody could put it back.
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
from breakglass_aws.actions.quarantine import USER, Quarantine
from breakglass_aws.probe import judge_principal

SPEC = ActionSpec(
    name="aws.iam.deny_user",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="denies the user everything: by the quarantine policy, else its boundary, else an inline policy",
    permissions=(
        "iam:AttachUserPolicy",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:GetUser",
        "iam:GetUserPolicy",
        "iam:ListAttachedUserPolicies",
        "iam:ListUsers",
        "iam:PutUserPermissionsBoundary",
        "iam:PutUserPolicy",
        "iam:SimulatePrincipalPolicy",
    ),
    undo_permissions=(
        "iam:DeleteUserPermissionsBoundary",
        "iam:DeleteUserPolicy",
        "iam:DetachUserPolicy",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:GetUser",
        "iam:GetUserPolicy",
        "iam:ListAttachedUserPolicies",
        "iam:ListUsers",
        "iam:PutUserPermissionsBoundary",
        "iam:PutUserPolicy",
    ),
    blast_radius="everything that uses this user's keys, its sessions or its console sign-in",
    reversibility=Reversibility.FULL,
    undo="takes the deny away again, and puts the boundary back that was there",
    settle_s=10,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="aws.iam.deny_user user/support-bot-legacy",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "IAM User Guide: changes are not always immediately visible"),
        Source("settle", Authority.UNVERIFIED, "3 to 4 s were measured by others; 10 s is our margin"),
        Source("effect", Authority.VENDOR_TEXT, "IAM User Guide, Policy evaluation logic: explicit deny"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_deny_user.py"),
    ),
    service="iam",
)


class DenyUser:
    """One user, denied everything."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account
        self._quarantine = Quarantine(account, USER)

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
        """Ask the evaluator, and try a call as the user where a key of it is held."""
        params = resource.params
        return judge_principal(
            self._account,
            str(params["principal"]),
            call=str(params["canary"]),
            why_no_call=str(params["no_canary"]),
            unique_id=str(params["unique_id"]),
        )


ACTION_CLASSES = (DenyUser,)
SPECS = (SPEC,)
