"""Every action of a namespace at once, put back by another process: equal with its owners, and once only."""

from __future__ import annotations

import json
import time
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Transient
from breakglass.model.resource import State
from breakglass.provider import Outcome, Proposal
from breakglass_kubernetes.cluster import MANAGER
from breakglass_kubernetes.connect import KubernetesProvider
from breakglass_kubernetes.kinds import (
    AUTOSCALERS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NETWORK_POLICIES,
    PODS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    STATEFUL_SETS,
    Kind,
)
from providers.kubernetes.tests.rig_k8s import Rig, close, template

RBAC = "rbac.authorization.k8s.io"
GUARDS = ("refuse_relaunch", "zero_pods")
ONLY_READ = ("collect",)
KINDS = (
    DEPLOYMENTS,
    STATEFUL_SETS,
    DAEMON_SETS,
    JOBS,
    CRON_JOBS,
    AUTOSCALERS,
    NETWORK_POLICIES,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    SECRETS,
)
OF_THE_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")
COUNTED_ON = "deprecated.daemonset.template.generation"


def test_what_all_steps_changed_is_put_back_with_its_owners_and_a_second_time_nothing_is(rig: Rig) -> None:
    """By an executor that remembers nothing; nothing is left ours, nothing is revived that was off."""
    make_everything(rig)
    settle(rig)
    before = told(rig)
    settings: dict[str, Any] = {"namespace": rig.namespace, "own_namespace": True}
    provider = rig.provider(**settings)
    steps = [one for one in provider.discover().proposals if not one.action.endswith(ONLY_READ)]
    priors = {one.key: close(provider.actions[one.action], one.target, rounds=40)[0] for one in steps}

    first = put_back(rig.provider(**settings), steps, priors)
    again = put_back(rig.provider(**settings), steps, priors)
    settle(rig)

    assert {} == {key: one for key, one in first.items() if Outcome.DRIFTED in one or Outcome.CANNOT in one}
    assert {} == {key: one for key, one in again.items() if set(one) & {Outcome.RESTORED, Outcome.DRIFTED}}
    after = told(rig)
    assert before.keys() == after.keys()
    assert [] == [key for key in before if before[key] != after[key]]
    assert [] == ours(rig)


def make_everything(rig: Rig) -> None:
    """Make one of each kind; some were off before."""
    rig.make(SERVICE_ACCOUNTS, "bot", {"metadata": {"annotations": {"note": "x"}}})
    subjects = [{"kind": "ServiceAccount", "name": "bot"}, {"kind": "User", "apiGroup": RBAC, "name": "eve"}]
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
    rig.make(ROLE_BINDINGS, "bot", {"subjects": subjects, "roleRef": role})
    notes = {"kubernetes.io/service-account.name": "bot"}
    token = {"type": "kubernetes.io/service-account-token", "metadata": {"annotations": notes}}
    rig.make(SECRETS, "token", token)
    quick: dict[str, Any] = {"account": "bot", "terminationGracePeriodSeconds": 1}
    rig.deployment(**quick)
    selector = {"matchLabels": {"app": "bot"}}
    whole: dict[str, Any] = {"selector": selector, "template": template(**quick)}
    rig.make(DEPLOYMENTS, "off", {"spec": {"replicas": 0, **whole}})
    rig.make(STATEFUL_SETS, "bot", {"spec": {"replicas": 1, "serviceName": "bot", **whole}})
    rig.make(DAEMON_SETS, "bot", {"spec": whole})
    batch = {"template": template(restartPolicy="Never", **quick)}
    rig.make(JOBS, "off", {"spec": {"suspend": True, **batch}})
    for name, off in (("on", False), ("off", True)):
        rig.make(
            CRON_JOBS,
            name,
            {"spec": {"schedule": "0 0 1 1 *", "suspend": off, "jobTemplate": {"spec": batch}}},
        )
    aim = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "bot"}
    rig.make(AUTOSCALERS, "bot", {"spec": {"minReplicas": 2, "maxReplicas": 5, "scaleTargetRef": aim}})
    rig.make(
        NETWORK_POLICIES, "out", {"spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}}
    )
    rig.pod(**quick)


def put_back(
    provider: KubernetesProvider, steps: list[Proposal], priors: dict[str, dict[str, Json]]
) -> dict[str, list[Outcome]]:
    """Revert each step, guards first, then the last one first; whoever is in the way still is waited for."""
    found: dict[str, list[Outcome]] = {}
    guards = [one for one in steps if one.key in GUARDS]
    others = [one for one in steps if one.key not in GUARDS]
    for one in (*reversed(guards), *reversed(others)):
        action = provider.actions[one.action]
        end = time.monotonic() + 40
        while True:
            try:
                now = action.observe(one.target)
                done = action.revert(one.target, State(priors[one.key]), now)
            except Transient:
                assert time.monotonic() < end
                time.sleep(0.5)
            else:
                break
        found[one.key] = [*done.objects.values()]
    return found


def settle(rig: Rig) -> None:
    """Wait until controllers have written nothing for a while."""
    last = ""
    for _ in range(240):
        now = json.dumps(told(rig), sort_keys=True)
        if now == last and len(rig.plane.call("GET", PODS.path(rig.namespace))["items"]) >= 4:
            return
        last = now
        time.sleep(0.5)
    raise AssertionError("it never is still")


def told(rig: Rig) -> dict[str, Any]:
    """Return of each object all that somebody wrote, and who owns what of it."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        for body in rig.plane.call("GET", kind.path(rig.namespace))["items"]:
            found[kind.key(rig.namespace, body["metadata"]["name"])] = _told(kind, body)
    return found


def _told(kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
    about = {key: value for key, value in body["metadata"].items() if key not in OF_THE_SERVER}
    for note in (COUNTED_ON, "kubernetes.io/service-account.uid"):
        about.get("annotations", {}).pop(note, None)
    rest = {key: value for key, value in body.items() if key not in {"metadata", "status", "data"}}
    owners = sorted(
        (one["manager"], one["operation"], json.dumps(one["fieldsV1"], sort_keys=True))
        for one in body["metadata"].get("managedFields", ())
        if not one.get("subresource") and one["manager"] != "kube-controller-manager"
    )
    return {"about": about, "rest": rest, "owners": [] if kind == DAEMON_SETS else owners}


def ours(rig: Rig) -> list[str]:
    """Return everything in which a field is left to our manager."""
    return [
        kind.key(rig.namespace, body["metadata"]["name"])
        for kind in (*KINDS, PODS)
        for body in rig.plane.call("GET", kind.path(rig.namespace))["items"]
        if any(one["manager"] == MANAGER for one in body["metadata"].get("managedFields", ()))
    ]
