"""Joins what is done to the agent's principals beside disabling its accounts: pools, class switches, grants.

Each identity has its own step where there is something to disable; the class deny and the grants are for
those that have none, and a second door in front of the others. The class boundary is a layer more, and closes
nothing by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from breakglass.canon import Json
from breakglass.model.plan import NotTouched
from breakglass.provider import Notes, Proposal, Proposed
from breakglass_gcp.actions import (
    class_boundary,
    class_boundary_spec,
    class_deny,
    class_deny_spec,
    grants_choice,
    pool_choice,
    project_grants,
)
from breakglass_gcp.actions import workload_pools as pools
from breakglass_gcp.actions.account_choice import choose, disable_key
from breakglass_gcp.actions.deny_baseline import not_denied
from breakglass_gcp.actions.deny_reach import Cover, attached_here, is_here, reached
from breakglass_gcp.actions.deny_rules import of_signed
from breakglass_gcp.agent_principals import Principals, principals
from breakglass_gcp.found import Found
from breakglass_gcp.project import Project

SPECS = (*class_deny.SPECS, *class_boundary.SPECS, *project_grants.SPECS, *pools.SPECS)
ACTION_CLASSES = (
    *class_deny.ACTION_CLASSES,
    *class_boundary.ACTION_CLASSES,
    *project_grants.ACTION_CLASSES,
    *pools.ACTION_CLASSES,
)


def propose(project: Project, found: Found) -> Proposed:
    """Propose the pools, the class deny, the class boundary, and the project's grants.

    What one of them cannot read now takes no step of another away: of deny policies five reads a minute are
    all that a project has, and the agent may use them up.
    """
    who, notes = principals(project, found), Notes()
    cut = notes.attempt(partial(pool_choice.propose, project, found, who.others), Proposed())
    keys = {one.key for one in cut.proposals}
    moot_by = {one.email: disable_key(one.email) for one in choose(project, found).own}
    moot_by |= {
        one: key
        for one in who.others
        if is_here(project, one) and (key := pool_choice.pool_key(pool_choice.pool_of(one))) in keys
    }
    denied = notes.attempt(partial(class_deny_spec.propose, project, who, moot_by), Proposed())
    keys_denied = tuple(one.key for one in denied.proposals)
    bound = class_boundary_spec.propose(project, who, moot_by, keys_denied)
    cover, left = _cover(project, denied.proposals, who)
    taken = notes.attempt(partial(grants_choice.propose, project, found, who, moot_by, cover), Proposed())
    missed = (*who.incomplete, *notes.incomplete)
    return Proposed(incomplete=missed).plus(denied).plus(left).plus(bound).plus(taken).plus(cut)


def _cover(project: Project, denied: Sequence[Proposal], who: Principals) -> tuple[Cover, Proposed]:
    """Return what the class deny may stand for, and what to say where that is less than everything."""
    if not denied:
        return Cover(), Proposed()
    [step] = denied
    lacks = not_denied(of_signed(step.target.params["rules"]))
    unsure = step.target.params["unsure"]
    # A policy that denies little, or perhaps not the agent, says little of what folders and resources grant.
    if lacks or unsure:
        return Cover(), _said(lacks).plus(_spared(unsure))
    place = attached_here(project, step.target.id)
    if place.here is None:
        left = NotTouched("what the class deny policy stands for", place.why[:500])
        return Cover(), Proposed(not_touched=(left,))
    everywhere = reached(project, step.target.id, [*who.undisabled, *who.others])
    return Cover((step.key,), everywhere), Proposed()


def _said(lacks: Sequence[str]) -> Proposed:
    """Say what the class deny policy leaves out, so that it closes no door of what is granted elsewhere."""
    if not lacks:
        return Proposed()
    left = NotTouched(
        "what the class deny policy does not deny", f"{', '.join(lacks)}: add them in peacetime"[:500]
    )
    return Proposed(not_touched=(left,))


def _spared(unsure: Json) -> Proposed:
    """Say which sets the class deny policy spares that the agent may be in, for all that is known here."""
    if not isinstance(unsure, list) or not unsure:
        return Proposed()
    names = ", ".join(map(str, unsure))
    why = (
        f"{names}: nobody here knows whether the agent is in there; spare the executor by its own name alone"
    )
    return Proposed(not_touched=(NotTouched("whom the class deny policy spares", why[:500]),))
