"""The world moves during a stop and after it: things come back, vanish, or change hands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from breakglass.model.action import Verdict
from breakglass.model.plan import Plan
from breakglass_kubernetes import kinds
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.sandbox.api import ApiError
from providers.kubernetes.tests.rig_k8s import peace_ends
from tests.kubernetes.cluster_fleet import GROUP, LABELS, Cluster, cluster_fleet, said, template
from tests.kubernetes.herd_k8s import side_by_side
from tests.kubernetes.troubled_cluster import (
    UNCHANGED,
    Once,
    again_and_again,
    differences,
    force,
    forget_guards,
    lay_out,
    merge,
    running,
    step_of,
    wait_for,
)

ROLLOUTS = Kind("argoproj.io", "v1alpha1", "rollouts", "Rollout")
ADMIN = ("system:masters",)
INSIDE = ("system:masters", GROUP)
"""An operator whom somebody put into the break-glass group: no guard holds it."""


@pytest.fixture(autouse=True)
def _alone(cluster: Cluster) -> Iterator[None]:
    """Leave no guard behind: a stop that is not put back leaves its own."""
    yield
    forget_guards(cluster)


def test_an_operator_that_puts_a_workload_back_is_held_by_the_guard(cluster: Cluster) -> None:
    """It writes by force each 0.3 s, as the administrator: refused from the first second on."""
    lay_out(cluster)
    with (
        cluster_fleet(cluster, step_s=30) as ours,
        again_and_again(lambda: _put_back(cluster, ADMIN), every_s=0.3),
    ):
        _, done = ours.stop()
        assert Verdict.CONTAINED is done.report.verdict, said(done.report)
        time.sleep(3)
        assert 0 == running(cluster)


def test_an_operator_that_no_guard_holds_is_seen_and_named(agents: Callable[[], Cluster]) -> None:
    """What it puts back is open in the report, also where that was proven before: never contained.

    Two agents at once: to the one it happens all the time, to the other once, after the proof.
    """
    both = {_all_the_time: agents(), _after_the_proof: agents()}
    for one in both.values():
        lay_out(one)
    side_by_side(both.items(), lambda item: item[0](item[1]))


def _all_the_time(cluster: Cluster) -> None:
    with (
        cluster_fleet(cluster, step_s=12) as ours,
        again_and_again(lambda: _put_back(cluster, INSIDE), every_s=0.3) as often,
    ):
        _, done = ours.stop()
    assert often[0] > 3
    open_ = " ".join(f"{one.name} {one.reason}" for one in done.report.open)
    assert Verdict.CONTAINED is not done.report.verdict, said(done.report)
    assert f"deployments.apps/{cluster.namespace}/rogue" in open_, open_


def _after_the_proof(cluster: Cluster) -> None:
    with cluster_fleet(cluster, step_s=12) as ours:
        back = Once(lambda: _put_back(cluster, INSIDE), action="end_pods", stage="proven")
        _, done = ours.stop(observer=back.saw, planned=back.planned)
        back.end()
    # Whoever puts it back once may be beaten by the last look; whoever is not must be seen.
    up = running(cluster)
    assert (Verdict.CONTAINED is done.report.verdict) == (up == 0), said(done.report)


def test_a_namespace_that_is_being_deleted_is_stopped_as_far_as_it_is_there(
    agents: Callable[[], Cluster],
) -> None:
    """What is gone is contained; a restore says that it cannot bring it back, and never fails.

    Two agents at once: the one's namespace goes before its stop, the other's in the middle of it.
    """
    both = {"before": agents(), "in the middle": agents()}
    for one in both.values():
        lay_out(one)
    side_by_side(both.items(), lambda item: _goes(item[1], item[0]))


def _goes(cluster: Cluster, when: str) -> None:
    def delete() -> None:
        cluster.plane.call("DELETE", kinds.NAMESPACES.path("", cluster.namespace))

    with cluster_fleet(cluster, step_s=40) as ours:
        gone = Once(delete, action="unbind_accounts")

        def planned(plan: Plan) -> None:
            gone.planned(plan)
            if when == "before":
                delete()

        _, done = ours.stop(observer=gone.saw if when != "before" else (lambda _event: None), planned=planned)
        words = f"{when}: {said(done.report)}"
        assert "bug in the provider" not in words
        # Whoever named the namespace may have meant another one: that is for a person to say.
        assert {"not_looked_again"} >= {one.kind for one in done.report.open}, words
        assert Verdict.CONTAINED is step_of(done.report, "end_pods").verdict, words
        wait_for(lambda: _is_gone(cluster), "the namespace is gone", within_s=40)
        _, back = ours.restore()
    words = f"{when}: {said(back)}"
    assert "bug in the provider" not in words, words
    assert Verdict.CONTAINED is not back.verdict, words
    assert any("changed since the stop" in one.reason for one in back.steps), words


def test_a_kind_that_vanishes_in_the_middle_took_its_objects_with_it(cluster: Cluster) -> None:
    """Somebody deletes the definition of Rollouts while those of the agent are being scaled down."""
    cluster.plane.install("argo")
    lay_out(cluster)
    spec = {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": template(LABELS)}
    cluster.make(ROLLOUTS, "rogue", {"metadata": {"labels": LABELS}, "spec": spec})

    def delete() -> None:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{ROLLOUTS.name}"
        cluster.plane.call("DELETE", path)

    with cluster_fleet(cluster, step_s=30) as ours:
        gone = Once(delete, action="scale_to_zero", stage="read_back")
        plan, done = ours.stop(observer=gone.saw, planned=gone.planned)
        gone.end()
        assert any("scale_to_zero" in step.action for step in plan.steps)
        assert "bug in the provider" not in said(done.report)
        assert Verdict.CONTAINED is done.report.verdict, said(done.report)
        _, back = ours.restore()
    assert "bug in the provider" not in said(back), said(back)
    assert any(ROLLOUTS.name in one.reason for one in back.steps), said(back)


def test_what_somebody_changed_since_the_stop_is_left_alone_and_named(cluster: Cluster) -> None:
    """Restore is compare-and-set: replicas that somebody set stay, and all the rest comes back."""
    lay_out(cluster, "rogue", "other")
    with cluster_fleet(cluster, step_s=30) as ours:
        before = cluster.listing()
        _, done = ours.stop(began=peace_ends())
        assert Verdict.CONTAINED is done.report.verdict, said(done.report)
        force(cluster, kinds.DEPLOYMENTS, "rogue", {"spec": {"replicas": 1}}, "somebody", INSIDE)
        stranger = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "stranger"}
        merge(cluster, kinds.ROLE_BINDINGS, "rogue", {"subjects": [stranger]})
        _, back = ours.restore()
    after = cluster.listing()
    assert "bug in the provider" not in said(back), said(back)
    scale = step_of(back, "scale_to_zero")
    assert f"deployments.apps/{cluster.namespace}/rogue" in scale.reason, said(back)
    assert 1 == _spec(cluster, "rogue")["replicas"]
    assert 2 == _spec(cluster, "other")["replicas"]
    binding = cluster.plane.call("GET", kinds.ROLE_BINDINGS.path(cluster.namespace, "rogue"))
    assert stranger in binding["subjects"], binding
    names = [f"deployments.apps/{cluster.namespace}/rogue"]
    names += [f"rolebindings.rbac.authorization.k8s.io/{cluster.namespace}/rogue"]
    assert {**UNCHANGED, "changed": names} == differences(before, after), said(back)


def _put_back(cluster: Cluster, groups: tuple[str, ...]) -> None:
    force(cluster, kinds.DEPLOYMENTS, "rogue", {"spec": {"replicas": 2}}, "operator", groups)


def _spec(cluster: Cluster, name: str) -> dict[str, object]:
    found: dict[str, object] = cluster.plane.call("GET", kinds.DEPLOYMENTS.path(cluster.namespace, name))[
        "spec"
    ]
    return found


def _is_gone(cluster: Cluster) -> bool:
    try:
        cluster.plane.call("GET", kinds.NAMESPACES.path("", cluster.namespace))
    except ApiError as error:
        return error.status == 404
    return False
