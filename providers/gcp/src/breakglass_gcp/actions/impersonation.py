"""Proposes which policies of accounts lose members, and names accounts whose tokens the agent may hold."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.canon import Json, JsonObject
from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Notes, Proposal, Proposed, ProposedDoor
from breakglass_gcp.actions import account_policies
from breakglass_gcp.actions.account_choice import MOST_A_PAGE, account_name, disable_key, guarded
from breakglass_gcp.actions.account_policies import (
    HARMLESS,
    OTHER,
    OWN,
    POOL_START,
    is_agents,
    members_of,
    minting_as,
    minting_of,
)
from breakglass_gcp.actions.grants_choice import ANYBODY, may_be
from breakglass_gcp.actions.undo_wait import wait_params
from breakglass_gcp.agent_principals import member_names
from breakglass_gcp.found import Found, Identity
from breakglass_gcp.minting import MINTS, predefined_mints
from breakglass_gcp.policies import Grant, grants
from breakglass_gcp.policy_writes import read_policy
from breakglass_gcp.project import Project

_NOBODY: JsonObject = {}
_ACCOUNTS_OF = "principalSet://cloudresourcemanager.googleapis.com/"


def propose(project: Project, found: Found, own: Sequence[Identity]) -> Proposed:
    """Propose a step for each account of the agent's, and for each other one that it may mint as."""
    notes = Notes()
    proposed = _of_own(project, own, notes)
    agents = _agents(project, found)
    if agents:
        stopped = {one.email for one in own}
        proposed = proposed.plus(_of_others(project, stopped, agents, notes))
        proposed = proposed.plus(_of_project(project, agents, notes))
    return proposed.plus(Proposed(incomplete=tuple(notes.incomplete)))


def _agents(project: Project, found: Found) -> set[str]:
    """Return the agent's principals as policies name them, and what stands for each of its pools."""
    pools = f"{POOL_START}{project.number}/locations/global/workloadIdentityPools/"
    return {
        *(f"serviceAccount:{email}" for email in found.identities),
        *(name for one in found.of("principals") for name in member_names(one)),
        *(f"{pools}{one}/" for one in found.of("workload_pools")),
    }


def _of_own(project: Project, own: Sequence[Identity], notes: Notes) -> Proposed:
    some, left = guarded(project, own), []
    if len(some) < len(own):
        reason = f"all {len(own)} accounts are disabled: nobody gains anything by minting as them"
        left.append(NotTouched("allow policies of the agent's own accounts", reason))
    steps = []
    for one in some:
        policy = notes.attempt(
            lambda one=one: read_policy(project, "iam_admin", account_name(project, one.unique_id)),  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            _NOBODY,
        )
        gone = minting_as(policy, project.me)
        steps.append(_step(project, one, OWN, gone, (), (disable_key(one.email),)))
    return Proposed(tuple(steps), not_touched=tuple(left))


def _of_others(project: Project, stopped: set[str], agents: set[str], notes: Notes) -> Proposed:
    """Look through the other accounts of the project for members of the agent's."""
    try:
        asked = {"name": project.name, "page_size": MOST_A_PAGE}
        others = project.every("iam_admin", "list_service_accounts", asked).items
    except ProviderError as error:
        return Proposed(incomplete=(f"other service accounts: {error}"[:500],))
    proposed = Proposed()
    for account in others:
        email, unique_id = str(account.email), str(account.unique_id)
        if email in stopped:
            continue
        policy = notes.attempt(
            lambda uid=unique_id: read_policy(project, "iam_admin", account_name(project, uid)),  # type: ignore[misc]  # as above
            _NOBODY,
        )
        others_than_itself = agents - {f"serviceAccount:{email}"}
        if held := minting_of(policy, others_than_itself):
            step = _step(project, Identity(email, unique_id), OTHER, held, sorted(others_than_itself), ())
            proposed = proposed.plus(Proposed((step,), doors=(_minted(project, email),)))
        elif wide := _to_sets(project, policy, agents):
            proposed = proposed.plus(Proposed(doors=(_minted(project, email, wide),)))
    return proposed


def _step(
    project: Project,
    account: Identity,
    mode: str,
    gone: Sequence[Grant],
    agents: Sequence[str],
    moot_by: tuple[str, ...],
) -> Proposal:
    email = account.email
    what = "who may mint as" if mode == OWN else "what the agent may mint as"
    return Proposal(
        key=f"impersonation:{email}",
        action=account_policies.SPEC.name,
        target=project.target(
            "gcp-service-account-policy",
            f"policy/{email}",
            f"{what} service account {email}",
            email=email,
            unique_id=account.unique_id,
            mode=mode,
            agents=[*agents],
            members=members_of(tuple(gone)),
            **_waiting(project, mode, agents),
        ),
        settle_s=project.settle_s(account_policies.SPEC, 420),
        moot_by=moot_by,
        affects=tuple(dict.fromkeys(one.member for one in gone)) if mode == OWN else (),
    )


def _waiting(project: Project, mode: str, agents: Sequence[str]) -> dict[str, Json]:
    """Return what makes the undo wait: tokens of federated principals of before would mint again at once."""
    federated = any("://" in one or one.startswith(POOL_START) for one in agents)
    return wait_params(project, ()) if mode == OTHER and federated else {}


def _to_sets(project: Project, policy: JsonObject, agents: set[str]) -> str:
    """Return the sets that may mint as an account, and that the agent may be in beside others."""
    held = grants(policy, lambda member: _is_set(project, member, agents))
    return ", ".join(sorted({one.member for one in held if one.role not in HARMLESS}))


def _is_set(project: Project, member: str, agents: set[str]) -> bool:
    """Return whether a member is a set that the agent may be in: everybody, of a pool, of all accounts.

    IAM documentation, "Principal identifiers": all service accounts of a project, a folder, an organisation.
    """
    if member.startswith(_ACCOUNTS_OF):
        others = member.startswith(f"{_ACCOUNTS_OF}projects/") and project.number not in member.split("/")
        mine = any(one.startswith("serviceAccount:") for one in agents)
        return mine and not others and not member.endswith("/type/ServiceAgent")
    return member in ANYBODY or any(may_be(one, member) for one in agents if "://" in one)


def _minted(project: Project, email: str, wide: str = "") -> ProposedDoor:
    kind = DoorKind.PRIVILEGED if email == project.me else DoorKind.CAN_MINT
    who = "the executor's own account" if email == project.me else f"service account {email}"
    reason = f"the agent may mint tokens as {who}: those that it has live 1 h, or 12 h, and keys for ever"
    if wide:
        reason = f"the agent may be in {wide}, who may mint tokens as {who}; nothing is taken from them"[:500]
    remedy = f"disable {email} too, by adding it to service_accounts, or look at its keys and wait"
    return ProposedDoor(Door(kind, f"{email} in gcp"[:500], reason, remedy, "", (), Verdict.UNKNOWN))


def _of_project(project: Project, agents: set[str], notes: Notes) -> Proposed:
    """Say where a role of the whole project lets the agent mint as every account of it."""
    policy = notes.attempt(lambda: read_policy(project, "projects", project.name), _NOBODY)
    own = {one.role for one in grants(policy, lambda member: is_agents(member, agents))}
    wide = {one.role for one in grants(policy, lambda member: _is_set(project, member, agents))} - own
    held = [one for one in sorted(own | wide) if _mints(project, one, notes)]
    if not held:
        return Proposed()
    roles = ", ".join(f"{one} (as one of a set)" if one in wide else one for one in held)
    reason = f"the agent has {roles} on the whole project: it may hold tokens and keys of any account of it"
    remedy = "look for keys made since the harm began, and wait until no token can live (1 h, or 12 h)"
    name = f"all service accounts of {project.id} in gcp"
    door = Door(DoorKind.CAN_MINT, name, reason[:500], remedy, "", (), Verdict.UNKNOWN)
    return Proposed(doors=(ProposedDoor(door),))


def _mints(project: Project, role: str, notes: Notes) -> bool:
    """Return whether a role lets its members mint; of a custom role its permissions tell."""
    if role.startswith("roles/"):
        return predefined_mints(role)
    try:
        held = project.call("iam_admin", "get_role", {"name": role}).included_permissions
    except ProviderError as error:
        notes.incomplete.append(f"{role}: {error.what}"[:500])
        return False
    return not MINTS.isdisjoint(held)


ACTION_CLASSES = account_policies.ACTION_CLASSES
SPECS = account_policies.SPECS
