"""``aws.iam.deny_role_sessions``: denies everything to the agent's sessions of a role that others share.

Two doors: an inline policy denies by ``aws:userid`` (ROLEID:SESSION) and by ``aws:SourceIdentity``, and,
where the agent's own users and roles are known, the trust policy keeps them from another session name.
"""

from __future__ import annotations

import json
from hashlib import sha256

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError
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
from breakglass_aws.actions.denial import same_document
from breakglass_aws.probe import judge_principal
from breakglass_aws.texts import document_text

SPEC = ActionSpec(
    name="aws.iam.deny_role_sessions",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="denies the agent's sessions of a shared role everything, and keeps it from making others",
    permissions=(
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:PutRolePolicy",
        "iam:SimulatePrincipalPolicy",
        "iam:UpdateAssumeRolePolicy",
    ),
    undo_permissions=(
        "iam:DeleteRolePolicy",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
    ),
    blast_radius="sessions of this role that have the same name; other sessions go on",
    reversibility=Reversibility.FULL,
    undo="deletes the inline policy and puts the trust policy back, byte for byte",
    settle_s=10,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="aws.iam.deny_role_sessions role/shared-reader sessions support-bot",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "IAM User Guide: changes are not always immediately visible"),
        Source(
            "effect", Authority.VENDOR_TEXT, "IAM User Guide, condition keys aws:userid, aws:SourceIdentity"
        ),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_role_sessions.py"),
    ),
    service="iam",
)
INLINE, TRUST = "inline", "trust"


def policy_name(role: str, sessions: list[str]) -> str:
    """Return the inline policy's name: one for each set of sessions, since two agents may share a role."""
    return f"breakglass-sessions-{sha256(json.dumps([role, *sessions]).encode()).hexdigest()[:16]}"


def session_deny(role_id: str, sessions: list[str]) -> str:
    """Return the document that denies these sessions everything."""
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    users: dict[str, Json] = {"StringLike": {"aws:userid": [f"{role_id}:{name}" for name in sessions]}}
    sources: dict[str, Json] = {"StringLike": {"aws:SourceIdentity": [*sessions]}}
    statements = [
        {"Sid": "BreakglassSessions", **deny, "Condition": users},
        {"Sid": "BreakglassSourceIdentity", **deny, "Condition": sources},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def trust_deny(text: str, principals: list[str], sid: str) -> str:
    """Return a trust policy with one more statement: these principals make no session of this role.

    Raises:
        ProviderError: the text is no policy.
    """
    try:
        document = json.loads(text)
        found = document["Statement"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProviderError("the trust policy is no policy that can be extended") from error
    statement = {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"],
        "Condition": {"ArnLike": {"aws:PrincipalArn": principals}},
    }
    others = [one for one in (found if isinstance(found, list) else [found]) if one.get("Sid") != sid]
    return json.dumps({**document, "Statement": [*others, statement]}, separators=(",", ":"))


class DenyRoleSessions:
    """The agent's sessions of one shared role."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read our inline policy and the trust policy; a role that is gone has none."""
        role = str(resource.params["role"])
        try:
            answer = self._account.call("iam", "get_role", RoleName=role)
        except Gone:
            return State({})
        unique = str(answer["Role"]["RoleId"])
        objects: dict[str, Json] = {f"{unique} {INLINE}": self._inline(resource)}
        if resource.params["principals"]:
            objects[f"{unique} {TRUST}"] = document_text(answer, "AssumeRolePolicyDocument")
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Deny those sessions first, then other names."""
        for key, value in before.objects.items():
            wanted = _wanted(resource, key, value)
            if not same_document(wanted, value):
                self._set(resource, key, wanted)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether both doors are shut."""
        if not state.objects:
            return Judgement(Verdict.CONTAINED, f"{resource.label}: the role does not exist any more")
        for key, value in state.objects.items():
            try:
                shut = same_document(_wanted(resource, key, value), value)
            except ProviderError as error:
                return Judgement(Verdict.NOT_CONTAINED, error.what)
            if not shut:
                door = "its sessions" if key.endswith(INLINE) else "new sessions of its principals"
                return Judgement(Verdict.NOT_CONTAINED, f"{door} are not denied")
        return Judgement(Verdict.CONTAINED, f"{resource.label} are denied everything")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put both documents back where they are as the stop left them."""
        outcomes: dict[str, Outcome] = {}
        for key, was in before.objects.items():
            if key.partition(" ")[0] != resource.params["unique_id"] or key not in now.objects:
                outcomes[key] = Outcome.DRIFTED
            elif was == now.objects[key]:
                outcomes[key] = Outcome.ALREADY
            elif not same_document(now.objects[key], _wanted(resource, key, was)):
                outcomes[key] = Outcome.DRIFTED
            else:
                self._set(resource, key, was)
                outcomes[key] = Outcome.RESTORED
        return Reversal(outcomes, "policies are as they were; what others changed since is left alone")

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask the evaluator about each session's userid; try a call where such a session is held."""
        params = resource.params
        said: Judgement | None = None
        for name in _texts(params["sessions"]):
            said = judge_principal(
                self._account,
                str(params["role_arn"]),
                call=str(params["canary"]),
                why_no_call=str(params["no_canary"]),
                context={"aws:userid": f"{params['unique_id']}:{name.replace('*', 'x').replace('?', 'x')}"},
            )
            if said.verdict is not Verdict.CONTAINED:
                return said
        return said

    def _inline(self, resource: Resource) -> str | None:
        role, name = str(resource.params["role"]), str(resource.params["policy_name"])
        try:
            answer = self._account.call("iam", "get_role_policy", RoleName=role, PolicyName=name)
        except Gone:
            return None
        return document_text(answer, "PolicyDocument")

    def _set(self, resource: Resource, key: str, value: Json) -> None:
        role, name = str(resource.params["role"]), str(resource.params["policy_name"])
        if key.endswith(TRUST):
            self._account.call("iam", "update_assume_role_policy", RoleName=role, PolicyDocument=str(value))
        elif value is None:
            self._account.call("iam", "delete_role_policy", RoleName=role, PolicyName=name)
        else:
            self._account.call(
                "iam", "put_role_policy", RoleName=role, PolicyName=name, PolicyDocument=str(value)
            )


def _wanted(resource: Resource, key: str, value: Json) -> str:
    """Return what one document must be, given what it is. Raises ProviderError: it cannot be extended."""
    unique, _, slot = key.partition(" ")
    if slot == INLINE:
        return session_deny(unique, _texts(resource.params["sessions"]))
    sid = f"Breakglass{str(resource.params['policy_name']).rpartition('-')[2]}"
    return trust_deny(str(value), _texts(resource.params["principals"]), sid)


def _texts(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


ACTION_CLASSES = (DenyRoleSessions,)
SPECS = (SPEC,)
