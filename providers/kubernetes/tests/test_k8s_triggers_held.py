"""Held fields: taken by our manager, and given back with their owners, on a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.provider import Outcome
from breakglass_kubernetes.cluster import APPLY, Cluster
from breakglass_kubernetes.held_fields import give_back, hold, is_held, ours, record
from breakglass_kubernetes.kinds import CRON_JOBS, DEPLOYMENTS
from breakglass_kubernetes.objects import managers_of
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.sandbox.process import ApiError
from providers.kubernetes.tests.rig_k8s import Rig, template

REPLICAS = ("spec", "replicas")
NOTE = ("metadata", "annotations", "example.com/note")
NODES = ("spec", "template", "spec", "nodeSelector")
STOP: dict[tuple[str, ...], Any] = {REPLICAS: 0}


def cluster_of(rig: Rig) -> Cluster:
    """Return the calls of a connected provider."""
    return rig.provider().cluster


def deploy(rig: Rig, name: str, *, replicas: int = 3, force: bool = False, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Apply a Deployment as a deployer does."""
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "bot"}}, "template": template(), **more}
    about = {"name": name, "labels": {"app": "bot"}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about, "spec": spec}
    query = {"fieldManager": "deployer"} | ({"force": "true"} if force else {})
    path = DEPLOYMENTS.path(rig.namespace, name)
    made: dict[str, Any] = rig.plane.call("PATCH", path, body, content_type=APPLY, query=query)
    return made


def thing(rig: Rig, name: str) -> Thing:
    """Read a Deployment."""
    return Thing(DEPLOYMENTS, rig.get(DEPLOYMENTS, name))


def owners(body: dict[str, Any], path: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return who owns a field."""
    found: Any = record(body, path)["owners"]
    return sorted((one["manager"], one["operation"]) for one in found)


def stopped(rig: Rig, cluster: Cluster, name: str, fields: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """Hold fields and return what was recorded before."""
    found = thing(rig, name)
    before = record(found.body, *fields)
    assert is_held(hold(cluster, DEPLOYMENTS, found, fields), fields)
    return before


def back(rig: Rig, cluster: Cluster, name: str, before: Any, fields: Any) -> Outcome:  # noqa: ANN401 - JSON
    """Give fields of a Deployment back."""
    return give_back(cluster, DEPLOYMENTS, rig.namespace, name, before=before, fields=fields)


def test_a_deployer_owns_its_field_again_and_its_next_apply_does_not_conflict(rig: Rig) -> None:
    """While held, the deployer conflicts; afterwards it applies the same manifest, another one, too."""
    cluster, original = cluster_of(rig), deploy(rig, "web")
    before = stopped(rig, cluster, "web", STOP)
    with pytest.raises(ApiError, match="breakglass"):
        deploy(rig, "web")

    assert back(rig, cluster, "web", before, STOP) is Outcome.RESTORED

    now = rig.get(DEPLOYMENTS, "web")
    assert now["spec"] == original["spec"]
    assert "breakglass" not in managers_of(now)
    assert [("deployer", "Apply")] == owners(now, REPLICAS)
    assert deploy(rig, "web")["spec"] == original["spec"]
    assert deploy(rig, "web", replicas=4)["spec"]["replicas"] == 4
    assert back(rig, cluster, "web", before, STOP) is Outcome.DRIFTED


def test_another_manager_conflicts_after_the_restore_as_it_did_before_the_stop(rig: Rig) -> None:
    """Ownership is really the deployer's again: a second applier of another value gets 409."""
    cluster, original = cluster_of(rig), deploy(rig, "rival")
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "rival"},
        "spec": {"replicas": 9},
    }
    before = stopped(rig, cluster, "rival", STOP)
    back(rig, cluster, "rival", before, STOP)

    with pytest.raises(ApiError, match="deployer"):
        rig.plane.call(
            "PATCH",
            DEPLOYMENTS.path(rig.namespace, "rival"),
            body,
            content_type=APPLY,
            query={"fieldManager": "rival"},
        )
    assert rig.get(DEPLOYMENTS, "rival")["spec"] == original["spec"]


def test_what_was_absent_is_absent_again_with_the_map_that_was_made_for_it(rig: Rig) -> None:
    """An annotation and an atomic map that were not there before are removed; those of others stay."""
    cluster, original = cluster_of(rig), rig.deployment("plain")
    fields: dict[tuple[str, ...], Any] = {
        REPLICAS: 0,
        NOTE: "held",
        NODES: {"breakglass.dev/stopped": "true"},
    }
    before = stopped(rig, cluster, "plain", fields)

    assert back(rig, cluster, "plain", before, fields) is Outcome.RESTORED

    now = rig.get(DEPLOYMENTS, "plain")
    assert now["spec"] == original["spec"]
    assert now["metadata"]["labels"] == original["metadata"]["labels"]
    assert NOTE[-1] not in now["metadata"].get("annotations", {})
    assert "breakglass" not in managers_of(now)
    assert owners(original, REPLICAS) == owners(now, REPLICAS)
    assert back(rig, cluster, "plain", before, fields) is Outcome.ALREADY


def test_a_field_that_nobody_owned_is_nobodys_again(rig: Rig) -> None:
    """A default that the server filled in under an application has no owner before and after."""
    cluster = cluster_of(rig)
    cron = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template(restartPolicy="Never")}}}
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "daily"}, "spec": cron}
    path = CRON_JOBS.path(rig.namespace, "daily")
    made = rig.plane.call("PATCH", path, body, content_type=APPLY, query={"fieldManager": "deployer"})
    fields: dict[tuple[str, ...], Any] = {("spec", "suspend"): True}
    before = record(made, *fields)
    hold(cluster, CRON_JOBS, Thing(CRON_JOBS, made), fields)

    assert (
        give_back(cluster, CRON_JOBS, rig.namespace, "daily", before=before, fields=fields)
        is Outcome.RESTORED
    )

    now = rig.get(CRON_JOBS, "daily")
    assert now["spec"] == made["spec"]
    assert [] == owners(made, ("spec", "suspend")) == owners(now, ("spec", "suspend"))
    assert "breakglass" not in managers_of(now)


def test_somebodys_newer_value_is_left_alone(rig: Rig) -> None:
    """A deployer that forced its value meanwhile keeps it; so does an object made anew under the name."""
    cluster = cluster_of(rig)
    deploy(rig, "moved")
    before = stopped(rig, cluster, "moved", STOP)
    deploy(rig, "moved", replicas=5, force=True)

    assert back(rig, cluster, "moved", before, STOP) is Outcome.DRIFTED
    assert rig.get(DEPLOYMENTS, "moved")["spec"]["replicas"] == 5
    assert back(rig, cluster, "moved", {**before, "uid": "another"}, STOP) is Outcome.DRIFTED
    assert back(rig, cluster, "absent", before, STOP) is Outcome.DRIFTED


def test_a_second_hold_on_an_object_keeps_the_first_and_each_is_given_back_alone(rig: Rig) -> None:
    """Two actions hold different fields of one object by the same manager, one after the other."""
    cluster, original = cluster_of(rig), deploy(rig, "both")
    first = stopped(rig, cluster, "both", STOP)
    second = stopped(rig, cluster, "both", {NOTE: "held"})

    assert sorted([REPLICAS, NOTE]) == sorted(ours(rig.get(DEPLOYMENTS, "both")))
    assert rig.get(DEPLOYMENTS, "both")["spec"]["replicas"] == 0
    assert back(rig, cluster, "both", first, STOP) is Outcome.RESTORED
    assert [NOTE] == ours(rig.get(DEPLOYMENTS, "both"))
    assert back(rig, cluster, "both", second, {NOTE: "held"}) is Outcome.RESTORED
    now = rig.get(DEPLOYMENTS, "both")
    assert original["spec"] == now["spec"]
    assert "breakglass" not in managers_of(now)


def test_what_was_so_before_the_stop_is_held_and_stays_so(rig: Rig) -> None:
    """Zero replicas before the stop stay zero, and belong to their owner alone again."""
    cluster, original = cluster_of(rig), deploy(rig, "zero", replicas=0)
    before = stopped(rig, cluster, "zero", STOP)
    with pytest.raises(ApiError, match="breakglass"):
        deploy(rig, "zero", replicas=3)

    assert back(rig, cluster, "zero", before, STOP) is Outcome.RESTORED

    now = rig.get(DEPLOYMENTS, "zero")
    assert original["spec"] == now["spec"]
    assert [("deployer", "Apply")] == owners(now, REPLICAS)
    assert "breakglass" not in managers_of(now)


def test_a_restore_that_was_cut_off_between_its_two_writes_goes_on(rig: Rig) -> None:
    """With the old value back but still ours, the next try gives the ownership back."""
    cluster, original = cluster_of(rig), deploy(rig, "half")
    before = stopped(rig, cluster, "half", STOP)
    cluster.patch(DEPLOYMENTS, rig.namespace, "half", {"spec": {"replicas": 3}})
    assert "breakglass" in managers_of(rig.get(DEPLOYMENTS, "half"))

    assert back(rig, cluster, "half", before, STOP) is Outcome.RESTORED

    now = rig.get(DEPLOYMENTS, "half")
    assert original["spec"] == now["spec"]
    assert [("deployer", "Apply")] == owners(now, REPLICAS)
    assert "breakglass" not in managers_of(now)
