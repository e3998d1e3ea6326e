"""Writes the executor's least rights as a custom role, from what the actions and discovery declare.

A project's custom role cannot hold what is granted on organisations alone, and what Google's documents say is
granted there is named beside it. "Understanding IAM custom roles": a role has at most 3,000 permissions, its
title 100 characters and its description 300.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from breakglass.canon import Json, JsonObject
from breakglass.model.action import ActionSpec
from breakglass.model.resource import Reach
from breakglass_gcp import parts
from breakglass_gcp.discover.reads import DISCOVERY
from breakglass_gcp.settings import GcpSettings

STOP, RESTORE = "stop", "restore"
CONNECTING = ("resourcemanager.projects.get",)
LONGEST_DESCRIPTION = 300
DENY = "iam.denypolicies.*"
BOUNDARIES = "iam.principalaccessboundarypolicies.*"
ORG_POLICY = "orgpolicy.policy.set"
ARMED = {
    "class_deny_policy": (DENY,),
    "class_boundary_binding": (BOUNDARIES, "iam.policybindings.*", "*.updatePolicyBinding"),
    "class_services": (ORG_POLICY,),
}
"""What is needed only where a reach has a key."""
ELSEWHERE = {
    DENY: "roles/iam.denyAdmin on the organization",
    BOUNDARIES: "roles/iam.principalAccessBoundaryUser on the organization",
    ORG_POLICY: "roles/orgpolicy.policyAdmin on the organization",
    "resourcemanager.organizations.*": "a role on the organization",
    "resourcemanager.folders.*": "a role on the folder",
    "billing.*": "a role on the billing account",
}
"""What is granted above a project: "Deny access to resources", Required roles; "Organization Policy Service
roles and permissions", lowest-level resources; "Edit principal access boundary policies", Required roles.
What a custom role may hold stands in it all the same: "Deny access to resources" says so of deny policies."""
NO_CUSTOM_ROLE = (
    BOUNDARIES,
    ORG_POLICY,
    "resourcemanager.organizations.*",
    "resourcemanager.folders.*",
    "billing.*",
)
"""Left out: no project's role may hold them."""
_READS = ("get", "list", "search", "test", "query")


def documents(purpose: str, reaches: Sequence[Reach], *, split: bool) -> Sequence[JsonObject]:  # noqa: ARG001 - one role fits
    """Return the custom role for ``stop``, ``restore``, or both (empty), as `gcloud iam roles` takes it.

    With reaches, what none of them can need is left out.
    """
    wanted = _for(needed(purpose), reaches)
    included: list[Json] = [*sorted(one for one in wanted if not _matches(one, NO_CUSTOM_ROLE))]
    described = f"Least rights to {purpose or 'stop and restore'} an agent here"
    if notes := elsewhere(wanted, reaches):
        # Roles alone: with what each is for it would be longer than a description may be.
        grants = [one.partition(" by ")[2] or one for one in notes]
        described = f"{described}. Grant beside it: {'; '.join(grants)}"
    return [
        {
            "title": f"breakglass {purpose or 'executor'}",
            "description": described[:LONGEST_DESCRIPTION],
            "stage": "GA",
            "includedPermissions": included,
        }
    ]


def elsewhere(wanted: Iterable[str], reaches: Sequence[Reach] = ()) -> Sequence[str]:
    """Return in words what must be granted elsewhere than by the project's role."""
    held = frozenset(wanted)
    notes = [
        f"{pattern} by {how}"
        for pattern, how in ELSEWHERE.items()
        if any(_matches(one, (pattern,)) for one in held)
    ]
    if any(GcpSettings.of(reach.settings).text("as") for reach in reaches if reach.provider == "gcp"):
        notes.append("roles/iam.serviceAccountTokenCreator on `as` to whoever impersonates it")
    return notes


def needed(purpose: str) -> frozenset[str]:
    """Return what a purpose needs; connecting and discovery are part of each."""
    wanted = {*CONNECTING, *DISCOVERY}
    for spec in parts.SPECS:
        wanted.update(of(spec, purpose))
    return frozenset(wanted)


def of(spec: ActionSpec, purpose: str) -> Iterable[str]:
    """Return what one action needs: a restore reads what a stop reads, and makes other changes."""
    if purpose == STOP:
        return spec.permissions
    if purpose == RESTORE:
        reads = (one for one in spec.permissions if one.rpartition(".")[2].startswith(_READS))
        return (*reads, *(spec.undo_permissions or spec.permissions))
    return (*spec.permissions, *spec.undo_permissions)


def _for(wanted: frozenset[str], reaches: Sequence[Reach]) -> frozenset[str]:
    """Leave out what is needed for a key that no reach has: nothing else that is found could need it."""
    if not reaches:
        return wanted
    named = {key for key in ARMED for one in reaches if GcpSettings.of(one.settings).values.get(key)}
    idle = [pattern for key, patterns in ARMED.items() if key not in named for pattern in patterns]
    return frozenset(one for one in wanted if not _matches(one, idle))


def _matches(permission: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(permission, pattern) for pattern in patterns)
