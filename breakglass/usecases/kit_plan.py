"""Holds a plan that was made elsewhere against this executor's own kit, before it is run.

Two people signed it, but the machine that made it may have left things out: what the kit names and the plan
does not mention would silently stay open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from breakglass.errors import StalePlan
from breakglass.kit.model import Effect, Kit
from breakglass.model.action import Capability, Verdict
from breakglass.model.plan import Door, Plan, pack_settings
from breakglass.model.resource import Reach
from breakglass.plan.readable import line
from breakglass.usecases.prepare import scope_of

_CLOSING = frozenset({Capability.REVOKE_CREDENTIALS, Capability.FREEZE_CHANGE})
_AGAIN = "make the plan again with the kit as it is now"


def require_of_kit(plan: Plan, kit: Kit) -> None:
    """Require that the plan was made from this kit and mentions all that the kit says of the agent.

    Raises:
        StalePlan: it was made from another version, or leaves out a reach, a tool or a deployer.
    """
    if (plan.kit.version, plan.kit.sha256) != (kit.pin.version, kit.pin.sha256):
        raise StalePlan(
            f"the plan was made from kit version {plan.kit.version} ({plan.kit.sha256[:8]}),"
            f" this executor has version {kit.version} ({kit.digest[:8]})",
            remedy=_AGAIN,
        )
    agent = kit.agent(plan.agent)
    _require_reaches(plan, agent.reaches)
    doors = {door.name for door in plan.doors if _is_open(door, plan)}
    wanted = [f"tool {tool.name}" for tool in agent.tools if tool.effect is not Effect.READ]
    wanted += [f"deployer {item.kind} {item.name}" for item in agent.deployers]
    if missing := [name for name in wanted if name not in doors]:
        raise StalePlan(f"the plan does not mention {missing[0]}", remedy=_AGAIN)


def _require_reaches(plan: Plan, reaches: Sequence[Reach]) -> None:
    """Require each reach of the kit in the plan or among what was not planned, and no reach beside them.

    One host that did not answer must not stand for another that the plan leaves out.
    """
    planned = [(reach.provider, dict(reach.settings)) for reach in plan.reaches]
    left_out = Counter((item.provider, item.scope) for item in plan.not_planned)
    for reach in reaches:
        one = (reach.provider, pack_settings(reach.settings))
        name = (reach.provider, line(scope_of(reach)))
        if one in planned:
            planned.remove(one)
        elif left_out[name]:
            left_out[name] -= 1
        else:
            raise StalePlan(
                f"the plan does not mention a reach of provider {reach.provider}",
                where=reach.where,
                remedy=_AGAIN,
            )
    if planned:
        provider, settings = planned[0]
        named = line(scope_of(Reach(provider, settings, "a reach")))
        raise StalePlan(f"the plan reaches {provider} {named}, which the kit does not", remedy=_AGAIN)


def _is_open(door: Door, plan: Plan) -> bool:
    """Return whether a door counts, and is closed by steps that revoke or pause and by no others."""
    closing = [plan.steps[n] for n in door.closed_by]
    return door.verdict is not Verdict.CONTAINED and all(
        step.capability in _CLOSING and not step.withholds_only for step in closing
    )
