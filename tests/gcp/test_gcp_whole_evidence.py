"""Whole stops that keep evidence in a locked bucket, while deployers deploy and an engine is asked."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from breakglass.errors import Denied, ProviderError
from breakglass.journal.reader import read_journal
from breakglass.model.action import Verdict
from breakglass.model.plan import Plan, Step
from breakglass.plan.order import EVIDENCE_WAIT_S
from breakglass.report.build import Report
from breakglass_gcp.actions.evidence_bucket import BUCKET_PERMISSIONS
from providers.gcp.tests.rig_gcp import Rig
from providers.gcp.tests.rig_run import Run
from providers.gcp.tests.test_gcp_agent_engine import ask, engine
from providers.gcp.tests.test_gcp_agent_engine_boxes import box
from providers.gcp.tests.test_gcp_cloud_build import trigger
from providers.gcp.tests.test_gcp_cloud_deploy import pipeline
from providers.gcp.tests.test_gcp_logs import DAYS, SERVICE, bucket
from tests.gcp.project_fleet import LOCATION, Cloud, arm, project_fleet, said
from tests.hosts.fleet import INCIDENT, Fleet

COPY = "gcp.logging.copy_to_bucket"
COLLECT = "gcp.logging.collect_entries"
LONGEST_COPY_S = 60.0
SLOW_S = 6.0
QUICK = "0.002"
"""A query of an engine that may live an hour takes 7 s."""


@dataclass(frozen=True, slots=True)
class Laid:
    """The agent of one test."""

    rig: Rig
    account: str
    engine: str
    box: str
    pipeline: str


@pytest.fixture
def laid(cloud: Cloud, tmp_path: Path) -> Laid:
    """Make a service that two deployers deploy, and an engine that is asked and has a box."""
    rig = Rig(cloud.sandbox, tmp_path, cloud.project, cloud.number, cloud.admin)
    account = cloud.account("bot", "roles/run.admin")
    Run(rig, account).service()
    trigger(rig)
    asked = {"parent": f"projects/{cloud.project}/locations/{LOCATION}", "target_id": "prod", "target": {}}
    cloud.admin.call("deploy", "create_target", asked)
    entry = engine(rig, name="busy bot", identityType="AGENT_IDENTITY")
    ask(rig, entry, "asyncQuery")
    rig.control("logging.log", {**SERVICE, "text": "line {n}", "times": 20})
    rig.control("logging.log", {"entry_labels": {"team": "bots"}, "text": "by its label"})
    return Laid(rig, account, entry, box(rig, entry), pipeline(rig, "main", "prod"))


@contextmanager
def deploying(laid: Laid) -> Iterator[None]:
    """Roll the service out again and again, as a pipeline would that knows of no incident."""
    over, parent = threading.Event(), f"{laid.pipeline}/releases/r1"

    def deploy() -> None:
        n = 0
        while not over.wait(0.2):
            n += 1
            rollout = {"target_id": "prod", "annotations": {"service": f"{LOCATION}/bot"}}
            asked = {"parent": parent, "rollout_id": f"auto-{n}", "rollout": rollout}
            try:
                laid.rig.admin.call("deploy", "create_rollout", asked)
            except ProviderError:
                continue

    thread = threading.Thread(target=deploy, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def reach(cloud: Cloud, laid: Laid, bucket_: str, **more: Any) -> dict[str, object]:  # noqa: ANN401 - keys of a reach
    """Return all of the agent."""
    return cloud.reach(
        service_accounts=[laid.account],
        run_services=[f"{LOCATION}/bot"],
        agent_engines=[laid.engine],
        deployers=[f"cloudbuild:{LOCATION}/deploy-bot", f"clouddeploy:{LOCATION}/prod"],
        log_filter='labels.team="bots"',
        evidence_bucket=bucket_,
        **{"settle_factor": QUICK, **more},
    )


def awaited(cloud: Cloud, laid: Laid) -> None:
    """Wait until all of it is at work."""
    wanted = {f"redeployed:{LOCATION}/bot", "deployer:deploy-bot", "deployer:main", "run:bot"}
    wanted |= {f"engine:{laid.engine.partition('/')[2]}", f"box:{laid.box.rpartition('/')[2]}"}
    until_s = time.monotonic() + 20
    while missing := wanted - {one["channel"] for one in cloud.control("effects")}:
        assert time.monotonic() < until_s, missing
        time.sleep(0.1)


def after(cloud: Cloud) -> set[str]:
    """Return the channels that have an effect from now on."""
    ended = max(one["n"] for one in cloud.control("effects"))
    cloud.control("platform", ticks=12)
    return {one["channel"] for one in cloud.control("effects", since=ended)}


def locked(cloud: Cloud, bucket_: str) -> list[str]:
    """Return what lies in the bucket, each for as long as is asked at least."""
    told = cloud.admin.rest("storage", "GET", f"storage/v1/b/{bucket_}/o")["items"]
    for one in told:
        until, made = (datetime.fromisoformat(one[key]) for key in ("retentionExpirationTime", "timeCreated"))
        assert (until - made).total_seconds() >= 30 * DAYS
    return [one["name"] for one in told]


def held(cloud: Cloud, bucket_: str, folder: Path) -> dict[str, str]:
    """Return the digests of what the bucket holds of the incident, each as the incident's folder has it."""
    found = {}
    for name, text in cloud.control("storage.read", bucket=bucket_).items():
        incident, _, path = name.partition("/")
        if incident == INCIDENT:
            here = folder / path
            assert here.read_bytes() == text.encode(), name
            found[path] = hashlib.sha256(text.encode()).hexdigest()
    return found


def steps(report: Report, *actions: str) -> dict[str, Verdict]:
    """Return the verdicts of some actions' steps."""
    return {f"{one.action} {one.target.id}": one.verdict for one in report.steps if one.action in actions}


def numbers(some: Sequence[Step]) -> set[int]:
    """Return the numbers of steps."""
    return {one.n for one in some}


def needs(plan: Plan, step: Step, waited: Sequence[Step]) -> bool:
    """Return whether a step waits for one of these, or for one that does."""
    before = [plan.steps[wait.n] for wait in step.after]
    return any(one in waited or needs(plan, one, waited) for one in before)


def listed(ours: Fleet) -> dict[str, str]:
    """Return the digests of the evidence that the journal names."""
    records = read_journal(ours.incident.journal).records
    return {str(one.body["path"]): str(one.body["sha256"]) for one in records if one.type == "evidence.item"}


def moments(ours: Fleet, number: int) -> dict[str, int]:
    """Return when a step reached each kind of record last, in microseconds of the monotonic clock."""
    records = read_journal(ours.incident.journal).records
    return {one.type: one.monotonic_us for one in records if one.body.get("step") == number}


def test_evidence_is_locked_deployers_are_frozen_an_engine_is_stopped_and_all_of_it_comes_back(
    cloud: Cloud, laid: Laid
) -> None:
    """Both deployers deploy all the while, a query and a box run; what is kept is what was collected."""
    name, armed = bucket(laid.rig, "worm"), arm(cloud)
    before = cloud.state()
    with project_fleet(cloud, reach(cloud, laid, name, class_deny_policy=armed)) as ours:
        cloud.control("platform", on=True)
        with deploying(laid):
            awaited(cloud, laid)
            _, done = ours.stop()
            assert done.report.verdict is Verdict.CONTAINED, said(done.report)
            late = after(cloud)
        cloud.control("platform", on=False)
        kept, known = held(cloud, name, ours.incident.path), listed(ours)
        _, back = ours.restore()

    assert set() == late
    assert known
    assert known == kept
    assert Verdict.CONTAINED is back.verdict, said(back)
    now = cloud.state()
    for part in sorted({*before, *now}):
        assert before[part] == now[part], part
    objects = locked(cloud, name)
    assert {INCIDENT, "_Default", "_Required"} == {one.partition("/")[0] for one in objects}
    for one in objects:
        with pytest.raises(Denied, match="retention policy"):
            cloud.admin.rest("storage", "DELETE", f"storage/v1/b/{name}/o/{quote(one, safe='')}")


def test_a_slow_copy_holds_no_step_but_its_own(cloud: Cloud, laid: Laid) -> None:
    """What destroys evidence waits for it, and never longer than is signed; nothing else waits at all."""
    name = bucket(laid.rig, "worm")
    cloud.faults({"method": "*CopyLogEntries", "operation": str(SLOW_S)})
    with project_fleet(cloud, reach(cloud, laid, name)) as ours:
        plan, done = ours.stop()
        times = {one.number: moments(ours, one.number) for one in done.report.steps}

    copies = [one for one in plan.steps if one.action == COPY]
    waiting = [one for one in plan.steps if one.destroys_evidence]
    assert {Verdict.CONTAINED} == {*steps(done.report, COPY, COLLECT).values()}, said(done.report)
    assert [LONGEST_COPY_S] * 2 == [one.deadline_ms / 1000 for one in copies]
    assert all(any("waits 60 s at most" in said_ for said_ in one.affects) for one in copies)
    assert waiting
    for one in waiting:
        waits = [wait.at_most_ms / 1000 for wait in one.after if wait.n in numbers(copies)]
        assert [EVIDENCE_WAIT_S] * 2 == waits
    began = min(times[one.n]["step.started"] for one in copies)
    others = [one for one in plan.steps if one not in (*copies, *waiting) and not needs(plan, one, waiting)]
    assert len(others) > len(copies)
    for one in others:
        assert times[one.n]["step.read_back"] - began < SLOW_S * 1e6, one.action


def test_a_bucket_that_can_be_emptied_is_refused_and_said_and_the_agent_is_stopped_all_the_same(
    cloud: Cloud, laid: Laid
) -> None:
    """Entries are kept here; nothing is written there, and nobody says contained."""
    name = bucket(laid.rig, "open", locked=False)
    with project_fleet(cloud, reach(cloud, laid, name)) as ours:
        plan, done = ours.stop()
        known = listed(ours)

    assert any("no locked retention policy" in one.reason for one in plan.not_planned)
    assert done.report.verdict is not Verdict.CONTAINED
    assert {Verdict.UNKNOWN} == {*steps(done.report, COPY, COLLECT).values()}
    assert any("no locked retention policy" in one.reason for one in done.report.steps), said(done.report)
    assert {Verdict.CONTAINED} == {one.verdict for one in done.report.steps if one.action != COLLECT}
    assert known
    assert {} == cloud.control("storage.read", bucket=name)


def vault_of(cloud: Cloud, *rights: str) -> Cloud:
    """Make a project for evidence, where the executor has these rights."""
    told = cloud.sandbox.control("project", {})
    vault = Cloud(cloud.sandbox, told["project"], told["number"], cloud.admin)
    executor = f"serviceAccount:breakglass-executor@{cloud.project}.iam.gserviceaccount.com"
    vault.grant(executor, vault.role("evidence", rights))
    return vault


def test_a_bucket_of_another_project_takes_it_where_executor_and_service_may_write(
    cloud: Cloud, laid: Laid
) -> None:
    """The same bytes lie there as here."""
    vault = vault_of(cloud, *BUCKET_PERMISSIONS)
    writer = f"serviceAccount:cloud-logs@{cloud.project}.gserviceaccount.com"
    vault.grant(writer, "roles/storage.objectCreator")
    name = bucket(laid.rig, "worm", project=vault.project)
    with project_fleet(cloud, reach(cloud, laid, name)) as ours:
        _, done = ours.stop()
        known, kept = listed(ours), held(cloud, name, ours.incident.path)

    assert known
    assert known == kept
    assert {Verdict.CONTAINED} == {*steps(done.report, COPY, COLLECT).values()}, said(done.report)


def test_where_nobody_may_write_there_it_is_said_before_anyone_signs_and_the_verdict_waits_a_minute(
    cloud: Cloud, laid: Laid
) -> None:
    """Rights in the agent's project are none there; the agent is stopped, and entries are kept here."""
    name = bucket(laid.rig, "worm", project=vault_of(cloud, *BUCKET_PERMISSIONS[:1]).project)
    marks: list[float] = []
    with project_fleet(cloud, reach(cloud, laid, name)) as ours:
        plan, done = ours.stop(planned=lambda _: marks.append(time.monotonic()))
        marks.append(time.monotonic())
        known, kept = listed(ours), held(cloud, name, ours.incident.path)

    assert any("may not write there" in one.reason for one in plan.not_planned)
    assert known
    assert {} == kept
    assert {Verdict.UNKNOWN} == {*steps(done.report, COPY, COLLECT).values()}, said(done.report)
    assert any("roles/storage.objectCreator" in one.reason for one in done.report.steps)
    assert {Verdict.CONTAINED} == {
        one.verdict for one in done.report.steps if one.action not in (COPY, COLLECT)
    }
    assert marks[1] - marks[0] < LONGEST_COPY_S + 30
