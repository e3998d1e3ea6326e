"""What stands in the cluster about the agent is kept as it stood, and no Secret's data with it."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import Any

import pytest

from breakglass.errors import Denied
from breakglass.model.resource import State
from breakglass_kubernetes.evidence_objects import CONFIG_MAPS, without_data
from breakglass_kubernetes.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    EVENTS,
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from breakglass_kubernetes.redact import Redactor
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal

ACTION = "kubernetes.objects.collect"
VALUE = "correct-horse-battery"
GROUP = "rbac.authorization.k8s.io"


def settle(rig: Rig) -> None:
    """Make an agent with rights, a policy, a configuration and a Secret."""
    other = rig.new_namespace(f"{rig.namespace}-other")
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    rig.make(ROLES, "reads", {"rules": rules}, namespace=other)
    subject = {"kind": "ServiceAccount", "name": "bot", "namespace": rig.namespace}
    everyone = {"kind": "Group", "apiGroup": GROUP, "name": f"system:serviceaccounts:{rig.namespace}"}
    ref = {"apiGroup": GROUP, "kind": "Role", "name": "reads"}
    rig.make(ROLE_BINDINGS, "abroad", {"subjects": [subject], "roleRef": ref}, namespace=other)
    rig.make(CLUSTER_ROLES, f"{rig.namespace}-wide", {"rules": rules})
    ref = {"apiGroup": GROUP, "kind": "ClusterRole", "name": f"{rig.namespace}-wide"}
    rig.make(CLUSTER_ROLE_BINDINGS, f"{rig.namespace}-all", {"subjects": [everyone], "roleRef": ref})
    stranger = {"kind": "User", "apiGroup": GROUP, "name": "alice"}
    rig.make(CLUSTER_ROLE_BINDINGS, f"{rig.namespace}-alice", {"subjects": [stranger], "roleRef": ref})
    rig.make(NETWORK_POLICIES, "open", {"spec": {"podSelector": {}, "egress": [{}]}})
    rig.make(CONFIG_MAPS, "config", {"data": {"prompt": "be kind", "db": f"postgres://u:{VALUE}@db/x"}})
    applied = json.dumps({"stringData": {"pin": VALUE}})
    about = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}}
    rig.make(SECRETS, "held", {"metadata": about, "stringData": {"pin": VALUE}})
    env = [
        {"name": "MODE", "value": VALUE},
        {"name": "PIN", "valueFrom": {"secretKeyRef": {"name": "held", "key": "pin"}}},
        {"name": "P", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "prompt"}}},
    ]
    container = {"name": "main", "image": "example.invalid/bot:1", "env": env}
    rig.deployment(replicas=1, account="bot", containers=[container])


def collected(rig: Rig, state: State) -> dict[str, list[dict[str, Any]]]:
    """Return the collected objects by kind."""
    return {
        key.removeprefix("objects/").removesuffix(".jsonl"): [
            json.loads(line)
            for line in (rig.folder / "incident-0" / str(one["path"])).read_text().splitlines()
        ]
        for key, one in state.objects.items()
        if isinstance(one, dict) and key.endswith(".jsonl")
    }


def names(found: list[dict[str, Any]]) -> set[str]:
    """Return the names of objects."""
    return {one["metadata"]["name"] for one in found}


def test_what_the_agent_was_is_kept_with_who_made_it_and_without_secrets(rig: Rig) -> None:
    """Workloads with managed fields, rights in whatever namespace, policies; no value of a secret."""
    settle(rig)
    provider = rig.provider(
        namespace=rig.namespace, selector="app=bot", service_accounts=[f"{rig.namespace}/bot"]
    )
    step, action = proposal(provider, ACTION), provider.actions[ACTION]

    _prior, state = close(action, step.target)

    found = collected(rig, state)
    assert found["deployments.apps"][0]["metadata"]["managedFields"]
    assert names(found[ROLE_BINDINGS.name]) >= {"abroad"}
    assert "reads" in names(found[ROLES.name])
    bindings = names(found[CLUSTER_ROLE_BINDINGS.name])
    assert f"{rig.namespace}-all" in bindings
    assert f"{rig.namespace}-alice" not in bindings
    assert f"{rig.namespace}-wide" in names(found[CLUSTER_ROLES.name])
    assert names(found[NETWORK_POLICIES.name]) == {"open"}
    config = next(one for one in found[CONFIG_MAPS.name] if one["metadata"]["name"] == "config")
    assert config["data"]["prompt"] == "be kind"
    (held,) = found[SECRETS.name]
    assert [(one["entry"], one["size"] > 0) for one in held["holds"]] == [("pin", True)]
    env = found["deployments.apps"][0]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env[1]["valueFrom"]["secretKeyRef"] == {"name": "held", "key": "pin"}
    whole = b"".join(path.read_bytes() for path in rig.folder.rglob("*") if path.is_file())
    assert VALUE.encode() not in whole
    assert base64.b64encode(VALUE.encode()) not in whole
    assert json.dumps(step.target.params).count(VALUE) == 0


def test_events_about_things_that_are_gone_are_kept_too(rig: Rig) -> None:
    """A pod that was deleted is known by the name of its maker; others' events stay out."""
    rig.deployment(replicas=1)
    for name, about in (("mine", "bot-6d4cf56db6-x7x7x"), ("others", "robot-1")):
        involved = {"kind": "Pod", "namespace": rig.namespace, "name": about}
        rig.make(EVENTS, name, {"involvedObject": involved, "reason": "Killing", "message": name})
    provider = rig.provider()
    step, action = proposal(provider, ACTION), provider.actions[ACTION]

    _prior, state = close(action, step.target)

    messages = {event.get("message") for event in collected(rig, state)["events"]}
    assert "mine" in messages
    assert "others" not in messages


def test_a_listing_that_is_refused_leaves_the_step_unknown_and_the_rest_is_kept(rig: Rig) -> None:
    """An executor that may not list Secrets says so."""
    rig.deployment(replicas=1)
    role = f"{rig.namespace}-reader"
    groups = ["", "apps", "batch", "autoscaling", GROUP, "networking.k8s.io", "apiextensions.k8s.io"]
    rules = [
        {"apiGroups": groups, "resources": ["*"], "verbs": ["get"]},
        {"apiGroups": ["", "apps", "batch"], "resources": ["pods", *_WORKLOADS], "verbs": ["list"]},
    ]
    rig.make(CLUSTER_ROLES, role, {"rules": rules})
    subject = {"kind": "User", "apiGroup": GROUP, "name": role}
    ref = {"apiGroup": GROUP, "kind": "ClusterRole", "name": role}
    rig.make(CLUSTER_ROLE_BINDINGS, role, {"subjects": [subject], "roleRef": ref})
    aim = proposal(rig.provider(), ACTION).target
    action = rig.provider(user=role, groups=()).actions[ACTION]

    with pytest.raises(Denied, match="left out"):
        action.apply(aim, State({}), "token")

    state = action.observe(aim)
    said = action.judge(aim, state)
    assert said.verdict.value == "unknown"
    assert "secrets" in said.reason
    assert any("deployments.apps" in key for key in state.objects)


def test_nothing_that_a_secret_holds_is_kept_of_it() -> None:
    """Not even by an annotation that repeats it; its account is."""
    secret = {
        "metadata": {
            "name": "t",
            "annotations": {"kubernetes.io/service-account.name": "bot", "x/y": f"pin={VALUE}"},
        },
        "type": "kubernetes.io/service-account-token",
        "data": {"token": base64.b64encode(VALUE.encode()).decode()},
    }

    kept = json.dumps(without_data(secret))

    assert VALUE not in kept
    assert base64.b64encode(VALUE.encode()).decode() not in kept
    assert '"bot"' in kept


def test_thousands_of_alike_pods_are_redacted_in_time() -> None:
    """What they share is looked at once."""
    redactor = Redactor(secrets.token_bytes(32))
    fields: dict[str, object] = {f"f:field-{n}": {"f:inner": {}} for n in range(80)}
    before = time.monotonic()
    for n in range(1000):
        about = {"name": f"bot-{n}", "managedFields": [{"fieldsV1": fields}]}
        redactor.value({"metadata": about, "spec": {f"key-{m}": f"value {m}" for m in range(40)}})

    assert time.monotonic() - before < 40


_WORKLOADS = (
    "deployments", "statefulsets", "daemonsets", "replicasets", "replicationcontrollers", "jobs", "cronjobs",
)  # fmt: skip
