"""A cluster that the agent runs in has no step here, and the plan says which reach stops it."""

from __future__ import annotations

from breakglass.model.action import Verdict
from providers.gcp.tests.rig_gcp import Rig


def test_a_cluster_is_handed_to_a_kubernetes_reach(rig: Rig) -> None:
    """The door names the server; it stays open."""
    rig.control(
        "container.cluster", {"location": "europe-west1", "cluster": "prod", "endpoint": "192.0.2.77"}
    )

    found = rig.provider(gke_clusters=["europe-west1/prod"]).discover()

    (door,) = [one.door for one in found.doors if "GKE" in one.door.name]
    assert "https://192.0.2.77" in door.remedy
    assert f"{rig.project}.svc.id.goog" in door.reason
    assert door.verdict is Verdict.UNKNOWN


def test_a_cluster_that_is_not_there_is_said(rig: Rig) -> None:
    """No door, and the plan says why."""
    found = rig.provider(gke_clusters=["europe-west1/none"]).discover()

    assert any(one.resource == "GKE cluster europe-west1/none" for one in found.not_touched)
