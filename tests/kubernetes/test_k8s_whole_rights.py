"""The executor lacks one of its printed rights: said before anybody signs, and counted in the verdict."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from breakglass.model.action import Verdict
from breakglass.model.plan import Plan
from breakglass_kubernetes import kinds
from tests.kubernetes.cluster_fleet import USER, Cluster, cluster_fleet, said
from tests.kubernetes.troubled_cluster import forget_executor, forget_guards, lay_out, running, step_of


@pytest.fixture(autouse=True)
def _alone(cluster: Cluster) -> Iterator[None]:
    """Leave neither rights nor guards to the next test: all executors here have one name."""
    yield
    forget_executor(cluster)
    forget_guards(cluster)


def test_a_step_for_which_a_right_is_missing_is_left_out_named_and_counted(cluster: Cluster) -> None:
    """Workloads cannot be scaled: the plan says so, all other steps run, and it is not contained."""
    lay_out(cluster)
    plans: list[Plan] = []
    with cluster_fleet(cluster, step_s=15) as ours:
        _take(cluster, "patch", "deployments")
        plan, done = ours.stop(planned=plans.append)
    assert not any(step.action.endswith("scale_to_zero") for step in plan.steps)
    said_before = [one.reason for one in plans[0].not_planned]
    assert any("may not: patch deployments.apps" in one for one in said_before), said_before
    assert (Verdict.UNKNOWN, 4) == (done.report.verdict, done.report.verdict.exit_code), said(done.report)
    assert ["not_planned"] == [one.kind for one in done.report.open], said(done.report)
    assert Verdict.CONTAINED is step_of(done.report, "unbind_accounts").verdict, said(done.report)
    assert Verdict.CONTAINED is step_of(done.report, "refuse_relaunch").verdict, said(done.report)


def test_bindings_that_cannot_be_listed_make_the_plan_incomplete(cluster: Cluster) -> None:
    """What nobody could read may hold what the agent lives on: never contained, and named before."""
    lay_out(cluster)
    with cluster_fleet(cluster, step_s=15) as ours:
        _take(cluster, "list", "rolebindings")
        plan, done = ours.stop()
    named = [one.reason for one in plan.not_planned] + [f"{one.name} {one.reason}" for one in plan.doors]
    assert any("rolebindings" in one for one in named), named
    assert Verdict.CONTAINED is not done.report.verdict, said(done.report)
    assert done.report.verdict.exit_code in {3, 4}
    assert 0 == running(cluster)


def _take(cluster: Cluster, verb: str, plural: str) -> None:
    """Take one right away from the executor, in all its roles."""
    for role in cluster.plane.call("GET", kinds.CLUSTER_ROLES.path())["items"]:
        if not role["metadata"]["name"].startswith(USER):
            continue
        for rule in role["rules"]:
            if plural in rule.get("resources", ()) and verb in rule["verbs"]:
                others = [one for one in rule["resources"] if one != plural]
                kept = [one for one in rule["verbs"] if one != verb]
                role["rules"] = [one for one in role["rules"] if one is not rule]
                role["rules"] += [{**rule, "resources": others}] if others else []
                role["rules"] += [{**rule, "resources": [plural], "verbs": kept}] if kept else []
        path = kinds.CLUSTER_ROLES.path("", role["metadata"]["name"])
        cluster.plane.call("PUT", path, role)
