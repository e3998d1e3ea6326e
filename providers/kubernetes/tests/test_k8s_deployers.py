"""Argo CD and Flux paused: their objects on a real API server, with a stand-in for the controller."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_kubernetes.actions import argocd, flux
from breakglass_kubernetes.actions.argocd_apps import APPLICATIONS
from breakglass_kubernetes.cluster import APPLY
from breakglass_kubernetes.kinds import DEPLOYMENTS, Kind
from breakglass_kubernetes.sandbox.process import ApiError, Sandbox
from providers.kubernetes.tests.planes_k8s import CUSTOM
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, template, undo

PLANE = CUSTOM
KUSTOMIZATIONS = Kind("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization")
HELM_RELEASES = Kind("helm.toolkit.fluxcd.io", "v2", "helmreleases", "HelmRelease")
MERGE = "application/merge-patch+json"


@pytest.fixture(autouse=True, scope="module")
def crds(plane: Sandbox) -> None:
    """Let the cluster serve what Argo CD and Flux define."""
    plane.install("argo")
    plane.install("flux")


def applied(rig: Rig, kind: Kind, name: str, body: dict[str, Any], *, manager: str = "gitops") -> Any:  # noqa: ANN401 - JSON
    """Apply an object as a deployer does, without force."""
    about = {**body.get("metadata", {}), "name": name}
    whole = {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": about}
    path = kind.path(rig.namespace, name)
    return rig.plane.call("PATCH", path, whole, content_type=APPLY, query={"fieldManager": manager})


def application(*, automated: bool = True, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return an Application, with automated sync."""
    policy = {"syncPolicy": {"automated": {"prune": True, "selfHeal": True}}} if automated else {}
    spec = {"project": "default", "destination": {"namespace": "x"}, **policy}
    return {"spec": spec, **more}


def settings(rig: Rig, *deployers: str) -> dict[str, Any]:
    """Return the settings of an agent that is deployed by these."""
    found: dict[str, Any] = {"namespace": rig.namespace, "selector": "app=bot"}
    return found | ({"deployers": list(deployers)} if deployers else {})


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a restore must bring back: all but versions and times."""
    about = {key: value for key, value in body["metadata"].items() if key not in _MOVES}
    owned = [{k: v for k, v in one.items() if k != "time"} for one in body["metadata"]["managedFields"]]
    return {**body, "metadata": {**about, "managedFields": sorted(owned, key=str)}}


_MOVES = {"resourceVersion", "generation", "managedFields"}


@contextmanager
def argo_controller(rig: Rig, name: str) -> Iterator[threading.Event]:
    """Stand in for Argo CD: while the Application syncs by itself, apply replicas=3; yield what tells so."""
    ended, acted = threading.Event(), threading.Event()

    def run() -> None:
        while not ended.wait(0.05):
            app = rig.get(APPLICATIONS, name)
            notes = app["metadata"].get("annotations", {})
            if "automated" not in app["spec"].get("syncPolicy", {}):
                continue
            if notes.get("argocd.argoproj.io/skip-reconcile") == "true":
                continue
            path = DEPLOYMENTS.path(rig.namespace, "bot")
            rig.plane.call("PATCH", path, {"spec": {"replicas": 3}}, content_type=MERGE)
            acted.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield acted
    finally:
        ended.set()
        thread.join()


def test_an_application_that_tracks_the_agent_is_paused_and_comes_back_as_it_was(rig: Rig) -> None:
    """A self-healing deployer stays away; afterwards nothing is left of ours."""
    deployed = rig.deployment(replicas=1)
    note = {"argocd.argoproj.io/tracking-id": f"bot-app:apps/Deployment:{rig.namespace}/bot"}
    path = DEPLOYMENTS.path(rig.namespace, deployed["metadata"]["name"])
    rig.plane.call("PATCH", path, {"metadata": {"annotations": note}}, content_type=MERGE)
    applied(rig, APPLICATIONS, "bot-app", application())
    applied(rig, APPLICATIONS, "other-app", application())
    before = plain(rig.get(APPLICATIONS, "bot-app"))
    provider = rig.provider(**settings(rig))
    action, proposed = provider.actions[argocd.NAME], proposal(provider, argocd.NAME)

    with argo_controller(rig, "bot-app") as acted:
        assert acted.wait(5)
        prior, _ = close(action, proposed.target)
        acted.clear()
        rig.plane.call("PATCH", path, {"spec": {"replicas": 0}}, content_type=MERGE)
        assert not acted.wait(1)
        # An app of apps puts automated sync back: it is seen, and the controller stays away all the same.
        applied(rig, APPLICATIONS, "bot-app", application())
        said = action.judge(proposed.target, action.observe(proposed.target))
        assert not acted.wait(0.5)
        close(action, proposed.target)
        assert set(undo(action, proposed.target, prior).objects.values()) == {Outcome.RESTORED}
        assert acted.wait(5)

    assert proposed.revokes == ("deployer:argocd/bot-app",)
    assert said.verdict is Verdict.NOT_CONTAINED
    assert list(prior) == [APPLICATIONS.key(rig.namespace, "bot-app")]
    assert plain(rig.get(APPLICATIONS, "bot-app")) == before
    assert set(undo(action, proposed.target, prior).objects.values()) == {Outcome.ALREADY}


def test_a_sync_that_runs_is_told_to_end_and_is_unknown_until_it_has(rig: Rig) -> None:
    """Nobody says contained while a sync may still write."""
    applied(rig, APPLICATIONS, "busy", application(automated=False))
    path = APPLICATIONS.path(rig.namespace, "busy")
    running = {"operation": {"sync": {}}, "status": {"operationState": {"phase": "Running"}}}
    rig.plane.call("PATCH", path, running, content_type=MERGE)
    provider = rig.provider(**settings(rig, f"argocd:{rig.namespace}/busy"))
    action, target = provider.actions[argocd.NAME], proposal(provider, argocd.NAME).target

    first = action.observe(target)
    action.apply(target, first, "token")
    ending = action.judge(target, action.observe(target))
    assert rig.get(APPLICATIONS, "busy")["status"]["operationState"]["phase"] == "Terminating"
    ended = {"operation": None, "status": {"operationState": {"phase": "Failed"}}}
    rig.plane.call("PATCH", path, ended, content_type=MERGE)
    after = action.judge(target, action.observe(target))

    assert action.judge(target, first).verdict is Verdict.NOT_CONTAINED
    assert ending.verdict is Verdict.UNKNOWN
    assert after.verdict is Verdict.CONTAINED
    assert set(undo(action, target, first.objects).objects.values()) == {Outcome.RESTORED}
    assert "automated" not in rig.get(APPLICATIONS, "busy")["spec"].get("syncPolicy", {})


def test_what_writes_an_application_stays_open_and_what_else_it_deploys_is_named(rig: Rig) -> None:
    """An ApplicationSet and an app of apps are doors; a neighbour's Deployment is affected."""
    rig.deployment(replicas=1)
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "fleet", "uid": "u-1"}
    tracked = {"argocd.argoproj.io/tracking-id": "root:argoproj.io/Application:argocd/child"}
    about = {"ownerReferences": [owner], "annotations": tracked}
    applied(rig, APPLICATIONS, "child", application(metadata=about))
    listed = [
        {"group": "apps", "kind": "Deployment", "namespace": rig.namespace, "name": name}
        for name in ("bot", "neighbour")
    ]
    path = APPLICATIONS.path(rig.namespace, "child")
    rig.plane.call("PATCH", path, {"status": {"resources": listed}}, content_type=MERGE)

    found = rig.provider(**settings(rig)).discover()
    doors = [one.door.name for one in found.doors if one.door.name.startswith("argocd")]
    affects = [one.affects for one in found.proposals if one.action == argocd.NAME]

    assert sorted(doors) == ["argocd Application root", f"argocd ApplicationSet {rig.namespace}/fleet"]
    assert affects == [(f"deployments.apps/{rig.namespace}/neighbour is not updated by Argo CD",)]


def test_somebody_who_switched_sync_on_meanwhile_is_not_overruled(rig: Rig) -> None:
    """At restore an Application that was changed since is left as it is."""
    applied(rig, APPLICATIONS, "mine", application())
    provider = rig.provider(**settings(rig, f"argocd:{rig.namespace}/mine"))
    action, target = provider.actions[argocd.NAME], proposal(provider, argocd.NAME).target
    prior, _ = close(action, target)
    note = {"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "false"}}}
    rig.plane.call("PATCH", APPLICATIONS.path(rig.namespace, "mine"), note, content_type=MERGE)

    assert set(undo(action, target, prior).objects.values()) == {Outcome.DRIFTED}
    assert "automated" not in rig.get(APPLICATIONS, "mine")["spec"].get("syncPolicy", {})


def test_flux_objects_of_the_agent_are_suspended_and_come_back_as_they_were(rig: Rig) -> None:
    """Labels that Flux writes tell which; a deployer that applies suspend again is in conflict with us."""
    labels = {
        "app": "bot",
        "kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": rig.namespace,
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "bot"}}, "template": template()}
    rig.make(DEPLOYMENTS, "bot", {"metadata": {"labels": labels}, "spec": spec})
    body = {"spec": {"interval": "1m", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "x"}}}
    release = {"spec": {"interval": "1m", "suspend": False}}
    applied(rig, KUSTOMIZATIONS, "apps", body)
    applied(rig, KUSTOMIZATIONS, "others", body)
    applied(rig, HELM_RELEASES, "chart", release)
    before = [
        plain(rig.get(kind, name)) for kind, name in ((KUSTOMIZATIONS, "apps"), (HELM_RELEASES, "chart"))
    ]
    provider = rig.provider(**settings(rig, f"flux:{rig.namespace}/chart"))
    action, proposed = provider.actions[flux.NAME], proposal(provider, flux.NAME)

    prior, _ = close(action, proposed.target)
    assert rig.get(KUSTOMIZATIONS, "apps")["spec"]["suspend"] is True
    assert "suspend" not in rig.get(KUSTOMIZATIONS, "others")["spec"]
    with pytest.raises(ApiError, match="conflict"):
        applied(rig, HELM_RELEASES, "chart", release)
    done = undo(action, proposed.target, prior)
    after = [
        plain(rig.get(kind, name)) for kind, name in ((KUSTOMIZATIONS, "apps"), (HELM_RELEASES, "chart"))
    ]

    assert set(proposed.revokes) == {"deployer:flux/apps", "deployer:flux/chart"}
    assert set(done.objects.values()) == {Outcome.RESTORED}
    assert after == before
