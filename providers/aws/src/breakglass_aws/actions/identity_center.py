"""``aws.sso.deny_user``: a permission set gives one user nothing any more, and the other users what it did.

The permission set's inline policy gets a Deny of everything on ``identitystore:UserId``, and is provisioned
to every account; that is asynchronous, and read back account by account (IAM Identity Center User Guide,
"Revoke active IAM role sessions created by permission sets"). Roles of a permission set cannot be edited
from IAM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breakglass.canon import Json, JsonObject
from breakglass.errors import Gone, Transient
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
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.found import Found
from breakglass_aws.policy_deny import added, denial, holds, put_back
from breakglass_aws.refusals import code_of

POLICY = "inline_policy"
BEHIND = "not_provisioned"
SPEC = ActionSpec(
    name="aws.sso.deny_user",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="denies the user everything in the permission set, in every account that it is provisioned to",
    permissions=(
        "sso:GetInlinePolicyForPermissionSet",
        "sso:ListAccountsForProvisionedPermissionSet",
        "sso:ListAccountAssignmentsForPrincipal",
        "sso:PutInlinePolicyToPermissionSet",
        "sso:ProvisionPermissionSet",
    ),
    undo_permissions=(
        "sso:GetInlinePolicyForPermissionSet",
        "sso:ListAccountsForProvisionedPermissionSet",
        "sso:PutInlinePolicyToPermissionSet",
        "sso:DeleteInlinePolicyFromPermissionSet",
        "sso:ProvisionPermissionSet",
    ),
    blast_radius="none but this user; other changes of the permission set that wait are provisioned too",
    reversibility=Reversibility.FULL,
    undo="puts the inline policy back byte for byte, or removes it, and provisions it again",
    settle_s=60,
    best_grade=Grade.READ_BACK,
    example="aws.sso.deny_user permission-set/ps-0123456789abcdef",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "IAM Identity Center User Guide, 'Revoke active sessions'"),
        Source("settle", Authority.UNVERIFIED, "provisioning is read back; then the time of IAM, generously"),
        tiers.source("request shapes and errors are held against the service's model"),
    ),
    service="sso-admin",
)


class DenyUser:
    """The inline policy of one permission set, and where it is provisioned."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the inline policy, and the accounts that do not have the latest yet."""
        names = _names(resource)
        try:
            inline = self._account.call("sso-admin", "get_inline_policy_for_permission_set", **names)
            behind = list(
                self._account.pages(
                    "sso-admin",
                    "list_accounts_for_provisioned_permission_set",
                    "AccountIds",
                    ProvisioningStatus="LATEST_PERMISSION_SET_NOT_PROVISIONED",
                    **names,
                )
            )
        except Gone:
            return State({})
        return State({POLICY: inline.get("InlinePolicy") or None, BEHIND: sorted(behind)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Add the Deny, and provision it."""
        text = _text(before)
        if not holds(text, _wanted(resource)):
            self._put(resource, added(text, _wanted(resource)))
        self._provision(resource)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the Deny is there, and in every account."""
        if not state.objects:
            return Judgement(Verdict.CONTAINED, "the permission set is not there any more")
        if not holds(_text(state), _wanted(resource)):
            return Judgement(Verdict.NOT_CONTAINED, "the inline policy does not deny the user")
        behind = state.objects.get(BEHIND)
        if isinstance(behind, list) and behind:
            shown = ", ".join(str(one) for one in behind)
            return Judgement(Verdict.NOT_CONTAINED, f"not provisioned yet to {shown}")
        return Judgement(Verdict.CONTAINED, "the permission set denies the user everything, everywhere")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Take the Deny out, and provision that."""
        if not now.objects:
            outcomes = dict.fromkeys(before.objects, Outcome.DRIFTED)
            return Reversal(outcomes, "the permission set was deleted by somebody else")
        decided = put_back(_text(before), _text(now), _wanted(resource))
        if decided.change and decided.policy is not None:
            self._put(resource, decided.policy)
        elif decided.change:
            self._account.call("sso-admin", "delete_inline_policy_from_permission_set", **_names(resource))
        if decided.change or now.objects.get(BEHIND):
            self._provision(resource)
        outcomes = dict.fromkeys(before.objects, decided.outcome)
        return Reversal(outcomes, "the inline policy is as it was, and is provisioned again")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a session of the user needs the user."""
        return None

    def _put(self, resource: Resource, text: str) -> None:
        self._account.call(
            "sso-admin", "put_inline_policy_to_permission_set", InlinePolicy=text, **_names(resource)
        )

    def _provision(self, resource: Resource) -> None:
        try:
            self._account.call(
                "sso-admin",
                "provision_permission_set",
                TargetType="ALL_PROVISIONED_ACCOUNTS",
                **_names(resource),
            )
        except Transient as error:
            # One that runs already may be of an older policy: the read back tells, and asks again.
            if code_of(error) != "ConflictException":
                raise


def _names(resource: Resource) -> dict[str, str]:
    return {
        "InstanceArn": str(resource.params["instance"]),
        "PermissionSetArn": str(resource.params["permission_set"]),
    }


def _text(state: State) -> str | None:
    found = state.objects.get(POLICY)
    return found if isinstance(found, str) else None


def _wanted(resource: Resource) -> Sequence[JsonObject]:
    users = resource.params["users"]
    named: list[Json] = list(users) if isinstance(users, list) else []
    condition: JsonObject = {"StringEquals": {"identitystore:UserId": named}}
    return (denial({"Action": "*", "Resource": "*", "Condition": condition}),)


def propose(account: Account, found: Found) -> Proposed:
    """Propose each permission set once, for all of its named users."""
    users: dict[tuple[str, str], list[Json]] = {}
    for entry in found.of("permission_sets"):
        instance, _, rest = entry.partition("#")
        permission_set, _, user = rest.partition("#")
        users.setdefault((instance, permission_set), []).append(user)
    proposed = Proposed()
    for (instance, permission_set), named in users.items():
        proposed = proposed.plus(_propose_one(account, instance, permission_set, named))
    for instance, user in dict.fromkeys(
        (one[0], str(user)) for one, named in users.items() for user in named
    ):
        covered = {ps for (one, ps), named in users.items() if one == instance and user in named}
        proposed = proposed.plus(Proposed(doors=_others(account, instance, user, covered)))
    return proposed


def _propose_one(account: Account, instance: str, permission_set: str, users: list[Json]) -> Proposed:
    name = permission_set.rpartition("/")[2]
    label = f"permission set {name} for user {', '.join(str(one) for one in users)}"
    target = Resource(
        "aws-permission-set",
        f"permission-set/{name}",
        tiers.label(label),
        {"instance": instance, "permission_set": permission_set, "users": users},
    )
    try:
        account.call("sso-admin", "get_inline_policy_for_permission_set", **_names(target))
    except Gone:
        gone = NotTouched(f"permission set {permission_set}", "there is none of this ARN")
        return Proposed(not_touched=(gone,))
    step = Proposal(
        key=f"deny_user:{permission_set}",
        action=SPEC.name,
        target=target,
        settle_s=account.settle_s(SPEC),
    )
    return Proposed((step,))


def _others(account: Account, instance: str, user: str, covered: set[str]) -> tuple[ProposedDoor, ...]:
    """Return a door for each other permission set that the user may sign in with."""
    listed = account.pages(
        "sso-admin",
        "list_account_assignments_for_principal",
        "AccountAssignments",
        InstanceArn=instance,
        PrincipalId=user,
        PrincipalType="USER",
    )
    open_sets: Mapping[str, Any] = {
        one["PermissionSetArn"]: one for one in listed if one["PermissionSetArn"] not in covered
    }
    return tuple(
        ProposedDoor(
            Door(
                kind=DoorKind.NO_STEP,
                name=f"permission set {arn.rpartition('/')[2]} for user {user}",
                reason="the user may sign in with it too, and the inventory does not name it",
                remedy="name it under permission_sets, or end the assignment",
                owner="",
                closed_by=(),
                verdict=Verdict.UNKNOWN,
            )
        )
        for arn in open_sets
    )


ACTION_CLASSES = (DenyUser,)
SPECS = (SPEC,)
