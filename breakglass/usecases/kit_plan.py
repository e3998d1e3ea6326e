"""Holds a plan that was made elsewhere against this executor's own kit, before it is run.

Two people signed it, but the machine that made it may have left things out: what the kit names and the plan
does not mention would silently stay open.
"""

from __future__ import annotations

from breakglass.errors import StalePlan
from breakglass.kit.model import Effect, Kit
from breakglass.model.action import Capability, Verdict
from breakglass.model.plan import Door, Plan, pack_settings

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
    planned = [(reach.provider, dict(reach.settings)) for reach in plan.reaches]
    left_out = {item.provider for item in plan.not_planned}
    for reach in agent.reaches:
        if (reach.provider, pack_settings(reach.settings)) not in planned and reach.provider not in left_out:
            raise StalePlan(
                f"the plan does not mention a reach of provider {reach.provider}",
                where=reach.where,
                remedy=_AGAIN,
            )
    doors = {door.name for door in plan.doors if _is_open(door, plan)}
    wanted = [f"tool {tool.name}" for tool in agent.tools if tool.effect is not Effect.READ]
    wanted += [f"deployer {item.kind} {item.name}" for item in agent.deployers]
    if missing := [name for name in wanted if name not in doors]:
        raise StalePlan(f"the plan does not mention {missing[0]}", remedy=_AGAIN)


def _is_open(door: Door, plan: Plan) -> bool:
    """Return whether a door counts, and is closed by steps that revoke or pause and by no others."""
    closing = [plan.steps[n] for n in door.closed_by]
    return door.verdict is not Verdict.CONTAINED and all(
        step.capability in _CLOSING and not step.withholds_only for step in closing
    )
