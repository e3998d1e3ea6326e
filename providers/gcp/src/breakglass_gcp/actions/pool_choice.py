"""Decides which workload identity pools are disabled: those that nobody but the agent comes through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from breakglass.canon import JsonObject
from breakglass.errors import Gone, ProviderError
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Proposal, Proposed, ProposedDoor
from breakglass_gcp.actions.undo_wait import wait_params
from breakglass_gcp.actions.workload_pools import SPEC, UNSEEN_SETTLE_S, read_pool
from breakglass_gcp.as_agent import TRIED, what_works
from breakglass_gcp.found import Found
from breakglass_gcp.messages import text
from breakglass_gcp.policies import grants
from breakglass_gcp.policy_writes import read_policy
from breakglass_gcp.project import Project

MOST_ACCOUNTS = 200
"""Of a project with more, not every account's policy is read: who else uses the pool is then not known."""


def pool_key(pool: str) -> str:
    """Return the key of the step that disables a pool."""
    return f"disable_pool:{pool}"


def pool_of(principal: str) -> str:
    """Return the pool that a principal comes from; empty: it is of no pool."""
    return principal.partition("/workloadIdentityPools/")[2].partition("/")[0]


def propose(project: Project, found: Found, others: Iterable[str]) -> Proposed:
    """Propose to disable each pool that is the agent's; `others`: the agent's principals."""
    named = tuple(others)
    proposed = Proposed()
    accepted = project.settings.texts("accept_blast_radius")
    users: Mapping[str, tuple[str, ...]] | None = None
    for pool in found.of("workload_pools"):
        label = f"workload identity pool {pool}"
        try:
            seen = read_pool(project, pool)
        except Gone:
            proposed = proposed.plus(Proposed(not_touched=(NotTouched(label, "there is none"),)))
            continue
        except ProviderError as error:
            proposed = proposed.plus(Proposed(incomplete=(f"{label}: {error}"[:500],)))
            continue
        if text(seen, "mode") == "SYSTEM_TRUST_DOMAIN" or pool.endswith(".svc.id.goog"):
            proposed = proposed.plus(
                _left(label, "Google manages it for a cluster, and it cannot be disabled")
            )
            continue
        users = _users(project, found, named) if users is None else users
        used_by = users.get(pool, ()) + users.get("", ())
        if used_by and f"pool:{pool}" not in accepted:
            names = ", ".join(used_by[:5]) + (" ..." if used_by[5:] else "")
            proposed = proposed.plus(
                _left(label, f"accept_blast_radius lacks pool:{pool}, and it serves {names}")
            )
            continue
        proposed = proposed.plus(Proposed((_step(project, pool, named, used_by),)))
    return proposed


def _step(project: Project, pool: str, named: Iterable[str], used_by: tuple[str, ...]) -> Proposal:
    within = [one for one in named if pool_of(one) == pool and project.holds(one)]
    held = [one[0] for one in what_works(project, within, TRIED) if isinstance(one, list)]
    grade = Grade.REFUSED_AS_AGENT if held else Grade.READ_BACK
    target = project.target(
        "gcp-workload-pool",
        f"pool/{pool}",
        f"workload identity pool {pool}",
        pool=pool,
        held=[*held],
        **wait_params(project, ()),
    )
    return Proposal(
        key=pool_key(pool),
        action=SPEC.name,
        target=target,
        best_grade=grade,
        settle_s=project.settle_s(SPEC, SPEC.settle_s if held else UNSEEN_SETTLE_S),
        affects=used_by,
    )


def _users(project: Project, found: Found, named: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return by pool who else comes through it, in words; under the empty name what could not be read.

    A grant on an account of the agent's own is the agent's way in, and nobody else's.
    """
    users: dict[str, list[str]] = {}
    for where, policy in _policies(project, found, users.setdefault("", [])):
        for grant in grants(policy, lambda one: bool(pool_of(one)) and one not in named):
            said = f"{grant.member} with {grant.role} of {where}"
            users.setdefault(pool_of(grant.member), []).append(said)
    return {pool: tuple(dict.fromkeys(names)) for pool, names in users.items()}


def _policies(project: Project, found: Found, missed: list[str]) -> Iterator[tuple[str, JsonObject]]:
    """Yield the allow policies by which somebody may use a pool; note in `missed` what cannot be read."""
    try:
        yield project.id, read_policy(project, "projects", project.name)
        accounts = project.every("iam_admin", "list_service_accounts", {"name": project.name}).items
    except ProviderError as error:
        missed.append(f"whoever may act through it in {project.id}: not readable ({error.what})"[:200])
        return
    others = [str(one.email) for one in accounts if str(one.email) not in found.identities]
    if len(others) > MOST_ACCOUNTS:
        missed.append(f"whoever may act through it as one of {len(others)} other accounts: not looked at")
        return
    for email in others:
        try:
            yield email, read_policy(project, "iam_admin", f"projects/-/serviceAccounts/{email}")
        except Gone:
            continue
        except ProviderError as error:
            missed.append(f"whoever may act through it as {email}: not readable ({error.what})"[:200])


def _left(label: str, reason: str) -> Proposed:
    """Say that the agent keeps this way in: that is an open door."""
    remedy = "cut its principals off by a class deny policy, or accept that all who use the pool are cut off"
    door = Door(DoorKind.NO_STEP, label, reason[:500], remedy, "", (), Verdict.NOT_CONTAINED)
    return Proposed(doors=(ProposedDoor(door),), not_touched=(NotTouched(label, reason[:500]),))
