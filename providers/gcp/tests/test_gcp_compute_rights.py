"""Each action on Compute Engine does its stop and its restore with exactly the rights that it declares."""

from __future__ import annotations

import pytest

from breakglass.canon import Json
from breakglass.model.action import ActionSpec
from breakglass.provider import Outcome
from breakglass_gcp import permissions
from breakglass_gcp.actions import compute as parts
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import EXECUTOR, LOCATION, Rig, close, undo


def _narrow(rig: Rig, name: str, spec: ActionSpec, purpose: str) -> None:
    """Let the executor be an account with the rights of one action, for one purpose."""
    held = {*permissions.CONNECTING, *permissions.of(spec, purpose)}
    email = rig.account(name, roles=[rig.role(name, sorted(held))])
    rig.secrets.keep_token(EXECUTOR, rig.token(email))


def _laid(rig: Rig) -> dict[str, Json]:
    """Make a group, and instances with a reserved address and a schedule; one has a GPU."""
    compute.network(rig)
    shared = rig.account("shared")
    compute.machine(rig, "stranger", shared)
    reserved = {"name": "fixed", "address": "203.0.113.201"}
    asked = {"project": rig.project, "region": LOCATION, "address_resource": reserved}
    rig.admin.operate("addresses", "insert", asked)
    face = {"network": "default", "access_configs": [{"name": "External NAT", "nat_i_p": "203.0.113.201"}]}
    bot = compute.machine(rig, "bot", shared, network_interfaces=[face])
    gpu = compute.machine(rig, "gpu", guest_accelerators=[{"accelerator_count": 1}])
    daily = {"name": "daily", "instance_schedule_policy": {"vm_start_schedule": {"schedule": "0 9 * * *"}}}
    placed = {"project": rig.project, "region": LOCATION, "resource_policy_resource": daily}
    rig.admin.operate("resource_policies", "insert", placed)
    policy = f"projects/{rig.project}/regions/{LOCATION}/resourcePolicies/daily"
    body = {"instances_add_resource_policies_request_resource": {"resource_policies": [policy]}}
    compute.do(rig, "add_resource_policies", bot, **body)
    group = compute.group(rig, "crowd", rig.account("crowd"), place=LOCATION)
    return {"instances": [bot, gpu], "instance_groups": [group]}


@pytest.mark.parametrize("spec", parts.SPECS, ids=lambda spec: spec.name)
def test_what_an_action_declares_is_enough(rig: Rig, spec: ActionSpec) -> None:
    """Targets are found with all rights; each is then closed and opened with the action's own."""
    keys = _laid(rig)
    steps = [one for one in rig.provider(**keys).discover().proposals if one.action == spec.name]
    assert steps
    for step in steps:
        rig.control("platform", {"on": True})
        _narrow(rig, f"stopper{len(rig.opened)}", spec, permissions.STOP)
        prior, _ = close(rig.provider(**keys).actions[spec.name], step.target, rounds=20)
        rig.control("platform", {"on": False})
        _narrow(rig, f"restorer{len(rig.opened)}", spec, permissions.RESTORE)
        outcomes = undo(rig.provider(**keys).actions[spec.name], step.target, prior).objects
        assert Outcome.DRIFTED not in outcomes.values()
