"""Decides what is done with each of the agent's roles: denied, only its sessions denied, or left alone.

Left alone, and said so: roles that IAM lets nobody change, the executor's own, and those that others share
unless the inventory accepts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakglass.errors import Gone
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource
from breakglass.provider import Proposal, Proposed, ProposedDoor, WaitFor
from breakglass_aws.account import Account
from breakglass_aws.actions import deny_role, role_sessions, trust_policy
from breakglass_aws.canary import Chosen, choose
from breakglass_aws.found import Found

SERVICE_LINKED = "/aws-service-role/"
RESERVED = "/aws-reserved/"
AFTER_DENY_S = 15.0
"""The trust policy is closed behind the deny: Step Functions may assume the role to end its children."""


@dataclass(frozen=True, slots=True)
class _Role:
    name: str
    arn: str
    id: str
    path: str


def propose(account: Account, found: Found, caller: str) -> Proposed:
    """Propose for every role of the agent's what may be done with it."""
    sessions = _sessions(found)
    proposed, denied = Proposed(), set[str]()
    for named in found.of("roles"):
        role = _read(account, found, named)
        if isinstance(role, NotTouched):
            proposed = proposed.plus(Proposed(not_touched=(role,)))
        elif (why := _untouchable(role, caller)) is not None:
            proposed = proposed.plus(_left(f"role/{role.name}", *why))
        elif (others := found.shared.get(role.name, ())) and not _accepted(account, role):
            proposed = proposed.plus(_shared_role(role, others, known=role.name in sessions))
        else:
            denied.add(role.name)
            proposed = proposed.plus(_denied(account, found, role, others))
    for name in sorted(sessions.keys() - denied):
        proposed = proposed.plus(_session_step(account, found, name, sessions[name], caller))
    return proposed


def _read(account: Account, found: Found, named: str) -> _Role | NotTouched:
    name = named.rpartition("/")[2]
    if (known := found.known.get(f"role/{name}")) is not None:
        return _Role(name, known.arn, known.id, known.path)
    try:
        role: Mapping[str, Any] = account.call("iam", "get_role", RoleName=name)["Role"]
    except Gone:
        return NotTouched(f"role/{name}", f"there is no such role in account {account.id}")
    return _Role(name, str(role["Arn"]), str(role["RoleId"]), str(role["Path"]))


def _untouchable(role: _Role, caller: str) -> tuple[str, str] | None:
    """Return why a role cannot be changed, and what else to do; None: it can."""
    if role.path.startswith(SERVICE_LINKED):
        return (
            "linked to a service: IAM lets nobody change it, and no SCP reaches it",
            f"stop it at the service {role.path.strip('/').partition('/')[2]}",
        )
    if role.path.startswith(RESERVED) or role.name.startswith("AWSReservedSSO_"):
        return (
            "made by IAM Identity Center: it cannot be changed from IAM",
            "name the person's permission set in permission_sets",
        )
    if caller.startswith("arn:") and ":role/" in caller and caller.rpartition("/")[2] == role.name:
        return (
            "the executor acts as this role: denied, it could stop nothing more",
            "give breakglass a role of its own, and stop again",
        )
    return None


def _left(name: str, reason: str, remedy: str) -> Proposed:
    door = Door(DoorKind.NO_STEP, f"{name} in aws", reason, remedy, "", (), Verdict.UNKNOWN)
    return Proposed(doors=(ProposedDoor(door),), not_touched=(NotTouched(name, reason),))


def _accepted(account: Account, role: _Role) -> bool:
    accepted = {item.rpartition("/")[2] for item in account.settings.texts("accept_blast_radius")}
    return role.name in accepted


def _shared_role(role: _Role, others: Sequence[str], *, known: bool) -> Proposed:
    reason = f"shared with {', '.join(others[:5])}" + (f" and {len(others) - 5} more" if others[5:] else "")
    if known:
        return Proposed(
            not_touched=(NotTouched(f"role/{role.name}", f"{reason}: only its sessions are denied"),)
        )
    remedy = f"add role/{role.name} to accept_blast_radius, or name the agent's sessions in role_sessions"
    return _left(f"role/{role.name}", reason, remedy)


def _denied(account: Account, found: Found, role: _Role, others: Sequence[str]) -> Proposed:
    chosen = choose(account, role.arn, found)
    short, key = f"role/{role.name}", f"deny_role:{role.name}"
    params = {"role": role.name, "role_arn": role.arn, "unique_id": role.id}
    why = found.origin("roles", role.name)
    late = found.late_sharers.get(role.name, ())
    deny = Proposal(
        key=key,
        action=deny_role.SPEC.name,
        target=Resource(
            "aws-role",
            short,
            f"role {role.name} ({why})",
            {
                **params,
                "policy": account.settings.quarantine_policy,
                "canary": chosen.call,
                "no_canary": chosen.why,
            },
        ),
        best_grade=_grade(chosen),
        settle_s=account.settle_s(deny_role.SPEC),
        affects=(*others, *(f"{one} (since the harm began)" for one in late)),
    )
    trust = Proposal(
        key=f"deny_new_sessions:{role.name}",
        action=trust_policy.SPEC.name,
        target=Resource("aws-role", short, f"trust policy of role {role.name}", params),
        after=(WaitFor(key, AFTER_DENY_S),),
        settle_s=account.settle_s(trust_policy.SPEC),
        # Never moot, so that it is read again at the end: an agent may put it back until it is denied.
    )
    return Proposed((deny, trust))


def _sessions(found: Found) -> Mapping[str, list[str]]:
    """Return the session names of each role that others share."""
    by_role: dict[str, list[str]] = {}
    for item in found.of("role_sessions"):
        role, _, session = item.rpartition("/")
        by_role.setdefault(role.rpartition("/")[2], []).append(session)
    return by_role


def _session_step(
    account: Account, found: Found, name: str, sessions: Sequence[str], caller: str
) -> Proposed:
    role = _read(account, found, name)
    if isinstance(role, NotTouched):
        return Proposed(not_touched=(role,))
    if (why := _untouchable(role, caller)) is not None:
        return _left(f"role/{role.name}", *why)
    names = sorted(sessions)
    principals = _principals(account, found, role)
    chosen = choose(account, role.arn, found)
    step = Proposal(
        key=f"deny_role_sessions:{name}",
        action=role_sessions.SPEC.name,
        target=Resource(
            "aws-role-sessions",
            f"role/{name} sessions {','.join(names)}"[:500],
            f"sessions {', '.join(names)} of the shared role {role.arn}",
            {
                "role": name,
                "role_arn": role.arn,
                "unique_id": role.id,
                "sessions": [*names],
                "principals": [*principals],
                "policy_name": role_sessions.policy_name(name, names),
                "canary": chosen.call,
                "no_canary": chosen.why,
            },
        ),
        best_grade=_grade(chosen),
        settle_s=account.settle_s(role_sessions.SPEC),
    )
    if principals:
        return Proposed((step,))
    reason = "who assumes the role for the agent is not known: it may take another session name"
    remedy = "name the users and roles that assume it in the inventory, or accept to deny the whole role"
    return Proposed((step,)).plus(
        Proposed(
            doors=(
                ProposedDoor(
                    Door(DoorKind.CAN_MINT, f"role/{name} in aws", reason, remedy, "", (), Verdict.UNKNOWN)
                ),
            )
        )
    )


def _principals(account: Account, found: Found, role: _Role) -> Sequence[str]:
    """Return patterns of the ARNs of the agent's own users and roles, this one not among them."""
    own = [("role", item) for item in found.of("roles")] + [("user", item) for item in found.of("users")]
    names = {(kind, item.rpartition("/")[2]) for kind, item in own} - {("role", role.name)}
    # A path is not always known: `*` stands for it, and for none.
    return sorted(
        pattern
        for kind, item in names
        for pattern in (
            account.arn("iam", f"{kind}/{item}", region=""),
            account.arn("iam", f"{kind}/*/{item}", region=""),
        )
    )


def _grade(chosen: Chosen) -> Grade:
    return Grade.REFUSED_AS_AGENT if chosen.call else Grade.PLATFORM_EVALUATOR
