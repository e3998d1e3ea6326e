"""What somebody reads at 3 a.m.: which key is wrong, whose Secret it was, each thing once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.errors import MalformedInput
from breakglass.kit.load import load_kit
from breakglass.model.resource import Reach
from breakglass.registry import card
from breakglass_kubernetes import CARD
from breakglass_kubernetes.kinds import CLUSTER_ROLE_BINDINGS, PODS, SECRETS, SERVICE_ACCOUNTS
from providers.kubernetes.tests.rig_k8s import Rig, proposal
from tests.kit.kits import write_kit

UNBIND = "kubernetes.rbac.unbind_accounts"


def test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_key() -> None:
    """Three keys take pairs: the words must say which of them it was."""
    whole: dict[str, Json] = {
        "server": "https://a:6443",
        "cluster_uid": "6f0c2f0e-7d3b-4c61-9d43-0d4e6f0f6f00",
        "service_accounts": ["bot"],
        "agent_tokens": {"robot": "t"},
        "accept_blast_radius": ["them"],
    }

    told = CARD.check(Reach("kubernetes", whole, "test"))

    assert [
        "service_accounts: 'bot' is not NAMESPACE/NAME",
        "accept_blast_radius: 'them' is not NAMESPACE/NAME",
        "agent_tokens: 'robot' is not NAMESPACE/NAME",
    ] == [*told]


def test_a_wrong_value_is_refused_with_the_line_that_it_stands_in(tmp_path: Path) -> None:
    """An operator opens the file there; a complaint about no key in particular points at the reach."""
    reach = """agent: bot
owner: o
who_can_stop: any two
reach:
  - provider: kubernetes
    server: https://a:6443
    cluster_uid: 6f0c2f0e-7d3b-4c61-9d43-0d4e6f0f6f00
    namespace: prod
    service_accounts: [bot]
"""
    folder = write_kit(tmp_path, {"agents/bot.yaml": reach})

    with pytest.raises(MalformedInput) as caught:
        load_kit(folder, card, draft=True)

    assert f"{folder}/agents/bot.yaml:9:23" == caught.value.where
    assert f"{folder}/agents/bot.yaml:5:5  a namespace without a selector" in caught.value.what


def test_a_secret_is_said_to_be_given_to_what_makes_the_pods_and_to_nobody_twice(rig: Rig) -> None:
    """A Deployment, its ReplicaSet and its pods are one reader to whoever rotates it."""
    rig.make(SECRETS, "stripe", {"stringData": {"key": "k"}})
    volume = {"name": "s", "secret": {"secretName": "stripe"}}
    rig.deployment(volumes=[volume])
    until_two_pods(rig)

    doors = {one.door.name: one.door for one in rig.provider().discover().doors}

    reason = doors[f"secrets/{rig.namespace}/stripe"].reason
    assert reason.endswith(f"(key); given to deployments.apps/{rig.namespace}/bot")


def test_a_secret_that_was_deleted_is_listed_for_rotation_all_the_same(rig: Rig) -> None:
    """The agent read it and deleted it: its content is still valid. An optional one may never have been."""
    volumes = [
        {"name": "a", "secret": {"secretName": "gone"}},
        {"name": "b", "secret": {"secretName": "never", "optional": True}},
    ]
    rig.pod(volumes=volumes)

    doors = {one.door.name: one.door for one in rig.provider().discover().doors}

    assert "it is not there any more" in doors[f"secrets/{rig.namespace}/gone"].reason
    assert f"secrets/{rig.namespace}/never" not in doors


def test_the_executors_own_account_is_spared_once(rig: Rig) -> None:
    """It is in the target that people sign: nothing there is said twice."""
    for name in ("bot", "executor"):
        rig.make(SERVICE_ACCOUNTS, name, {})
    account = f"{rig.namespace}/executor"
    subject = {"kind": "ServiceAccount", "name": "executor", "namespace": rig.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    rig.make(CLUSTER_ROLE_BINDINGS, f"executor-{rig.namespace}", {"subjects": [subject], "roleRef": role})
    rig.secrets.held["own"] = rig.plane.token_kubeconfig("own", rig.token("executor"))
    context: Any = {"credential": "own", "as": "own"}
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"], **context)

    target = proposal(provider, UNBIND).target

    assert [account] == target.params["spared"]


def until_two_pods(rig: Rig) -> None:
    """Wait until a Deployment has made its pods."""
    end = time.monotonic() + 20
    while len(rig.plane.call("GET", PODS.path(rig.namespace))["items"]) != 2:
        assert time.monotonic() < end
        time.sleep(0.1)
