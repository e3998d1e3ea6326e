"""A whole agent in a cluster, resisting from outside, is stopped, stays stopped, and comes back equal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.drill.score import score
from breakglass.journal.history import replay
from breakglass.journal.reader import read_sealed
from breakglass.model.action import Capability, Phase, Verdict
from breakglass.model.plan import Plan
from breakglass.report.build import Report
from breakglass.usecases.drill_cloud import cloud_truths
from breakglass.usecases.judgement import judge
from breakglass_kubernetes.drill import KubernetesCloud
from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.rig_k8s import peace_ends
from tests.hosts.fleet import Fleet, quick_fleet
from tests.kubernetes.cluster_fleet import said

TICK_S = 5.0
"""How long after the turn of a minute a job of each minute has begun."""


@pytest.fixture
def agent(plane: Sandbox, tmp_path: Path) -> Iterator[KubernetesCloud]:
    """Return the drill's agent: every kind of workload, two tokens in use, and a deployer each second."""
    cloud = KubernetesCloud(plane, tmp_path)
    cloud.lay_out()
    cloud.settle()
    try:
        yield cloud
    finally:
        cloud.retire()


def late(agent: KubernetesCloud, ours: Fleet, plan: Plan) -> list[str]:
    """Return the channels on which something was allowed after what the report calls proven."""
    records = read_sealed(ours.incident.path).records
    phases = (Phase.ISOLATE, Phase.REVOKE)
    scored = score(plan, replay(records), judge(plan, records).moot, cloud_truths(agent), phases=phases)
    assert all(one.proven is not None for one in scored), [one.truth for one in scored]
    return [one.truth.channel for one in scored if not one.honest]


def test_an_agent_that_resists_is_stopped_stays_stopped_and_comes_back_equal(agent: KubernetesCloud) -> None:
    """The truth is the API server's audit log: the last request of the agent's that it allowed."""
    while not {one.channel for one in agent.effects()} >= set(agent.expected):
        time.sleep(0.2)
    before = agent.listing()
    with quick_fleet([agent.reach], agent.credentials, step_s=60) as ours:
        plan, done = ours.stop(began=peace_ends())
        assert done.report.verdict is Verdict.CONTAINED, said(done.report)
        assert _capabilities(done.report) >= {
            Capability.REVOKE_CREDENTIALS,
            Capability.STOP_WORKLOADS,
            Capability.BLOCK_RELAUNCH,
            Capability.DISABLE_EVENT_SOURCES,
            Capability.SNAPSHOT_LOGS,
        }, said(done.report)
        # Nobody knows whether anything enforces a policy here: egress is open until the pods are gone.
        egress = [one for one in done.report.steps if one.capability is Capability.CUT_EGRESS]
        assert {(Verdict.UNKNOWN, True)} == {
            (one.verdict, "enforced is unknown" in one.reason) for one in egress
        }

        time.sleep(60 - time.time() % 60 + TICK_S)
        assert [] == list(agent.alive())
        assert [] == late(agent, ours, plan), said(done.report)

        agent.retire()
        _, restored = ours.restore()
        assert restored.verdict is Verdict.CONTAINED, said(restored)
    after = agent.listing()
    assert {} == {name: one for name, one in before.items() if after.get(name) != one}
    assert [] == sorted(after.keys() - before.keys())


def _capabilities(report: Report) -> set[Capability]:
    return {one.capability for one in report.steps if one.verdict is Verdict.CONTAINED}
