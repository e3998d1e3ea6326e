"""Declares ``gcp.iam.deny_class``, and proposes it where a policy is armed for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from breakglass.canon import Json, JsonObject
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Reversibility,
    Source,
)
from breakglass.model.plan import NotTouched
from breakglass.provider import Proposal, Proposed
from breakglass_gcp.actions.deny_policy import policies_of
from breakglass_gcp.actions.deny_reach import attached_here
from breakglass_gcp.actions.deny_rules import (
    Rule,
    anybody_spared,
    armed,
    denied_in,
    permission_of,
    room_for,
    rules_of,
    signed,
    spared_sets,
    spares_all,
    spares_any,
    unknown_sets,
)
from breakglass_gcp.actions.undo_wait import wait_params
from breakglass_gcp.agent_principals import ACCOUNT, Principals, denied_name
from breakglass_gcp.as_agent import grade_of, what_works
from breakglass_gcp.project import Project

SPEC = ActionSpec(
    name="gcp.iam.deny_class",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="adds all of the agent's principals to one deny policy made in peacetime: one write for all",
    permissions=("iam.denypolicies.get", "iam.denypolicies.update"),
    blast_radius="everything that acts as one of these principals, below the policy's attachment point",
    reversibility=Reversibility.FULL,
    undo="takes exactly the principals away again that the stop added, once no token of before it lives",
    settle_s=120,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="gcp.iam.deny_class policies/cloudresourcemanager.googleapis.com%2Fprojects%2F123456789012/"
    "denypolicies/agents",
    sources=(
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "IAM documentation, Access change propagation: typically 2 minutes, can take 7 or more",
        ),
        Source("effect", Authority.VENDOR_TEXT, "IAM documentation, Deny policies; IAM API v2 reference"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_class_deny.py"),
    ),
    # No rate for the engine's turns: most looks are answered from memory, the calls are paced (pace.CALLS).
    service="",
)
KEY = "deny_class"
UNSEEN_SETTLE_S = 420
"""Where no token is held that could tell when the deny is seen."""


def propose(project: Project, who: Principals, moot_by: Mapping[str, str]) -> Proposed:
    """Propose the deny where it is armed and does not cut off the executor.

    `moot_by`: identity -> key of a proposal that takes all of its tokens' power by itself.
    """
    name = project.settings.text("class_deny_policy")
    if not name:
        return Proposed()
    everybody = [*who.accounts, *who.others]
    label = f"deny policy {name}"
    policy = policies_of(project).remembered(name)
    rules = armed(rules_of(policy))
    if policy is None:
        return _left(label, "there is no such policy: the class deny is not armed")
    lasting = [one for one in everybody if one not in moot_by]
    live = rules_of(policy)
    # Where not all fit, those who have a step of their own do without this one.
    identities = everybody if _fit(live, rules, everybody) else lasting
    if why := _why_not(project, name, rules, identities):
        return _left(label, why)
    if not _fit(live, rules, identities):
        room = room_for(live, len(rules))
        return _left(label, f"it has room for {room} principals more, and the agent has {len(identities)}")
    return Proposed((_step(project, name, rules, identities, moot_by),))


def _step(
    project: Project, name: str, rules: tuple[Rule, ...], identities: list[str], moot_by: Mapping[str, str]
) -> Proposal:
    lasting = [one for one in identities if one not in moot_by]
    works = what_works(project, filter(project.holds, identities), _asked(rules))
    unsure = unknown_sets(rules, [denied_name(one) for one in identities])
    grade = _grade(works, lasting, unsure)
    settle_s = SPEC.settle_s if grade not in {Grade.NONE, Grade.READ_BACK} else UNSEEN_SETTLE_S
    target = project.target(
        "gcp-deny-policy",
        name,
        f"deny policy {name}: {len(identities)} principals",
        principals=[denied_name(one) for one in identities],
        rules=signed(rules),
        works=works,
        settle_s=int(settle_s),
        unsure=[*unsure],
        lasting=[*lasting] if unsure else [],
        **(wait_params(project, lasting) if lasting else {}),
    )
    return Proposal(
        key=KEY,
        action=SPEC.name,
        target=target,
        best_grade=grade,
        settle_s=project.settle_s(SPEC, settle_s),
        moot_by=() if lasting else tuple(dict.fromkeys(moot_by[one] for one in identities)),
    )


def _fit(live: Sequence[JsonObject], rules: tuple[Rule, ...], identities: Sequence[str]) -> bool:
    """Return whether there is room for those who are not denied yet."""
    names = {denied_name(one) for one in identities}
    new = names - frozenset[str]().union(*(denied_in(live, rule) for rule in rules))
    return len(new) <= room_for(live, len(rules))


def _why_not(project: Project, name: str, rules: tuple[Rule, ...], identities: list[str]) -> str:
    """Return why the policy cannot be used; empty where it can."""
    if not rules:
        return (
            "none of its rules denies anything that matters without a condition: the class deny is not armed"
        )
    if not identities:
        return "no principal of the agent's is known here"
    # Where nobody can tell it is added to all the same, and stands for nothing.
    if (place := attached_here(project, name)).here is False:
        return place.why[:500]
    if project.me and not spares_all(rules, f"{ACCOUNT}{project.me}"):
        return f"it does not spare the executor {project.me}: it could cut off its own branch"
    if not anybody_spared(rules):
        return "one of its rules spares nobody, and so not the executor: it could cut off its own branch"
    if sets := sorted({one for own in identities for one in spared_sets(rules, denied_name(own))}):
        return f"it spares sets that the agent may be in: {', '.join(sets)}"[:500]
    if spared := sorted(one for one in identities if spares_any(rules, denied_name(one))):
        return f"it spares principals of the agent's: {', '.join(spared)}"[:500]
    return ""


def _grade(works: Sequence[Json], lasting: Sequence[str], unsure: Sequence[str]) -> Grade:
    """Return the best proof; what is read back proves nothing of who may be spared as one of a set."""
    proven = {one[0] for one in works if isinstance(one, list)}
    return Grade.NONE if unsure and not (lasting and proven.issuperset(lasting)) else grade_of(works, lasting)


def _asked(rules: tuple[Rule, ...]) -> list[str]:
    """Return what the rules deny, as testIamPermissions names it."""
    return sorted({permission_of(one) for rule in rules for one in rule.permissions if "*" not in one})


def _left(label: str, why: str) -> Proposed:
    return Proposed(not_touched=(NotTouched(label, why),))
