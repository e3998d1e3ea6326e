"""Whole stops of all that can run at once: jobs, workers, functions, workflows, groups, machines."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from breakglass.drill.grounds import AGENT
from breakglass.execute.context import StepEvent
from breakglass.journal.history import first
from breakglass.journal.reader import read_journal
from breakglass.model.action import Verdict
from breakglass.model.plan import Detection, TimeSource
from breakglass.usecases.contain import finish, new_folder, open_stop
from breakglass.usecases.prepare import StopRequest
from breakglass.usecases.run import Finished
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import Rig
from providers.gcp.tests.rig_run import BOT, Run
from providers.gcp.tests.test_gcp_functions import deploy
from tests.gcp.project_fleet import LOCATION, Cloud, project_fleet, said
from tests.hosts.fleet import CLOCK, INCIDENT, Fleet

ADDRESS = "203.0.113.200"
INSIDE: dict[str, Any] = {"network_interfaces": [{"network": "default"}]}
"""Of the group: an ephemeral external address would be lost for good."""
CHANNELS = (
    "run-job:bot",
    "pool:bot",
    "instance:bot",
    "run:bot",
    "workflow:bot",
    "vm:solo",
    "flow:solo",
    "vm:crew",
)
"""What must work before, and not after; the machines of the group are told by how their names begin."""


def lay_out(cloud: Cloud, folder: Path) -> dict[str, object]:
    """Make all of it; return the reach."""
    rig = Rig(cloud.sandbox, folder, cloud.project, cloud.number, cloud.admin)
    run = Run(rig, cloud.account("bot", "roles/run.admin"))
    run.job()
    run.pool(scaling={"manual_instance_count": 2})
    run.instance()
    # One that was made since the harm began would not come back with the restore.
    cloud.control("run.instance_tells", instance=BOT, age_s=86_400)
    config = {"service_account_email": run.account, "min_instance_count": 1, "timeout_seconds": 2}
    event = {"event_type": "google.cloud.pubsub.topic.v1.messagePublished"}
    deploy(run, service_config=config, event_trigger=event)
    run.workflow()
    destination = {"cloud_run": {"service": "bot", "region": LOCATION}}
    trigger = {"destination": destination, "service_account": run.account}
    asked = {"parent": run.parent, "trigger_id": "bot-events", "trigger": trigger}
    cloud.admin.operate("eventarc", "create_trigger", asked)
    machines(rig, run.account)
    autoscaled(rig, compute.group(rig, "crew", run.account, properties=INSIDE))
    cloud.control("platform", on=False, ticks=3)
    cloud.control("run.execute_job", job=BOT)
    cloud.control("workflows.execute", workflow=BOT, argument="{}")
    for name in ["solo", *compute.members(rig, f"{compute.ZONE}/crew")]:
        cloud.control("compute.flow", zone=compute.ZONE, instance=name)
    return cloud.reach(
        service_accounts=[run.account],
        run_jobs=[BOT],
        worker_pools=[BOT],
        run_instances=[BOT],
        functions=[BOT],
        workflows=[BOT],
        eventarc_triggers=[f"{LOCATION}/bot-events"],
        instances=[f"{compute.ZONE}/solo"],
        instance_groups=[f"{compute.ZONE}/crew"],
        settle_factor="0.002",
    )


def machines(rig: Rig, account: str) -> None:
    """Make two networks, and a machine in both with a reserved address."""
    # The sandbox imports this client's messages with the first call, which takes seconds where cores are few.
    rig.admin.every("firewalls", "list", {"project": rig.project})
    for name in ("default", "second"):
        compute.network(rig, name)
    asked = {"project": rig.project, "region": LOCATION}
    rig.admin.operate(
        "addresses", "insert", {**asked, "address_resource": {"name": "fixed", "address": ADDRESS}}
    )
    outside = {"network": "default", "access_configs": [{"name": "External NAT", "nat_i_p": ADDRESS}]}
    compute.machine(rig, "solo", account, network_interfaces=[outside, {"network": "second"}])


def autoscaled(rig: Rig, group: str) -> None:
    """Let a group grow and repair itself."""
    place, _, name = group.partition("/")
    target = f"projects/{rig.project}/zones/{place}/instanceGroupManagers/{name}"
    policy = {"min_num_replicas": 2, "max_num_replicas": 9, "cool_down_period_sec": 60}
    body = {"name": name, "target": target, "autoscaling_policy": policy}
    asked = {"project": rig.project, "zone": place, "autoscaler_resource": body}
    rig.admin.operate("autoscalers", "insert", asked)


def channels(cloud: Cloud, since: int = 0) -> set[str]:
    """Return what had an effect since then, machines of a group by the group."""
    told = cloud.control("effects", since=since)
    return {"vm:crew" if one["channel"].startswith("vm:crew") else one["channel"] for one in told}


def awaited(cloud: Cloud) -> None:
    """Wait until all of it is at work."""
    until_s = time.monotonic() + 20
    while missing := {*CHANNELS} - channels(cloud):
        assert time.monotonic() < until_s, missing
        time.sleep(0.1)


def settled(cloud: Cloud) -> dict[str, Any]:
    """Return what stands once all that was begun has ended."""
    for _ in range(5):
        cloud.control("platform", on=False, ticks=3)
        time.sleep(0.3)
    return cloud.state()


def equal(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Hold each service's things against what they were."""
    for part in sorted({*before, *now}):
        assert before[part] == now[part], part


def late(cloud: Cloud, ours: Fleet, contained_s: float | None) -> set[str]:
    """Return the channels that had an effect after the instant that the report calls contained."""
    issued = first(read_journal(ours.incident.journal).records, "stop.issued")
    assert issued is not None
    assert contained_s is not None
    end_us = issued.monotonic_us + int(contained_s * 1e6)
    cloud.control("platform", on=False, ticks=10)
    return {one["channel"] for one in cloud.control("effects") if one["monotonic_us"] > end_us}


def test_all_of_it_is_stopped_and_put_back_byte_for_byte(cloud: Cloud, tmp_path: Path) -> None:
    """Nothing of it goes on after the report says contained; what had ended stays ended."""
    reach = lay_out(cloud, tmp_path)
    before = settled(cloud)
    with project_fleet(cloud, reach) as ours:
        cloud.control("platform", on=True)
        awaited(cloud)
        plan, done = ours.stop()
        assert Verdict.CONTAINED is done.report.verdict, said(done.report)
        assert set() == late(cloud, ours, done.report.timings.contained_s)
        _, back = ours.restore()

    assert () == plan.not_planned
    assert Verdict.CONTAINED is back.verdict, said(back)
    equal(before, settled(cloud))


def interrupted(ours: Fleet, when: Callable[[StepEvent], bool]) -> Finished:
    """Stop the agent, and press Ctrl-C at the first event that is meant."""
    pressed: list[StepEvent] = []

    def see(event: StepEvent) -> None:
        if when(event):
            pressed.append(event)

    found = Detection(CLOCK.now(), CLOCK.now(), TimeSource.STATED, "a test")
    request = StopRequest(AGENT, "", "it does what is forbidden", ours.operators[0].name, found, CLOCK.now())
    folder = new_folder(ours.site, None, INCIDENT)
    opened = open_stop(ours.site, request, folder, INCIDENT, secrets.token_bytes)
    try:
        ours.sign(folder, *ours.operators[:2])
        return finish(opened, {}, observer=see, cancelled=lambda: bool(pressed))
    finally:
        opened.close()


def test_a_stop_that_is_interrupted_goes_on_where_it_was_and_is_put_back_the_same(
    cloud: Cloud, tmp_path: Path
) -> None:
    """Ctrl-C when the first step is read back; what was recorded before stays what comes back."""
    reach = lay_out(cloud, tmp_path)
    before = settled(cloud)
    with project_fleet(cloud, reach) as ours:
        cloud.control("platform", on=True)
        awaited(cloud)
        cut = interrupted(ours, lambda event: event.stage == "read_back")
        assert not cut.sealed
        assert Verdict.CONTAINED is not cut.report.verdict
        done = ours.resume()
        assert done.sealed
        assert Verdict.CONTAINED is done.report.verdict, said(done.report)
        assert set() == late(cloud, ours, done.report.timings.contained_s)
        _, back = ours.restore()

    assert Verdict.CONTAINED is back.verdict, said(back)
    equal(before, settled(cloud))


def test_an_autoscaler_that_is_turned_off_late_leaves_no_more_machines_than_there_were(
    cloud: Cloud, tmp_path: Path
) -> None:
    """One that is still on makes a machine for each that is suspended, which would come back besides."""
    rig = Rig(cloud.sandbox, tmp_path, cloud.project, cloud.number, cloud.admin)
    compute.network(rig)
    crew = compute.group(rig, "crew", cloud.account("bot"), properties=INSIDE)
    autoscaled(rig, crew)
    before = settled(cloud)
    with project_fleet(cloud, cloud.reach(instance_groups=[crew])) as ours:
        cloud.control("platform", on=True)
        slow = {"method": "compute.autoscalers.patch", "delay_s": 1.5, "times": 1}
        cloud.control("faults", faults=[slow])
        _, done = ours.stop()
        _, back = ours.restore()

    assert Verdict.CONTAINED is done.report.verdict, said(done.report)
    assert Verdict.CONTAINED is back.verdict, said(back)
    assert before["compute_groups"] == settled(cloud)["compute_groups"]
