"""``aws.iam.deny_new_sessions``: lets nobody assume a role any more. Sessions that exist live on.

It stands behind the role's deny: whoever takes that away finds no new session. The document that was there
is kept as the text that IAM gave and is put back as that text.
"""

from __future__ import annotations

import json

from breakglass.errors import Gone
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_aws.account import Account
from breakglass_aws.actions.denial import same_document, statements
from breakglass_aws.texts import document_text

SPEC = ActionSpec(
    name="aws.iam.deny_new_sessions",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="replaces the role's trust policy with one that lets nobody assume it",
    permissions=("iam:GetRole", "iam:UpdateAssumeRolePolicy"),
    blast_radius="whoever assumes this role anew: functions, tasks, instances, people",
    reversibility=Reversibility.FULL,
    undo="puts the trust policy back, byte for byte",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.iam.deny_new_sessions role/support-bot",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "IAM User Guide: changes are not always immediately visible"),
        Source("effect", Authority.VENDOR_TEXT, "IAM API reference, UpdateAssumeRolePolicy"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_trust_policy.py"),
    ),
    service="iam",
)
NOBODY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "BreakglassNoNewSessions",
                "Effect": "Deny",
                "Principal": "*",
                "Action": [
                    "sts:AssumeRole",
                    "sts:AssumeRoleWithSAML",
                    "sts:AssumeRoleWithWebIdentity",
                    "sts:SetSourceIdentity",
                    "sts:TagSession",
                ],
            }
        ],
    },
    separators=(",", ":"),
)
"""IAM takes only STS actions by their names here (IAM User Guide, "Troubleshooting IAM roles")."""


class DenyNewSessions:
    """The trust policy of one role."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the trust policy as a text; a role that is gone has none."""
        if (known := self._account.bulk.entity(f"role/{resource.params['role']}")) is not None:
            return State({f"{known.id} trust": known.trust})
        try:
            answer = self._account.call("iam", "get_role", RoleName=str(resource.params["role"]))
        except Gone:
            return State({})
        text = document_text(answer, "AssumeRolePolicyDocument")
        return State({f"{answer['Role']['RoleId']} trust": text})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Let nobody in."""
        for text in before.objects.values():
            if lets_somebody(str(text)):
                self._set(resource, NOBODY)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether anybody may assume it."""
        if not state.objects:
            return Judgement(Verdict.CONTAINED, f"{resource.label} does not exist any more")
        if any(lets_somebody(str(text)) for text in state.objects.values()):
            return Judgement(Verdict.NOT_CONTAINED, "the trust policy lets somebody assume the role")
        return Judgement(Verdict.CONTAINED, "the trust policy lets nobody assume the role")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put the text back where the stop's own stands."""
        outcomes: dict[str, Outcome] = {}
        for key, text in before.objects.items():
            if key.partition(" ")[0] != resource.params["unique_id"] or key not in now.objects:
                outcomes[key] = Outcome.DRIFTED
            elif text == now.objects[key]:
                outcomes[key] = Outcome.ALREADY
            elif not same_document(now.objects[key], NOBODY):
                outcomes[key] = Outcome.DRIFTED
            else:
                self._set(resource, str(text))
                outcomes[key] = Outcome.RESTORED
        return Reversal(outcomes, "the trust policy is as it was; a role that was replaced is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: IAM's evaluator does not evaluate trust policies."""
        return None

    def _set(self, resource: Resource, text: str) -> None:
        self._account.call(
            "iam", "update_assume_role_policy", RoleName=str(resource.params["role"]), PolicyDocument=text
        )


def lets_somebody(text: str) -> bool:
    """Return whether a trust policy allows anybody: without an allow, all are denied."""
    found = statements(text)
    return not found or any(one.get("Effect") != "Deny" for one in found)


ACTION_CLASSES = (DenyNewSessions,)
SPECS = (SPEC,)
