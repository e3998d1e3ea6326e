"""Proposes to take grants away, and says which rights of the agent's principals lie elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from breakglass.canon import Json
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import Proposal, Proposed, ProposedDoor
from breakglass_gcp.actions.deny_reach import Cover
from breakglass_gcp.actions.project_grants import SERVICE, SPEC, UNSEEN_SETTLE_S
from breakglass_gcp.actions.undo_wait import wait_params
from breakglass_gcp.agent_principals import Principals, member_names, pool_start
from breakglass_gcp.as_agent import TRIED, grade_of, what_works
from breakglass_gcp.found import Found
from breakglass_gcp.policies import grants
from breakglass_gcp.policy_writes import read_policy
from breakglass_gcp.project import Project

KEY = "remove_grants"
ANYBODY = ("allUsers", "allAuthenticatedUsers")


def propose(
    project: Project, found: Found, who: Principals, moot_by: Mapping[str, str], cover: Cover
) -> Proposed:
    """Propose it for those that cannot be disabled; `cover`: what the class deny stands for."""
    identities = [*who.undisabled, *who.others]
    if not identities:
        return Proposed()
    members = [name for one in identities for name in member_names(one)]
    policy = read_policy(project, SERVICE, project.name)
    held = grants(policy, set(members).__contains__)
    works = what_works(project, filter(project.holds, identities), TRIED)
    lasting = [one for one in identities if one not in moot_by]
    grade = grade_of(works, lasting)
    settle_s = SPEC.settle_s if grade is not Grade.READ_BACK else UNSEEN_SETTLE_S
    ids: list[Json] = [
        [one, found.identities[one].unique_id] for one in who.undisabled if one in found.identities
    ]
    params: dict[str, Json] = {
        "principals": [*members],
        "grants": [one.key for one in held],
        "works": works,
        "accounts": ids,
        **wait_params(project, identities),
    }
    label = f"grants of {len(members)} principals in {project.id}: {len(held)}"
    target = project.target("gcp-project-grants", project.name, label, **params)
    step = Proposal(
        key=KEY,
        action=SPEC.name,
        target=target,
        best_grade=grade,
        settle_s=project.settle_s(SPEC, settle_s),
        # Each identity's own step; never the class deny, which denies only what its rules list.
        moot_by=() if lasting else tuple(dict.fromkeys(moot_by[one] for one in identities)),
    )
    doors = [*_elsewhere(project, lasting, cover), *_sets(policy, who.others, moot_by, cover.keys)]
    return Proposed((step,), tuple(doors))


def _elsewhere(project: Project, lasting: list[str], cover: Cover) -> list[ProposedDoor]:
    """Return what is granted outside of the project's own policy, of identities that nothing else stops.

    What is granted for this project, by whatever, and what is granted for others, are two doors: a class deny
    that is attached to the project closes the first.
    """
    if not lasting:
        return []
    here = _door(
        "what is granted elsewhere to",
        lasting,
        f"folders, the organisation, groups, resources may grant more in {project.id}: not looked at",
        "arm a class deny policy, which covers them",
    )
    reached = [one for one in lasting if one in cover.everywhere]
    beyond = [one for one in lasting if one not in cover.everywhere]
    doors = [ProposedDoor(here, cover.keys)]
    for some, keys in ((reached, cover.keys), (beyond, ())):
        if some:
            doors.append(ProposedDoor(_door(_BEYOND, some, _WHY_BEYOND, _REMEDY_BEYOND), keys))
    return doors


_BEYOND = "what is granted in other projects, on folders and the organisation to"
_WHY_BEYOND = (
    "not looked at; there is no account to disable, and a deny policy holds only below what it is attached to"
)
_REMEDY_BEYOND = "attach the class deny policy to the organisation that they are of"


def _door(what: str, whom: list[str], why: str, remedy: str) -> Door:
    more = f" and {len(whom) - 3} more" if whom[3:] else ""
    name = f"{what} {', '.join(whom[:3])}{more}"[:500]
    return Door(DoorKind.NO_STEP, name, why, remedy, "", (), Verdict.UNKNOWN)


def _sets(
    policy: Json, others: Iterable[str], moot_by: Mapping[str, str], deny: tuple[str, ...]
) -> list[ProposedDoor]:
    """Return grants to whole sets that an agent's principal may be in: they stay with whom they name."""
    named = frozenset(others)
    doors = []
    for one in sorted(named):
        wide = [
            grant for grant in grants(policy, lambda member: member not in named) if may_be(one, grant.member)
        ]
        if not wide:
            continue
        door = Door(
            DoorKind.NO_STEP,
            f"grants to sets that {one} may be in"[:500],
            f"the project grants {', '.join(f'{grant.role} to {grant.member}' for grant in wide)}"[:500],
            "narrow them, or arm a class deny policy",
            "",
            (),
            Verdict.UNKNOWN,
        )
        doors.append(ProposedDoor(door, (moot_by[one],) if one in moot_by else deny))
    return doors


def may_be(principal: str, member: str) -> bool:
    """Return whether a member is everybody, or a set of the principal's pool or trust domain."""
    return member in ANYBODY or (member.startswith("principalSet://") and pool_start(principal) in member)
