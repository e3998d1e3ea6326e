"""The executor is killed in the middle of a stop in a cluster: another goes on, and knows what it may say."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest

from breakglass.journal.reader import read_sealed
from breakglass.journal.sealing import verify_folder
from breakglass.model.action import Verdict
from breakglass_kubernetes import kinds
from tests.hosts.executors import executors, make_plan
from tests.hosts.fleet import Fleet
from tests.kubernetes.cluster_fleet import Cluster, cluster_fleet, said
from tests.kubernetes.troubled_cluster import UNCHANGED, differences, lay_out, running, wait_for

pytestmark = pytest.mark.timeout(150)
KILLED = -signal.SIGKILL


@pytest.mark.parametrize(
    "die",
    [[["after", 16]], [["before", 30], ["after", 9]], [["after", 52]]],
    ids=["when its steps have begun", "in the middle, and its successor too", "near its end"],
)
def test_a_killed_stop_is_resumed_to_the_same_end_and_put_back_as_it_was(
    cluster: Cluster, die: list[list[object]]
) -> None:
    """Contained, one whole journal, and the restore knows what there was before the first change."""
    lay_out(cluster)
    with cluster_fleet(cluster, step_s=40) as ours, executors(ours) as one:
        before = cluster.listing()
        make_plan(ours)
        killed = [one.stop(die=die[0]), *(one.resume(die=again) for again in die[1:])]
        assert [KILLED] * len(die) == [each.code for each in killed], killed
        resumed = one.resume()
        report = _report(ours)
        assert (0, "contained") == (resumed.code, report["verdict"]), f"{resumed.said} {report['open']}"
        assert 0 == running(cluster)
        assert [] == _complaints(ours)
        _, back = ours.restore()
    assert Verdict.CONTAINED is back.verdict, said(back)
    assert UNCHANGED == differences(before, cluster.listing())


def test_pods_that_were_removed_by_force_while_nobody_looked_are_never_proven(cluster: Cluster) -> None:
    """A new process has seen nothing: what the server's own history says of their end decides."""
    lay_out(cluster)
    names = [one["metadata"]["name"] for one in cluster.pods()]
    for name in names:
        cluster.plane.control("hold", {"namespace": cluster.namespace, "pod": name})
    with cluster_fleet(cluster, step_s=20) as ours, executors(ours) as one:
        make_plan(ours)
        assert KILLED == one.stop(die=["after", 30]).code
        for name in names:
            path = kinds.PODS.path(cluster.namespace, name)
            cluster.plane.call("DELETE", path, {"gracePeriodSeconds": 0})
        wait_for(lambda: {one["metadata"]["name"] for one in cluster.pods()}.isdisjoint(names), "gone")
        time.sleep(1)
        resumed = one.resume()
        report = _report(ours)
    ends = next(step for step in report["steps"] if step["action"].endswith("end_pods"))
    assert "unknown" == ends["verdict"], ends
    assert (4, "unknown") == (resumed.code, report["verdict"]), report["open"]


def _report(ours: Fleet) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ours.incident.path / "report.json").read_bytes())
    return found


def _complaints(ours: Fleet) -> list[str]:
    """Say what is wrong with the record itself."""
    key = ours.site.kit.roster.executors[0].log_key
    found = list(verify_folder(ours.incident.path, key).problems)
    records = [record.type for record in read_sealed(ours.incident.path).records]
    once = ("stop.issued", "run.opened", "plan.claimed", "run.sealed")
    found += [f"not exactly one {kind}" for kind in once if records.count(kind) != 1]
    return found + ([] if "run.resumed" in records else ["nobody resumed it"])
