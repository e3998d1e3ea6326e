"""What was put into a machine while it was off: wider scopes, or another disk under the same name."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.provider import Outcome
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo
from providers.gcp.tests.test_gcp_groups_attacks import laid, stopped

STOP, SUSPEND = "gcp.compute.stop_instance", "gcp.compute.suspend_instance"
ALL = "https://www.googleapis.com/auth/cloud-platform"


def disk(rig: Rig, name: str) -> str:
    """Make a disk; one of the same name is gone with that, as after a delete. Return its address."""
    asked: dict[str, Any] = {"project": rig.project, "zone": compute.ZONE, "disk_resource": {"name": name}}
    rig.admin.operate("disks", "insert", asked)
    return f"projects/{rig.project}/zones/{compute.ZONE}/disks/{name}"


def test_a_machine_whose_account_was_given_wider_scopes_is_not_started(rig: Rig) -> None:
    """Its address is the same."""
    compute.network(rig)
    bot = rig.account("bot")
    name = compute.machine(rig, "bot", bot, guest_accelerators=[{"accelerator_count": 1}])
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, STOP), provider.actions[STOP]
    prior, _ = close(action, step.target)
    account = {"email": bot, "scopes": [ALL]}
    compute.do(rig, "set_service_account", name, instances_set_service_account_request_resource=account)

    assert undo(action, step.target, prior).objects == {name: Outcome.DRIFTED}


def test_a_machine_whose_disk_was_replaced_under_its_name_is_not_started(rig: Rig) -> None:
    """It would run what somebody wrote on the other one."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    prior, _ = close(action, step.target)
    disk(rig, "bot")

    assert undo(action, step.target, prior).objects == {name: Outcome.DRIFTED}


@pytest.mark.parametrize("replaced", [True, False])
def test_a_member_is_started_only_with_the_disk_that_it_had(rig: Rig, replaced: bool) -> None:  # noqa: FBT001 - a case
    """All disks of a zone are read in one call."""
    group = laid(rig, size=1, properties={"disks": [{"source": disk(rig, "boot"), "boot": True}]})
    since = len(rig.control("calls"))
    (_, (action, step, prior)) = stopped(rig, group)
    if replaced:
        disk(rig, "boot")

    undone = undo(action, step.target, prior)

    assert set(undone.objects.values()) == {Outcome.DRIFTED if replaced else Outcome.RESTORED}
    assert "compute.disks.list" in [one["method"] for one in rig.control("calls")[since:]]


def test_a_journal_that_holds_no_ids_of_disks_brings_machines_back(rig: Rig) -> None:
    """It was written before they were kept."""
    compute.network(rig)
    name = compute.machine(rig, "bot", rig.account("bot"))
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    prior, _ = close(action, step.target)
    (seen,) = prior.values()
    assert isinstance(seen, dict)
    old: dict[str, Json] = {key: told for key, told in seen.items() if key not in ("scopes", "disk_ids")}

    assert undo(action, step.target, {name: old}).objects == {name: Outcome.RESTORED}
