"""Takes out of each step that changes a policy what a restore must not put back, and says so on the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from breakglass.model.plan import NotTouched
from breakglass.provider import Proposal
from breakglass_gcp.actions import account_policies, agent_engine_callers, project_grants, run_job_invokers
from breakglass_gcp.actions.pubsub_members import PUBLISHERS, SUBSCRIBERS
from breakglass_gcp.found import Found
from breakglass_gcp.project import Project
from breakglass_gcp.since_harm import Added, SinceHarm, short_names

_LISTS = {
    account_policies.SPEC.name: "members",
    project_grants.SPEC.name: "grants",
    SUBSCRIBERS.spec.name: "granted",
    PUBLISHERS.spec.name: "granted",
    run_job_invokers.SPEC.name: "granted",
    agent_engine_callers.SPEC.name: "granted",
}
"""Action -> where its target lists the grants that a restore puts back."""
WHAT = "grants that were added since the harm began"
HAND = "whom the agent let in since the harm began"
MOST_NAMED = 50


def with_harm(
    project: Project, found: Found, proposals: Sequence[Proposal]
) -> tuple[tuple[Proposal, ...], tuple[NotTouched, ...]]:
    """Return the proposals without what stays away, and what could not be judged."""
    if project.connection.since is None:
        return tuple(proposals), ()
    told: list[Proposal] = []
    unsure: list[str] = []
    for one in proposals:
        listed = _LISTS.get(one.action)
        names = _names(project, one) if listed else ()
        told.append(_without(one, listed, names, found) if listed else one)
        if listed and one.target.params[listed] != [] and not found.harm.untold.isdisjoint(names):
            unsure.append(one.target.label)
    left = [
        NotTouched(WHAT, f"the log does not say what the agent changed there; all comes back: {one}"[:500])
        for one in unsure
    ]
    if not found.harm.whole and any(one.action in _LISTS for one in proposals):
        why = "; ".join(found.harm.doubts)
        reason = f"{why}: whom a restore lets in again may have been let in since; look before it"
        left.append(NotTouched(WHAT, reason[:500]))
    if any(one.action in _LISTS for one in proposals):
        left += _let_in(found.harm)
    return tuple(told), tuple(left)


def _let_in(harm: SinceHarm) -> list[NotTouched]:
    """Say who counts as the agent's hand: were it an honest responder, what they granted stays away."""
    hands = "counts as the agent's: what it added stays away; look whether that is so"
    many = "who that is nobody can tell: what anybody else added since may be theirs, and comes back"
    acted = {it.by.lower() for it in harm.grants.values() if it.own}
    told = sorted(harm.hands, key=lambda who: who.lower() not in acted)  # those first for whom it matters
    said = [f"{who}: {harm.hands[who]}; {hands}" for who in told]
    said += [f"{how}; {many}" for how in harm.open]
    left = [NotTouched(HAND, _line(one)) for one in said[:MOST_NAMED]]
    if more := said[MOST_NAMED:]:
        left.append(NotTouched(HAND, f"{len(more)} more, which the admin activity audit log names"))
    return left


def _line(text: str) -> str:
    """Return text of a log as one plain line."""
    return "".join(one if "\x20" <= one < "\x7f" else "?" for one in text)[:500]


def _names(project: Project, one: Proposal) -> tuple[str, ...]:
    params = one.target.params
    if one.action == project_grants.SPEC.name:
        return f"projects/{project.id}", f"projects/{project.number}"
    if one.action == account_policies.SPEC.name:
        return tuple(f"serviceAccounts/{params[key]}" for key in ("email", "unique_id"))
    return short_names(str(params["engine" if one.action == agent_engine_callers.SPEC.name else "name"]))


def _without(one: Proposal, listed: str, names: Sequence[str], found: Found) -> Proposal:
    held = one.target.params[listed]
    if not isinstance(held, list):  # the policy could not be read: what the log names stays away all the same
        keys = [key for name, key in found.harm.grants if name in names]
    else:
        keys = [str(key) for key in held]
    added = found.harm.added(names, keys)
    if not added:
        return one
    away = sorted(key for key, it in added.items() if it.own)
    params = dict(one.target.params)
    if isinstance(held, list):
        params[listed] = [key for key in keys if key not in away]
    else:
        params["stays_away"] = [*away]
    target = replace(one.target, params=params, label=f"{one.target.label}; {_count(added)}")
    words = tuple(f"{key}: {it.words}" for key, it in sorted(added.items()))
    return replace(one, target=target, affects=(*words, *_neighbours(one, keys, away)))


def _count(added: dict[str, Added]) -> str:
    away = sum(it.own for it in added.values())
    doubts = sum(it.doubt for it in added.values())
    others = len(added) - away - doubts
    said = [f"{away} added since the harm began: stays away"] if away else []
    said += [f"{others} added since by somebody else: comes back"] if others else []
    said += [f"{doubts} added since by nobody knows whom: comes back"] if doubts else []
    return ", ".join(said)


def _neighbours(one: Proposal, keys: Sequence[str], away: Sequence[str]) -> tuple[str, ...]:
    """Return whom it affects, without those of whom nothing comes back: they are no neighbours."""
    back = {_member(key) for key in keys if key not in away}
    gone = {_member(key) for key in away} - back
    return tuple(who for who in one.affects if who not in gone)


def _member(key: str) -> str:
    """Return the member of a grant's key."""
    return key.partition(" if ")[0].partition(" ")[2]
