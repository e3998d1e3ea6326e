"""The executor is killed in the middle of a stop in a cluster: another goes on, and knows what it may say."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from breakglass.journal.reader import read_sealed
from breakglass.journal.sealing import verify_folder
from breakglass.model.action import Verdict
from breakglass_kubernetes import kinds
from tests.hosts.executors import executors, make_plan
from tests.hosts.fleet import Fleet
from tests.kubernetes.cluster_fleet import Cluster, cluster_fleet, said
from tests.kubernetes.herd_k8s import side_by_side
from tests.kubernetes.troubled_cluster import UNCHANGED, differences, lay_out, running, wait_for

KILLED = -signal.SIGKILL


DEATHS: Mapping[str, list[list[object]]] = {
    "when its steps have begun": [["after", 16]],
    "in the middle, and its successor too": [["before", 30], ["after", 9]],
    "near its end": [["after", 52]],
}


def test_killed_stops_are_resumed_to_the_same_end_and_put_back_as_it_was(
    agents: Callable[[], Cluster],
) -> None:
    """Contained, one whole journal, and the restore knows what there was before the first change.

    Three agents at once, whose executors die at other points; none of them disturbs another's.
    """
    with ExitStack() as kits:
        fleets = {when: _laid_out(agents(), kits) for when in DEATHS}
        listing = next(iter(fleets.values()))[0].listing
        before = listing()
        side_by_side(DEATHS.items(), lambda item: _killed(*fleets[item[0]], *item))
        assert UNCHANGED == differences(before, listing())


def _laid_out(cluster: Cluster, kits: ExitStack) -> tuple[Cluster, Fleet]:
    lay_out(cluster)
    return cluster, kits.enter_context(cluster_fleet(cluster, step_s=40))


def _killed(cluster: Cluster, ours: Fleet, when: str, die: list[list[object]]) -> None:
    """Kill a stop's executor, and its successors, until one comes to the end; put it back."""
    with executors(ours) as one:
        make_plan(ours)
        killed = [one.stop(die=die[0]), *(one.resume(die=again) for again in die[1:])]
        assert [KILLED] * len(die) == [each.code for each in killed], f"{when}: {killed}"
        resumed = one.resume()
        report = _report(ours)
        said_of_it = f"{when}: {resumed.said} {report['open']}"
        assert (0, "contained") == (resumed.code, report["verdict"]), said_of_it
        assert 0 == running(cluster), when
        assert [] == _complaints(ours), when
        _, back = ours.restore()
    assert Verdict.CONTAINED is back.verdict, f"{when}: {said(back)}"


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
