"""Things go wrong in the cluster during a stop: it is silent, somebody writes, refuses, deletes, restores."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from breakglass.execute.context import StepEvent
from breakglass.model.action import Verdict
from breakglass_kubernetes import kinds
from breakglass_kubernetes.sandbox.api import ApiError
from providers.kubernetes.tests.rig_k8s import peace_ends
from providers.kubernetes.tests.webhook_server import webhook
from tests.kubernetes.cluster_fleet import Cluster, cluster_fleet, said
from tests.kubernetes.troubled_cluster import (
    UNCHANGED,
    Once,
    again_and_again,
    differences,
    lay_out,
    merge,
    running,
    step_of,
    wait_for,
)


@pytest.mark.parametrize("how", ["it is silent", "it is restarted", "it is slow"])
def test_an_api_server_that_comes_back_costs_time_and_nothing_else(cluster: Cluster, how: str) -> None:
    """The steps wait and go on: contained, and put back as it was."""
    lay_out(cluster)
    plane = cluster.plane

    def trouble() -> None:
        if how == "it is restarted":
            plane.restart_api()
            return
        for silent_s, awake_s in [(8.0, 0.0)] if how == "it is silent" else [(0.7, 0.4)] * 10:
            plane.pause()
            time.sleep(silent_s)
            plane.resume()
            time.sleep(awake_s)

    with cluster_fleet(cluster, step_s=45) as ours:
        before = cluster.listing()
        fault = Once(trouble)
        _, done = ours.stop(began=peace_ends(), observer=fault.saw, planned=fault.planned)
        fault.end()
        assert Verdict.CONTAINED is done.report.verdict, said(done.report)
        assert 0 == running(cluster)
        _, back = ours.restore()
    assert Verdict.CONTAINED is back.verdict, said(back)
    assert UNCHANGED == differences(before, cluster.listing())


def test_an_api_server_that_stays_silent_leaves_the_stop_unknown(cluster: Cluster) -> None:
    """Nothing can be read, so nothing more is claimed, and the stop comes to an end all the same."""
    lay_out(cluster)
    events: list[StepEvent] = []
    with cluster_fleet(cluster, step_s=8) as ours:
        fault = Once(cluster.plane.pause, action="refuse_relaunch", stage="calling")

        def saw(event: StepEvent) -> None:
            events.append(event)
            fault.saw(event)

        began_s = time.monotonic()
        try:
            _, done = ours.stop(observer=saw, planned=fault.planned)
            fault.end()
        finally:
            cluster.plane.resume()
        passed_s = time.monotonic() - began_s
    assert Verdict.CONTAINED is not done.report.verdict, said(done.report)
    assert Verdict.CONTAINED is not step_of(done.report, "end_pods").verdict, said(done.report)
    again = [one.reason for one in done.report.open if one.kind == "not_looked_again"]
    assert 2 >= len(again) >= 1, again
    assert 100 > passed_s


def test_objects_that_change_all_the_time_do_not_keep_the_stop_from_its_end(cluster: Cluster) -> None:
    """Every write may meet a 409; what decides is what is read back."""
    lay_out(cluster, "rogue", "rogue-two")
    count = [0]

    def rewrite() -> None:
        count[0] += 1
        note = {"metadata": {"annotations": {"beat": str(count[0])}}}
        for kind, name in (
            (kinds.ROLE_BINDINGS, "rogue"),
            (kinds.DEPLOYMENTS, "rogue"),
            (kinds.DEPLOYMENTS, "rogue-two"),
            (kinds.SERVICE_ACCOUNTS, "rogue"),
        ):
            merge(cluster, kind, name, note)

    with cluster_fleet(cluster, step_s=40) as ours:
        before = cluster.listing()
        bound = cluster.plane.call("GET", kinds.ROLE_BINDINGS.path(cluster.namespace, "rogue"))["subjects"]
        began = peace_ends()
        with again_and_again(rewrite, every_s=0.003) as done_so_often:
            _, done = ours.stop(began=began)
        assert done_so_often[0] >= 0
        assert count[0] > 30
        assert Verdict.CONTAINED is done.report.verdict, said(done.report)
        assert 0 == running(cluster)
        _, back = ours.restore()
    assert Verdict.CONTAINED is back.verdict, said(back)
    assert (
        bound == cluster.plane.call("GET", kinds.ROLE_BINDINGS.path(cluster.namespace, "rogue"))["subjects"]
    )
    off = differences(before, cluster.listing())
    assert {"missing": [], "left": []} == {one: off[one] for one in ("missing", "left")}


def test_a_strangers_webhook_keeps_one_object_open_and_no_other(cluster: Cluster, tmp_path: Path) -> None:
    """The report names the object and says in the webhook's own words why, made safe to show."""
    lay_out(cluster, "guarded", "other")
    with webhook(cluster.plane, tmp_path) as hook, cluster_fleet(cluster, step_s=15) as ours:
        entry = hook.entry("no.stranger.example", "/rude", cluster.namespace)
        entry["rules"] = [{**entry["rules"][0], "resources": ["deployments"], "operations": ["UPDATE"]}]
        entry["objectSelector"] = {"matchLabels": {"guarded": "yes"}}
        merge(cluster, kinds.DEPLOYMENTS, "guarded", {"metadata": {"labels": {"guarded": "yes"}}})
        name = f"stranger-{cluster.namespace}"
        cluster.make(kinds.VALIDATING_WEBHOOKS, name, {"webhooks": [entry]})
        wait_for(lambda: _refuses(cluster), "the webhook bites")
        try:
            _, done = ours.stop()
        finally:
            cluster.plane.call("DELETE", kinds.VALIDATING_WEBHOOKS.path("", name))
    scale = step_of(done.report, "scale_to_zero")
    assert (Verdict.NOT_CONTAINED, 3) == (done.report.verdict, done.report.verdict.exit_code), said(
        done.report
    )
    assert Verdict.NOT_CONTAINED is scale.verdict
    assert "no ?[2K?[32m[bold green]contained[/] ?" in scale.reason, scale.reason
    assert b"\x1b" not in done.report.to_json()
    assert f"deployments.apps/{cluster.namespace}/guarded" in scale.reason, scale.reason
    spec = cluster.plane.call("GET", kinds.DEPLOYMENTS.path(cluster.namespace, "other"))["spec"]
    assert 0 == spec["replicas"]
    for action in ("unbind_accounts", "refuse_relaunch"):
        assert Verdict.CONTAINED is step_of(done.report, action).verdict, said(done.report)


def _refuses(cluster: Cluster) -> bool:
    try:
        merge(cluster, kinds.DEPLOYMENTS, "guarded", {"metadata": {"annotations": {"try": "1"}}})
    except ApiError as error:
        return "denied the request" in str(error)
    return False
