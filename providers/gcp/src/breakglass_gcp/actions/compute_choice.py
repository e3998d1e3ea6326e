"""Decides what is done with one member of a managed group: pure, and a call for whatever may run.

A member's status says what its machine does, its target what the group wants of it. Whoever controls the
agent moves the two apart at will: resumed by itself, a machine runs although its group has it suspended, and
the group has nothing to do with that. So a call goes through the group only where it changes what the group
wants; else the machine itself is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from breakglass.canon import Json
from breakglass_gcp.actions.compute_reading import MADE, OFF
from breakglass_gcp.messages import fields

MOVING = frozenset({"SUSPENDING", "STOPPING", "DEPROVISIONING"})
"""On its way to being off: nothing makes that quicker."""


class Way(StrEnum):
    """What is done with a member."""

    NOTHING = "nothing"
    """It is off."""
    AWAIT = "await"
    """It is on its way, or there is no machine yet that could be called."""
    SUSPEND_TOGETHER = "suspend_together"
    """Through the group, with others."""
    SUSPEND = "suspend"
    """By itself."""
    STOP_THROUGH = "stop_through"
    """Through the group."""
    STOP = "stop"
    """By itself."""


def way(status: str, target: str, *, refused: bool) -> Way:
    """Choose by what the machine does, what its group wants, and whether it refused to be suspended before.

    A status that nobody knows is taken for one that runs.
    """
    if status in OFF:
        return Way.NOTHING
    if status in MOVING or status in MADE:
        return Way.AWAIT
    if status == "RUNNING" and not refused:
        return Way.SUSPEND_TOGETHER if target == "RUNNING" else Way.SUSPEND
    # A graceful shutdown lets the guest work on for up to an hour; only a stop by itself ends that.
    through = target in ("RUNNING", "SUSPENDED") and status != "PENDING_STOP"
    return Way.STOP_THROUGH if through else Way.STOP


def status_of(machine: str, action: str) -> str:
    """Return the status of a member; one that its group is about to start is not off."""
    starts = action in MADE and (not machine or machine in OFF)
    return action if starts or not machine else machine


def planned(params: Mapping[str, Json], name: str, id_: str) -> bool:
    """Return whether the signed plan names this very machine; an older plan knows no ids, only names."""
    named, ids = params.get("instances"), params.get("ids")
    if not isinstance(named, list) or name not in named:
        return False
    signed = (
        {str(one[0]): str(one[1]) for one in ids if isinstance(one, list)} if isinstance(ids, list) else {}
    )
    return signed.get(name, id_) == id_


def may_run(seen: Json) -> bool:
    """Return whether what was read of a machine says that it is not off."""
    return bool(fields(seen)) and fields(seen)["status"] not in OFF
