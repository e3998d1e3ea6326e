"""Asks before anyone signs whether the executor may do each step, and whether it would cut its own branch."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.errors import ProviderError
from breakglass.model.action import Capability
from breakglass.model.plan import Step
from breakglass.provider import Finding
from breakglass_gcp import parts
from breakglass_gcp.project import Project
from breakglass_gcp.rights import Rights, elsewhere, on_project, texts

_CUTS = frozenset({Capability.REVOKE_CREDENTIALS, Capability.CUT_EGRESS})
_NOT_CUT = frozenset({"successor", "roles", "members", "rules", "works"})
"""Params that name whom a step does not cut off: a successor, who loses a right on the agent's account, whom
a deny policy spares."""


def preflight(project: Project, steps: Sequence[Step]) -> Sequence[Finding]:
    """Return one finding a step: allowed, refused with the permissions that are missing, or not known."""
    needs = {spec.name: spec.permissions for spec in parts.SPECS}
    wanted = sorted({one for step in steps for one in needs.get(step.action, ())})
    try:
        rights = on_project(project, wanted)
    except ProviderError as error:
        # Not a reason to leave the agent alone: each step meets its own refusal, and is then open.
        said = f"whether the executor may do this is not known: {error}"
        return [_own_branch(project, step) or Finding(step.n, ok=True, message=said[:500]) for step in steps]
    return [_finding(project, step, needs.get(step.action, ()), rights) for step in steps]


def _finding(project: Project, step: Step, needs: Sequence[str], rights: Rights) -> Finding:
    if (own := _own_branch(project, step)) is not None:
        return own
    who = project.me or "the executor"
    lacking = [one for one in needs if one not in rights.held]
    there = elsewhere(project, lacking, step.target.params) if lacking else Rights(frozenset())
    not_asked = rights.not_asked | there.not_asked
    unknown = [one for one in lacking if one not in there.held and one in not_asked]
    missing = [one for one in lacking if one not in there.held and one not in not_asked]
    if missing:
        said = f"{who} may not: {', '.join(missing)}"
        return Finding(step.n, ok=False, message=said[:500], alone=True)
    if unknown:
        said = f"{who} may do this, as far as can be asked; not known: {', '.join(unknown)}"
        return Finding(step.n, ok=True, message=said[:500])
    return Finding(step.n, ok=True, message=f"{who} may do this")


def _own_branch(project: Project, step: Step) -> Finding | None:
    """Return the finding of a step that would cut off the executor itself; None: it would not."""
    if step.capability not in _CUTS:
        return None
    pool = step.target.params.get("pool")
    mark = f"/projects/{project.number}/locations/global/workloadIdentityPools/{pool}/"
    if isinstance(pool, str) and mark in project.pool_audience:
        said = f"this would cut off the executor itself: it signs in through the pool {pool}"
        return Finding(step.n, ok=False, message=said[:500], alone=True)
    if project.me and _names(project.me, step):
        said = f"this would cut off the executor itself: {project.me}"
        return Finding(step.n, ok=False, message=said[:500], alone=True)
    return None


def _names(me: str, step: Step) -> bool:
    params = {key: value for key, value in step.target.params.items() if key not in _NOT_CUT}
    return any(one.removeprefix("serviceAccount:").rpartition("/")[2] == me for one in texts(params))
