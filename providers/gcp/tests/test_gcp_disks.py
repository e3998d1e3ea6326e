"""Snapshots of the agent's disks are begun before anything else, once, and stay."""

from __future__ import annotations

from breakglass.model.action import Capability, Verdict
from breakglass.provider import Outcome
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

SNAPSHOT = "gcp.compute.snapshot_disks"


def test_every_persistent_disk_gets_one_snapshot_with_the_mark_of_the_incident(rig: Rig) -> None:
    """A second look takes none again; a restore leaves it."""
    compute.network(rig)
    provider = rig.provider(instances=[compute.machine(rig, "bot")])
    step, action = proposal(provider, SNAPSHOT), provider.actions[SNAPSHOT]

    prior, state = close(action, step.target)

    (seen,) = state.objects.values()
    assert isinstance(seen, dict)
    asked = {"project": rig.project, "snapshot": seen["snapshot"]}
    taken = rig.admin.call("snapshots", "get", asked)
    assert taken.labels["breakglass"] == step.target.params["mark"]
    assert taken.source_disk.endswith("/disks/bot")
    assert action.spec.capability is Capability.SNAPSHOT_LOGS
    assert set(undo(action, step.target, prior).objects.values()) == {Outcome.ALREADY}
    before = len(rig.control("calls"))
    close(action, step.target)
    assert "compute.disks.createSnapshot" not in [one["method"] for one in rig.control("calls")[before:]]


def test_a_snapshot_that_takes_minutes_holds_nothing_up(rig: Rig) -> None:
    """Begun is enough: it holds what the disk held then, and the reason says what is stored already."""
    compute.network(rig)
    provider = rig.provider(instances=[compute.machine(rig, "bot")])
    step, action = proposal(provider, SNAPSHOT), provider.actions[SNAPSHOT]
    rig.control("faults", {"faults": [{"method": "compute.disks.createSnapshot", "operation": "never"}]})

    _, state = close(action, step.target)

    told = action.judge(step.target, state)
    assert told.verdict is Verdict.CONTAINED
    assert told.reason == "1 disks have a snapshot, 0 of them stored already"
    rig.control("faults", {"faults": []})


def test_a_snapshot_that_somebody_deleted_is_taken_again(rig: Rig) -> None:
    """What is read back decides."""
    compute.network(rig)
    provider = rig.provider(instances=[compute.machine(rig, "bot")])
    step, action = proposal(provider, SNAPSHOT), provider.actions[SNAPSHOT]
    _, state = close(action, step.target)
    (seen,) = state.objects.values()
    assert isinstance(seen, dict)
    rig.admin.operate("snapshots", "delete", {"project": rig.project, "snapshot": seen["snapshot"]})

    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED
    close(action, step.target)

    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.CONTAINED
