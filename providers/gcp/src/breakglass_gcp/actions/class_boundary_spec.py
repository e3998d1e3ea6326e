"""Declares ``gcp.iam.class_boundary``, and proposes it where a policy binding is armed for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from breakglass.canon import JsonObject
from breakglass.errors import ProviderError
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
from breakglass_gcp.actions.boundary_binding import (
    LONGEST_CONDITION,
    bindings_of,
    expression_of,
    is_ours,
    named_in,
    naming,
    principal_set_of,
    subject_of,
)
from breakglass_gcp.actions.deny_reach import ancestors
from breakglass_gcp.actions.undo_wait import wait_params
from breakglass_gcp.agent_principals import Principals
from breakglass_gcp.messages import field, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import shown

SPEC = ActionSpec(
    name="gcp.iam.class_boundary",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="adds the agent's principals to the condition of one policy binding made in peacetime, whose"
    " principal access boundary allows nothing of the agent's: one write for all, in every project",
    permissions=(
        "iam.policybindings.get",
        "iam.principalaccessboundarypolicies.bind",
        "iam.principalaccessboundarypolicies.get",
        "iam.workloadIdentityPools.updatePolicyBinding",
        "resourcemanager.projects.updatePolicyBinding",
    ),
    blast_radius="everything that acts as one of these principals, in any project",
    reversibility=Reversibility.FULL,
    undo="takes exactly the principals out again that the stop added, once no token of before it lives",
    settle_s=120,
    # It blocks the permissions of its enforcement version alone, and another boundary that is bound to the
    # same principals adds to what they may reach: nobody here can tell what is left.
    best_grade=Grade.NONE,
    example="gcp.iam.class_boundary projects/support-prod/locations/global/policyBindings/breakglass-class",
    sources=(
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "IAM documentation, Access change propagation: typically 2 minutes, can take 7 or more",
        ),
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "IAM documentation, Principal access boundary policies; IAM API v3 reference",
        ),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_class_boundary.py"),
    ),
    # No rate for the engine's turns: most looks are answered from memory, the calls are paced (pace.CALLS).
    service="",
)
KEY = "class_boundary"
KIND = "PRINCIPAL_ACCESS_BOUNDARY"
VERSIONS = frozenset({"1", "2", "3", "4", "latest"})
"""IAM documentation, "Edit principal access boundary policies": accepted enforcement versions."""
ARM_IT = "docs/gcp.md says how to arm one"
_RESOURCE = re.compile(
    r"//cloudresourcemanager\.googleapis\.com/((?:projects|folders|organizations)/[^/]+)", re.ASCII
)


def propose(project: Project, who: Principals, moot_by: Mapping[str, str], denied: Sequence[str]) -> Proposed:
    """Propose the boundary where it is armed, and say why not where it is not.

    One that cannot be read makes no plan incomplete, since it closes no door: of five reads a minute the
    agent may take them all.

    `moot_by`: identity -> key of a proposal that takes all of its tokens' power by itself. `denied`: keys of
    the class deny, which holds for everybody else.
    """
    name = project.settings.text("class_boundary_binding")
    if not name:
        return Proposed()
    label = f"policy binding {name}"
    try:
        binding = bindings_of(project).remembered(name)
    except ProviderError as error:
        return _left(label, f"it cannot be read, and is not extended unseen: {error}")
    if binding is None:
        return _left(label, f"there is no such policy binding: the class boundary is not armed; {ARM_IT}")
    named = named_in(expression_of(binding))
    if why := _why_not_binding(project, binding) or _why_not_policy(project, text(binding, "policy")):
        return _left(label, why)
    everybody = [*who.accounts, *who.others]
    principal_set = principal_set_of(binding)
    subjects = {one: subject_of(project, principal_set, one) for one in everybody}
    within = [one for one in everybody if subjects[one]]
    # Where not all fit, those who have a step of their own do without this one.
    if not _fit(named or (), [subjects[one] for one in within]):
        within = [one for one in within if one not in moot_by]
    left = _unnamed(label, principal_set, [one for one in everybody if not subjects[one]])
    if not within:
        return _left(label, f"none of the agent's principals can be named for {principal_set}").plus(left)
    if not _fit(named or (), [subjects[one] for one in within]):
        why = (
            f"a condition has {LONGEST_CONDITION} characters, and {len(within)} principals do not fit;"
            " use a class deny policy"
        )
        return _left(label, why).plus(left)
    lasting = [one for one in within if one not in moot_by]
    target = project.target(
        "gcp-policy-binding",
        name,
        f"policy binding {name}: {len(within)} principals",
        principals=[*within],
        subjects=[subjects[one] for one in within],
        policy=text(binding, "policy"),
        policy_uid=text(binding, "policy_uid"),
        principal_set=principal_set,
        **(wait_params(project, lasting) if lasting else {}),
    )
    others = tuple(dict.fromkeys(moot_by[one] for one in within if one in moot_by))
    step = Proposal(
        key=KEY,
        action=SPEC.name,
        target=target,
        best_grade=SPEC.best_grade,
        settle_s=project.settle_s(SPEC),
        moot_by=() if lasting and not denied else (*others, *(denied if lasting else ())),
    )
    return Proposed((step,)).plus(left)


def _why_not_binding(project: Project, binding: JsonObject) -> str:
    """Return why a binding cannot be used; empty where it can."""
    principal_set, expression = principal_set_of(binding), expression_of(binding)
    if text(binding, "policy_kind") not in {"", KIND}:
        return f"it is not of the kind {KIND}"
    if not is_ours(project, principal_set):
        return (
            f"it is for {shown(principal_set)}, which is neither {project.id}'s principal set nor a workload"
            " identity pool of it: bind the policy to one of these"
        )
    if not expression:
        return f"it has no condition, and so holds for everybody in {principal_set} already: {ARM_IT}"
    if named_in(expression) is None:
        return f"its condition is not one that a stop may extend: set it to {naming(())}"
    return ""


def _why_not_policy(project: Project, name: str) -> str:
    """Return why a boundary is of no use against the agent; empty where it may be."""
    try:
        policy = bindings_of(project).policy(name)
        above = ancestors(project, project.id)
    except ProviderError as error:
        return f"its policy or what is above the project cannot be read: {error}"[:500]
    if policy is None:
        return f"its policy {shown(name)} is not there: make the binding anew, for one that is"
    allowed = allowed_by(policy)
    if not allowed:
        return f"what its policy {shown(name)} allows cannot be read: let its rules name an empty folder"
    if own := sorted(allowed & {f"projects/{project.id}", f"projects/{project.number}", *above}):
        return f"its policy allows {', '.join(own)}, where the agent works: let it name an empty folder alone"
    version = text(policy, "details", "enforcement_version")
    if version not in VERSIONS:
        return f"the enforcement version {shown(version) or '(none)'} of its policy is not known here"
    return ""


def allowed_by(policy: JsonObject) -> frozenset[str]:
    """Return what a boundary allows, as ``folders/1``; empty: it cannot be read, not even in part."""
    rules = field(policy, "details", "rules")
    found: set[str] = set()
    for rule in rules if isinstance(rules, list) else ():
        resources = field(rule, "resources")
        if text(rule, "effect") != "ALLOW" or not isinstance(resources, list):
            return frozenset()
        for one in resources:
            match = _RESOURCE.fullmatch(one) if isinstance(one, str) else None
            if match is None:
                return frozenset()
            found.add(match[1])
    return frozenset(found)


def _fit(named: Sequence[str], subjects: Sequence[str]) -> bool:
    return len(naming(dict.fromkeys((*named, *subjects)))) <= LONGEST_CONDITION


def _unnamed(label: str, principal_set: str, identities: Sequence[str]) -> Proposed:
    """Say whom a condition cannot name: those keep what other steps leave them."""
    if not identities:
        return Proposed()
    why = (
        f"{', '.join(identities)}: of another project than {principal_set} is of, or not told from others by"
        " a subject alone; a federated identity needs a binding to its own pool"
    )
    return Proposed(not_touched=(NotTouched(f"whom the {label} cannot name", why[:500]),))


def _left(label: str, why: str) -> Proposed:
    return Proposed(not_touched=(NotTouched(label, why[:500]),))
