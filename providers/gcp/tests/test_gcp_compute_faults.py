"""What Compute Engine does wrong in the middle: nothing of it is ever read as contained."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.errors import Denied, ProviderError, Throttled, Transient
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

SUSPEND, DENY = "gcp.compute.suspend_instance", "gcp.compute.deny_egress"
ADDRESS = "gcp.compute.remove_external_address"


def _orders(rig: Rig, **order: Any) -> None:  # noqa: ANN401 - fields of a fault
    rig.control("faults", {"faults": [order] if order else []})


def test_an_operation_that_never_ends_leaves_it_unknown(rig: Rig) -> None:
    """A guest that is being suspended may still work."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    _orders(rig, method="compute.instances.suspend", operation="never")

    action.apply(step.target, action.observe(step.target), "token")

    told = action.judge(step.target, action.observe(step.target))
    assert told.verdict is Verdict.UNKNOWN
    assert told.reason == f"{name} is SUSPENDING: its guest may still work"
    with pytest.raises(Transient):
        undo(action, step.target, {name: {"id": _id(rig, name), "status": "RUNNING"}})
    _orders(rig)


def _id(rig: Rig, name: str) -> str:
    zone, _, short = name.partition("/")
    return str(
        rig.admin.call("instances", "get", {"project": rig.project, "zone": zone, "instance": short}).id
    )


def test_a_zone_that_is_away_for_a_moment_does_not_cost_the_memory(rig: Rig) -> None:
    """A suspension that is refused with 503 is tried again; it is no reason to stop the instance."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    _orders(rig, method="compute.instances.suspend", code="UNAVAILABLE", times=1)

    with pytest.raises(Transient):
        action.apply(step.target, action.observe(step.target), "token")
    close(action, step.target)

    assert compute.status(rig, name) == "SUSPENDED"


def test_a_zone_that_stays_away_is_an_error_and_never_contained(rig: Rig) -> None:
    """What cannot be read has no verdict."""
    compute.network(rig)
    provider = rig.provider(instances=[compute.machine(rig, "bot")])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    _orders(rig, method="compute.instances.get", code="UNAVAILABLE")

    with pytest.raises(ProviderError):
        action.observe(step.target)
    _orders(rig)


def test_a_budget_that_ends_in_the_middle_keeps_what_was_done_and_goes_on_later(rig: Rig) -> None:
    """Two networks: the second rule meets a quota; the first stays and is not made again."""
    for one in ("default", "side"):
        compute.network(rig, one)
    bot = rig.account("bot")
    name = compute.machine(rig, "bot", bot, network_interfaces=[{"network": "default"}, {"network": "side"}])
    provider = rig.provider(instances=[name], service_accounts=[bot])
    step, action = proposal(provider, DENY), provider.actions[DENY]
    before = action.observe(step.target)
    first = next(key for key in before.objects if key.startswith("rule:"))
    one_only = {key: value for key, value in before.objects.items() if key == first}
    action.apply(step.target, type(before)(one_only), "token")
    _orders(rig, method="compute.firewalls.insert", code="RESOURCE_EXHAUSTED", times=1)

    with pytest.raises(Throttled):
        action.apply(step.target, action.observe(step.target), "token")
    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED
    close(action, step.target)

    assert set(undo(action, step.target, before.objects).objects.values()) == {
        Outcome.RESTORED,
        Outcome.ALREADY,
    }
    assert not rig.admin.every("firewalls", "list", {"project": rig.project}).items


def test_a_rule_whose_answer_was_lost_is_found_and_not_made_twice(rig: Rig) -> None:
    """What is read back decides."""
    compute.network(rig)
    bot = rig.account("bot")
    provider = rig.provider(instances=[compute.machine(rig, "bot", bot)], service_accounts=[bot])
    step, action = proposal(provider, DENY), provider.actions[DENY]
    _orders(rig, method="compute.firewalls.insert", code="UNAVAILABLE", after=True, times=1)

    with pytest.raises(ProviderError):
        action.apply(step.target, action.observe(step.target), "token")

    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.CONTAINED


def test_an_executor_without_the_right_is_told_so(rig: Rig) -> None:
    """A refusal is no verdict and is not worked round."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    _orders(rig, method="compute.instances.[!g]*", code="PERMISSION_DENIED")

    with pytest.raises(Denied):
        action.apply(step.target, action.observe(step.target), "token")
    assert compute.status(rig, name) == "RUNNING"
    _orders(rig)


def test_an_instance_that_goes_away_in_the_middle_is_contained_with_the_reason(rig: Rig) -> None:
    """Between the read and the change, and at the restore it is left alone."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    steps = {one.action: one for one in provider.discover().proposals}
    for verb in (SUSPEND, ADDRESS):
        action, target = provider.actions[verb], steps[verb].target
        before = action.observe(target)
        if verb == SUSPEND:
            compute.do(rig, "delete", name)
        action.apply(target, before, "token")
        assert action.judge(target, action.observe(target)).verdict is Verdict.CONTAINED
        compute.machine(rig, "bot") if verb == SUSPEND else None
        outcome = undo(action, target, before.objects).objects
        assert set(outcome.values()) <= {Outcome.DRIFTED, Outcome.CANNOT}


def test_rules_and_addresses_are_back_before_the_instances_are(rig: Rig) -> None:
    """A restore turns waits round: they wait for the instance's step, for no time in the stop."""
    compute.network(rig)
    group = compute.group(rig, "bots", rig.account("crowd"))
    name = compute.machine(rig, "bot", rig.account("bot"))

    found = {
        one.key: one for one in rig.provider(instances=[name], instance_groups=[group]).discover().proposals
    }

    off = {f"suspend_instance:{name}", f"suspend_group:{group}"}
    assert {wait.key for wait in found["deny_egress"].after} >= off
    assert {wait.at_most_s for wait in found["deny_egress"].after} == {0.0}
    address = found[f"remove_external_address:instance/{name}"]
    assert f"suspend_instance:{name}" in {wait.key for wait in address.after}
    assert f"hold_group:{group}" in {wait.key for wait in found[f"suspend_group:{group}"].after}
    assert f"suspend_group:{group}" not in {wait.key for wait in found[f"hold_group:{group}"].after}


def test_an_instance_that_does_not_answer_when_planning_has_its_steps_all_the_same(rig: Rig) -> None:
    """One zone that is away takes nothing from the others, and the plan says what was not read."""
    compute.network(rig)
    here, away = compute.machine(rig, "here"), compute.machine(rig, "away")
    provider = rig.provider(instances=[here, away])
    _orders(rig, method="compute.instances.get", code="INTERNAL", times=2)
    found = provider.discover()
    _orders(rig)

    steps = [one for one in found.proposals if one.action == SUSPEND]

    assert {one.key for one in steps} == {f"suspend_instance:{here}", f"suspend_instance:{away}"}
    assert any("instances.get" in one for one in found.incomplete)
    for step in steps:
        close(provider.actions[SUSPEND], step.target)
    assert compute.status(rig, away) == "SUSPENDED"
