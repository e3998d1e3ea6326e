"""Rights and tokens that the agent makes for itself between the plan and the end of the stop."""

from __future__ import annotations

import time
from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_kubernetes.actions import bindings, group_bindings, service_accounts
from breakglass_kubernetes.kinds import (
    CLUSTER_ROLE_BINDINGS,
    PODS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from breakglass_kubernetes.sandbox.api import ApiError
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, undo

RBAC = "rbac.authorization.k8s.io"
MERGE = "application/merge-patch+json"
STRANGER = {"kind": "User", "name": "stranger", "apiGroup": RBAC}
UNBIND, UNGROUP, TOKENS = bindings.SPEC.name, group_bindings.SPEC.name, service_accounts.SPEC.name


def account(rig: Rig, name: str = "bot") -> dict[str, Any]:
    """Make a service account; return it as a subject."""
    rig.make(SERVICE_ACCOUNTS, name, {})
    return {"kind": "ServiceAccount", "name": name, "namespace": rig.namespace}


def bind(rig: Rig, name: str, *subjects: dict[str, Any], role: str = "view", wide: bool = False) -> None:
    """Bind subjects to a ClusterRole."""
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    kind = CLUSTER_ROLE_BINDINGS if wide else ROLE_BINDINGS
    rig.make(kind, name, {"roleRef": ref, "subjects": list(subjects)})


def status(rig: Rig, token: str, path: str) -> int:
    """Return what a call with a token gets."""
    try:
        rig.plane.call("GET", path, token=token)
    except ApiError as error:
        return error.status
    return 200


def subjects(rig: Rig, name: str) -> list[dict[str, Any]]:
    """Return the subjects of a RoleBinding."""
    found: list[dict[str, Any]] = rig.get(ROLE_BINDINGS, name).get("subjects", [])
    return found


def test_what_the_agent_binds_after_the_plan_is_cut_and_never_put_back(rig: Rig) -> None:
    """A binding of its own making, and itself in one that was there; what it had before comes back."""
    bot = account(rig)
    bind(rig, "before", bot, STRANGER)
    bind(rig, "others", STRANGER)
    bind(rig, "again", bot)
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step, action = proposal(provider, UNBIND), provider.actions[UNBIND]
    bind(rig, "made", bot, STRANGER, role="admin")
    rig.plane.call(
        "PATCH",
        ROLE_BINDINGS.path(rig.namespace, "others"),
        {"subjects": [STRANGER, bot]},
        content_type=MERGE,
    )
    rig.plane.call("DELETE", ROLE_BINDINGS.path(rig.namespace, "again"))
    bind(rig, "again", bot, role="cluster-admin")

    prior, _ = close(action, step.target)
    reversal = undo(action, step.target, prior)

    assert [bot, STRANGER] == subjects(rig, "before")
    assert [STRANGER] == subjects(rig, "made")
    assert [STRANGER] == subjects(rig, "others")
    assert [] == subjects(rig, "again")
    told = {key.rsplit("/", 1)[1]: outcome for key, outcome in reversal.objects.items()}
    assert Outcome.RESTORED is told.pop("before")
    assert {"made": Outcome.ENDED, "others": Outcome.ENDED, "again": Outcome.ENDED} == told
    assert "after the plan" in reversal.reason
    for name in ("made", "others", "again"):
        assert "breakglass" not in str(rig.get(ROLE_BINDINGS, name)["metadata"]["managedFields"])


def test_a_group_that_the_agent_binds_after_the_plan_is_never_put_back(rig: Rig) -> None:
    """The group of its own namespace."""
    account(rig)
    mine = {"kind": "Group", "name": f"system:serviceaccounts:{rig.namespace}", "apiGroup": RBAC}
    bind(rig, "before", mine)
    provider = rig.provider(namespace=rig.namespace, own_namespace=True)
    step, action = proposal(provider, UNGROUP), provider.actions[UNGROUP]
    bind(rig, "made", mine, role="admin")

    prior, _ = close(action, step.target)
    undo(action, step.target, prior)

    assert [mine] == subjects(rig, "before")
    assert [] == subjects(rig, "made")


def test_an_account_made_anew_by_a_deployer_keeps_a_shared_group_open(rig: Rig) -> None:
    """Its tokens have the rights of the group: the step that deletes accounts does not close that door."""
    account(rig)
    account(rig, "neighbour")
    everyone = {"kind": "Group", "name": f"system:serviceaccounts:{rig.namespace}", "apiGroup": RBAC}
    bind(rig, "everyone", everyone, role="edit")
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step, action = proposal(provider, TOKENS), provider.actions[TOKENS]
    action.apply(step.target, action.observe(step.target), "token")
    assert Verdict.CONTAINED is action.judge(step.target, action.observe(step.target)).verdict

    account(rig)
    for _ in range(3):
        action.apply(step.target, action.observe(step.target), "token")
    token = rig.token("bot")  # as a kubelet, or a deployer, gets one

    assert 200 == status(rig, token, SECRETS.path(rig.namespace))
    said = action.judge(step.target, action.observe(step.target))
    assert Verdict.CONTAINED is not said.verdict, said.reason
    assert "everyone" in said.reason


def test_an_account_made_anew_without_a_shared_group_is_closed_once_it_is_emptied(rig: Rig) -> None:
    """Nothing is open then: it has the rights of everybody alone."""
    account(rig)
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step, action = proposal(provider, TOKENS), provider.actions[TOKENS]
    action.apply(step.target, action.observe(step.target), "token")
    account(rig)
    close(action, step.target)


@pytest.mark.timeout(60)
def test_tokens_bound_to_objects_and_of_other_audiences_die_with_the_account(rig: Rig) -> None:
    """Here; who checks a token of another audience by its signature alone takes it until it expires."""
    account(rig)
    source = {"serviceAccountToken": {"path": "t", "audience": "sts.example.com", "expirationSeconds": 86400}}
    rig.pod("host", account="bot", volumes=[{"name": "cloud", "projected": {"sources": [source]}}])
    rig.make(SECRETS, "anchor", {})
    made: list[str] = []
    for spec in (
        {},
        {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "host"}},
        {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "anchor"}},
        {"audiences": ["vault"], "expirationSeconds": 86400},
    ):
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = SERVICE_ACCOUNTS.path(rig.namespace, "bot", "token")
        made.append(rig.plane.call("POST", path, body)["status"]["token"])
    me = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    provider = rig.provider()
    found = provider.discover()
    step, action = proposal(provider, TOKENS), provider.actions[TOKENS]

    close(action, step.target)
    end_s = time.monotonic() + 15  # the server remembers for ten seconds whom it let in
    while any(status(rig, token, me) != 401 for token in made) and time.monotonic() < end_s:
        time.sleep(0.5)

    for n, token in enumerate(made):
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
        asked: dict[str, Any] = {"token": token} | ({"audiences": ["vault"]} if n == 3 else {})
        said = rig.plane.call(
            "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {**review, "spec": asked}
        )
        assert said["status"].get("authenticated") is not True, n
        assert 401 == status(rig, token, me), n
    # A third party that reads the issuer's keys never asks this server.
    words = " ".join(one.door.name + one.door.reason for one in found.doors)
    words += " ".join(one.resource + one.reason for one in found.not_touched)
    assert "audience" in words
    doors = [one.door for one in found.doors if one.door.name == "tokens for sts.example.com"]
    assert [(Verdict.UNKNOWN, True)] == [(one.verdict, "86400 s" in one.reason) for one in doors]


def test_a_pod_that_names_thousands_of_secrets_holds_up_no_plan(rig: Rig) -> None:
    """A hundred are looked at; of all others it is said that they were not."""
    account(rig)
    wanted = [{"secretRef": {"name": f"s-{n}", "optional": True}} for n in range(3000)]
    box = {"name": "main", "image": "example.invalid/bot:1", "envFrom": wanted}
    rig.make(PODS, "greedy", {"metadata": {"labels": {"app": "bot"}}, "spec": {"containers": [box]}})
    started_s = time.monotonic()
    found = rig.provider().discover()

    assert time.monotonic() - started_s < 15.0
    assert "2900 more Secrets" in [one.door.name for one in found.doors]
