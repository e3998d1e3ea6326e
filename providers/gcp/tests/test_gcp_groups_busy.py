"""A group whose calls are slow, throttled or fail for a moment: each member is called, and comes back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.errors import Denied, InDoubt, ProviderError, Throttled, Unsettled
from breakglass.provider import Outcome
from breakglass_gcp.tries import Tries
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import Rig, proposal, undo
from providers.gcp.tests.test_gcp_groups_attacks import (
    HOLD,
    SUSPEND,
    closed,
    laid,
    on_members,
    stopped,
    ticks,
)


def faults(rig: Rig, *orders: Mapping[str, Any]) -> None:
    """Have calls fail from now on; without orders none."""
    rig.control("faults", {"faults": [*orders]})


def resumed(rig: Rig, group: str) -> None:
    """Resume every member by itself."""
    for name in compute.members(rig, group):
        compute.do(rig, "resume", f"{compute.ZONE}/{name}")
    compute.until(lambda: set(compute.members(rig, group).values()) == {"RUNNING"})


def made(rig: Rig, since: int, method: str) -> int:
    """Return how often a method was called since."""
    return sum(1 for one in rig.control("calls")[since:] if one["method"] == method)


def test_members_that_were_resumed_by_themselves_are_not_waited_for_one_after_another(rig: Rig) -> None:
    """Each takes its time to write its memory out; the last would be called minutes later."""
    group = laid(rig, size=3)
    (_, (action, step, _)) = stopped(rig, group)
    resumed(rig, group)
    faults(rig, {"method": "compute.instances.suspend", "operation": 3})
    seen, began_s = action.observe(step.target), time.monotonic()

    action.apply(step.target, seen, "token")

    assert time.monotonic() - began_s < 8
    assert set(compute.members(rig, group).values()) == {"SUSPENDING"}
    faults(rig)
    closed(rig, action, step)
    assert set(compute.members(rig, group).values()) == {"SUSPENDED"}


def test_a_guest_that_refuses_is_stopped_although_its_group_wants_it_to_run_again(rig: Rig) -> None:
    """Resumed through its group after the refusal it is suspended through it once more, and not for ever."""
    group = laid(rig, size=1, properties={"labels": {"sandbox-suspend-fails": "yes"}})
    provider = rig.provider(instance_groups=[group])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    (name,) = compute.members(rig, group)
    for n in range(3):
        action.apply(step.target, action.observe(step.target), f"token-{n}")
        if n < 2 and compute.members(rig, group) == {name: "RUNNING"}:
            on_members(rig, "resume", [name])
    ticks(rig)

    assert compute.members(rig, group) == {name: "TERMINATED"}


def test_a_throttled_stop_does_not_begin_from_the_first_member_again(rig: Rig) -> None:
    """It is read again: those that were called before would use up what the service allows."""
    group = laid(rig, size=3)
    (_, (action, step, _)) = stopped(rig, group)
    first, *others = sorted(compute.members(rig, group))
    on_members(rig, "resume", [first])
    for name in others:
        compute.do(rig, "resume", f"{compute.ZONE}/{name}")
    ticks(rig)
    order = {"method": "compute.instances.suspend", "code": "RESOURCE_EXHAUSTED", "times": 1}
    faults(rig, order)

    with pytest.raises(InDoubt):
        action.apply(step.target, action.observe(step.target), "token")

    ticks(rig)
    faults(rig, order)
    with pytest.raises(Throttled):
        action.apply(step.target, action.observe(step.target), "token")
    faults(rig)
    closed(rig, action, step)
    assert set(compute.members(rig, group).values()) == {"SUSPENDED"}


def test_a_restore_that_is_throttled_in_the_middle_reads_again(rig: Rig) -> None:
    """What came back meanwhile is not started once more, which would be refused."""
    group = laid(rig, size=3)
    (_, (action, step, prior)) = stopped(rig, group)
    first = f"{compute.ZONE}/{min(compute.members(rig, group))}"
    compute.do(rig, "stop", first)
    prior = {first: prior[first], **prior}
    start, resume = (f"compute.instanceGroupManagers.{verb}Instances" for verb in ("start", "resume"))
    faults(rig, {"method": resume, "code": "RESOURCE_EXHAUSTED", "times": 1})
    since = len(rig.control("calls"))

    with pytest.raises(Unsettled):
        undo(action, step.target, prior)

    faults(rig)
    told = undo(action, step.target, prior).objects
    assert sorted(told.values()) == [Outcome.ALREADY, Outcome.RESTORED, Outcome.RESTORED]
    assert (made(rig, since, start), made(rig, since, resume)) == (1, 3)
    ticks(rig)
    assert set(compute.members(rig, group).values()) == {"RUNNING"}


def test_what_is_final_of_one_member_does_not_hide_that_another_is_on_its_way() -> None:
    """The engine reads again; what is final is told when nothing else is left."""
    tries = Tries()

    def fail(error: ProviderError) -> None:
        raise error

    tries.make(lambda: fail(Denied("no")))
    tries.make(lambda: fail(Unsettled("on its way")))
    with pytest.raises(Unsettled):
        tries.end()


READ = (
    "compute.instances.list",
    "compute.instances.get",
    "compute.instanceGroupManagers.listPerInstanceConfigs",
)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_a_read_that_fails_for_a_moment_at_the_stop_keeps_nothing_off(rig: Rig, code: str) -> None:
    """What the journal keeps of a machine is what was read first; it is tried again for two seconds."""
    group = laid(rig)
    provider = rig.provider(instance_groups=[group])
    steps = [(provider.actions[name], proposal(provider, name)) for name in (HOLD, SUSPEND)]
    priors: list[dict[str, Json]] = []
    for action, step in steps:
        faults(rig, *({"method": one, "code": code, "times": 3} for one in READ))
        priors.append(closed(rig, action, step))
    faults(rig)

    for (action, step), prior in reversed([*zip(steps, priors, strict=True)]):
        assert set(undo(action, step.target, prior).objects.values()) == {Outcome.RESTORED}
        ticks(rig)


def test_a_read_that_goes_on_failing_does_not_make_the_stop_late(rig: Rig) -> None:
    """The machines are turned off all the same."""
    group = laid(rig)
    provider = rig.provider(instance_groups=[group])
    steps = [(provider.actions[name], proposal(provider, name)) for name in (HOLD, SUSPEND)]
    faults(rig, *({"method": one, "code": "UNAVAILABLE"} for one in READ))

    for action, step in steps:
        began_s = time.monotonic()
        action.observe(step.target)
        assert time.monotonic() - began_s < 20

    faults(rig)


def test_a_group_whose_configs_are_not_read_at_the_restore_is_let_go_when_they_are(rig: Rig) -> None:
    """That they are not read does not say that somebody changed them."""
    group = laid(rig)
    (held, members) = stopped(rig, group)
    undo(members[0], members[1].target, members[2])
    ticks(rig)
    faults(rig, {"method": READ[2], "code": "UNAVAILABLE"})

    with pytest.raises(Unsettled):
        undo(held[0], held[1].target, held[2])

    faults(rig)
    assert set(undo(held[0], held[1].target, held[2]).objects.values()) == {Outcome.RESTORED}
