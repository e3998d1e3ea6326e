"""Many agents in one cluster: 60 in 6 namespaces; with --full 1,000, in one and in 100, and 5,000 pods."""

from __future__ import annotations

import pytest

from breakglass.model.action import Capability, Grade, Verdict
from breakglass_kubernetes import kinds
from breakglass_kubernetes.pace import BURST, PER_S
from tests.hosts.fleet import Fleet
from tests.kubernetes.cluster_fleet import Cluster, cluster_fleet, said
from tests.kubernetes.herd_k8s import Herd, Stopped, busiest, by_verb, herd, stop

MANY, SAMPLE = 1000, 60
MOST_PLAN = 16 * 1024 * 1024
SETTLED_S = 400.0
UNBIND = "kubernetes.rbac.unbind_accounts"
LOGS = "kubernetes.logs.collect"
PODS = "kubernetes.pods.end_pods"
EGRESS = Capability.CUT_EGRESS


def _within_the_rate(done: Stopped) -> None:
    """Hold the audit log against burst and rate, in windows of several lengths."""
    calls = [*done.planning, *done.running]
    for seconds in (1, 5, 20, 60):
        assert busiest(calls, seconds) <= (BURST + PER_S * seconds) * 1.05, f"in {seconds} s"


def _is_contained(done: Stopped) -> None:
    """All is proven but egress, which is moot: nobody knows here whether anything enforces policies."""
    assert done.report.verdict is Verdict.CONTAINED, said(done.report)
    steps = [one for one in done.report.steps if one.capability is not EGRESS]
    assert {one.verdict for one in steps} == {Verdict.CONTAINED}, said(done.report)
    assert next(one for one in steps if one.action == UNBIND).grade is Grade.PLATFORM_EVALUATOR


def _comes_back(cluster: Cluster, ours: Fleet, before: dict[str, str]) -> None:
    _, restored = ours.restore()
    assert restored.verdict is Verdict.CONTAINED, said(restored)
    after = cluster.listing()
    assert {} == {name: one for name, one in before.items() if after.get(name) != one}


def _bounds(done: Stopped, flock: Herd) -> None:
    made = by_verb(done.running)
    count = flock.count
    assert made["patch rolebindings"] == count
    assert made["patch deployments"] == count
    assert made["delete serviceaccounts"] == count
    assert made["get serviceaccounts"] == 0
    # What lies between planning and the end is a fixed number of looks, however many agents there are.
    assert sum(made.values()) <= 8 * count + 40 * len(flock.spaces) + 700
    assert done.plan_bytes < MOST_PLAN
    assert done.ran_s < 2 * done.plan.reaches[0].takes_s + 20


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("spaces", [1, 6, 100])
def test_many_agents_are_stopped_in_one_plan_at_the_clients_rate(
    cluster: Cluster, spaces: int, *, full: bool
) -> None:
    """Accounts are found by what runs as them; rights go first; all of it comes back as it was."""
    if full is (spaces == 6):
        pytest.skip("6 namespaces are the sample of make test; 1 and 100 take --full")
    flock = herd(cluster, MANY if full else SAMPLE, spaces)
    flock.settle(within_s=SETTLED_S)
    before = cluster.listing()
    with cluster_fleet(cluster, step_s=60, **flock.settings) as ours:
        before_roles = cluster.listing().keys() - before.keys()
        done = stop(cluster, ours)

        _is_contained(done)
        _within_the_rate(done)
        _bounds(done, flock)
        assert done.planned_s < 30
        assert 0 < done.at_s(UNBIND, "read_back") < 5 + 2 * flock.count / PER_S
        assert flock.running() == 0
        _comes_back(cluster, ours, before)
        assert cluster.listing().keys() - before.keys() == before_roles


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_thousands_of_pods_of_one_agent_end_and_evidence_stays_inside_of_its_time(
    cluster: Cluster, *, full: bool
) -> None:
    """What the time did not suffice for is said; a Deployment is one change, whatever it runs."""
    if not full:
        pytest.skip("5,000 pods take --full")
    count = 5000
    cluster.account(role=[{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}])
    cluster.deployment(replicas=count, account="rogue")
    flock = Herd(cluster, count, (cluster.namespace,))
    flock.wait(within_s=SETTLED_S)
    before = cluster.listing()
    with cluster_fleet(cluster, step_s=240) as ours:
        done = stop(cluster, ours)

        _is_contained(done)
        _within_the_rate(done)
        logs = next(one for one in done.report.steps if one.action == LOGS)
        assert done.at_s(LOGS, "read_back") < 20
        assert "were not reached" in logs.reason
        assert cluster.plane.call("GET", kinds.PODS.path(cluster.namespace))["items"] == []
        assert done.plan_bytes < MOST_PLAN
        _comes_back(cluster, ours, before)
        flock.wait(within_s=SETTLED_S)
