"""Fits the denial of whole services to the other steps of a plan: it must not cut off their own calls.

It contains nobody by itself (`restrict_services`): once what does is proven, it matters no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from breakglass.model.action import Grade, Phase
from breakglass.model.plan import NotTouched
from breakglass.provider import Proposal
from breakglass_gcp import parts
from breakglass_gcp.actions import restrict_services
from breakglass_gcp.project import Project

_SPECS = {spec.name: spec for spec in parts.SPECS}
_HOSTS: Mapping[str, tuple[str, ...]] = {
    "resourcemanager": ("cloudresourcemanager",),
    "workflows": ("workflows", "workflowexecutions"),
}
"""Beginning of a permission -> the services that ask for it, where they are named otherwise."""


def beside(
    project: Project, proposals: Sequence[Proposal]
) -> tuple[tuple[Proposal, ...], tuple[NotTouched, ...]]:
    """Return the proposals, denying those services alone that no other step calls, and what is left."""
    switch = next((one for one in proposals if one.action == restrict_services.SPEC.name), None)
    if switch is None:
        return tuple(proposals), ()
    others = tuple(one for one in proposals if one is not switch)
    calls = _called(others)
    named = restrict_services.services_of(switch.target)
    left = tuple(NotTouched(f"service {one}", _why(calls[one])) for one in named if one in calls)
    kept = [one for one in named if one not in calls]
    if not kept:
        return others, left
    fitted = restrict_services.step(project, kept, _stopping(others))
    return tuple(fitted if one is switch else one for one in proposals), left


def _called(proposals: Iterable[Proposal]) -> Mapping[str, Sequence[str]]:
    """Return by service which steps call it, for the stop or the undo."""
    found: dict[str, list[str]] = {}
    for one in proposals:
        spec = _SPECS[one.action]
        begins = {each.partition(".")[0] for each in (*spec.permissions, *spec.undo_permissions)}
        for begin in sorted(begins):
            for host in _HOSTS.get(begin, (begin,)):
                found.setdefault(f"{host}.googleapis.com", []).append(f"{one.action} {one.target.label}")
    return found


def _why(steps: Sequence[str]) -> str:
    more = f" and {len(steps) - 2} more" if steps[2:] else ""
    said = f"steps of this plan call it, and would be refused as well: {', '.join(steps[:2])}{more}"
    return f"{said}; a class deny policy cuts off the agent's principals alone"[:500]


def _stopping(proposals: Iterable[Proposal]) -> tuple[str, ...]:
    """Return the keys of what contains the agent, by proof of its own."""
    return tuple(
        one.key
        for one in proposals
        if _SPECS[one.action].capability.phase is not Phase.PRESERVE
        and not one.moot_by
        and (one.best_grade or _SPECS[one.action].best_grade) is not Grade.NONE
    )
