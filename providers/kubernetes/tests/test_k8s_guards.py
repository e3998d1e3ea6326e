"""Nothing of a stopped agent comes to life again: a real API server refuses it by our policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_kubernetes.actions.refuse_relaunch import NAME
from breakglass_kubernetes.cluster import APPLY
from breakglass_kubernetes.kinds import (
    DEPLOYMENTS,
    PODS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from breakglass_kubernetes.sandbox.process import ApiError
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, template, undo

SETTLE_S = 10.0


@contextmanager
def guarded(rig: Rig, **settings: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Let the guard stand and bite; yield its name; take it away."""
    provider = rig.provider(**settings)
    action, target = provider.actions[NAME], proposal(provider, NAME).target
    prior, last = close(action, target)
    wait_until(lambda: (said := action.probe(target)) is not None and said.verdict is Verdict.CONTAINED)
    try:
        yield next(iter(last.objects)).rpartition("/")[2]
    finally:
        undo(action, target, prior)


def wait_until(done: Callable[[], bool], *, at_most_s: float = SETTLE_S) -> float:
    """Wait and return how long it took."""
    start_s = time.monotonic()
    while not done():
        assert time.monotonic() - start_s < at_most_s
        time.sleep(0.05)
    return time.monotonic() - start_s


def refused(name: str, call: Callable[[], Any]) -> None:
    """Check that a call is refused by our policy and nothing else."""
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.status == 403
    assert f"ValidatingAdmissionPolicy '{name}'" in str(caught.value)


def apply_replicas(rig: Rig, replicas: int) -> Any:  # noqa: ANN401 - JSON
    """Do what a deployer does: apply, by force."""
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "bot", "labels": {"app": "bot"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "bot"}},
            "template": template(),
        },
    }
    query = {"fieldManager": "deployer", "force": "true"}
    return rig.plane.call(
        "PATCH", DEPLOYMENTS.path(rig.namespace, "bot"), body, content_type=APPLY, query=query
    )


def test_a_forced_apply_of_a_deployer_is_refused_until_the_restore(rig: Rig) -> None:
    """Replicas cannot come back while the guard stands, and can afterwards."""
    rig.deployment(replicas=0)
    with guarded(rig) as name:
        refused(name, lambda: apply_replicas(rig, 3))
        apply_replicas(rig, 0)

    assert apply_replicas(rig, 3)["spec"]["replicas"] == 3
    wait_until(lambda: len(rig.plane.call("GET", PODS.path(rig.namespace))["items"]) == 3)


def test_the_guard_is_proven_by_the_api_servers_own_refusal(rig: Rig) -> None:
    """The probe's grade is the platform's; before the policy bites, it says not contained."""
    provider = rig.provider()
    action, target = provider.actions[NAME], proposal(provider, NAME).target

    before = action.probe(target)
    prior, _ = close(action, target)
    took_s = wait_until(
        lambda: (said := action.probe(target)) is not None and said.verdict is Verdict.CONTAINED
    )
    after = action.probe(target)
    undo(action, target, prior)

    assert before is not None
    assert before.verdict is Verdict.NOT_CONTAINED
    assert after is not None
    assert after.grade is Grade.PLATFORM_EVALUATOR
    assert took_s < 20


def scaled(rig: Rig, replicas: int, *, name: str = "bot") -> Any:  # noqa: ANN401 - JSON
    """Do what an autoscaler does."""
    return rig.plane.call(
        "PATCH",
        DEPLOYMENTS.path(rig.namespace, name, "scale"),
        {"spec": {"replicas": replicas}},
        content_type="application/merge-patch+json",
    )


def patched(rig: Rig, path: str, change: Any) -> Any:  # noqa: ANN401 - JSON
    """Change a part of an object as the administrator."""
    return rig.plane.call("PATCH", path, change, content_type="application/merge-patch+json")


def test_an_autoscaler_scales_down_and_not_up(rig: Rig) -> None:
    """The scale subresource is guarded, too, and only where it grows."""
    rig.deployment(replicas=2)
    with guarded(rig) as name:
        refused(name, lambda: scaled(rig, 5))
        assert scaled(rig, 1)["spec"]["replicas"] == 1
        assert scaled(rig, 0)["spec"].get("replicas", 0) == 0
        refused(name, lambda: scaled(rig, 1))


def test_controllers_of_the_agent_make_no_pods_and_others_do(rig: Rig) -> None:
    """A Deployment that was there before gets no pods back; a neighbour in the namespace does."""
    rig.deployment(replicas=1)
    spec = {"selector": {"matchLabels": {"app": "other"}}, "template": template(labels={"app": "other"})}
    rig.make(DEPLOYMENTS, "other", {"spec": {**spec, "replicas": 1}})

    def pods(label: str) -> list[Any]:
        query = {"labelSelector": f"app={label}"}
        found = rig.plane.call("GET", PODS.path(rig.namespace), query=query)["items"]
        return [one for one in found if "deletionTimestamp" not in one["metadata"]]

    wait_until(lambda: len(pods("bot")) == 1 and len(pods("other")) == 1)
    with guarded(rig):
        gone = pods("bot")[0]["metadata"]["name"]
        for one in (*pods("bot"), *pods("other")):
            rig.plane.call("DELETE", PODS.path(rig.namespace, one["metadata"]["name"]))
        wait_until(lambda: len(pods("other")) == 1)
        time.sleep(2)
        assert [one for one in pods("bot") if one["metadata"]["name"] != gone] == []
        scaled(rig, 2, name="other")
        wait_until(lambda: len(pods("other")) == 2)


def test_what_brings_nothing_to_life_passes(rig: Rig) -> None:
    """Status, finalizers, labels, fewer replicas and deletions go on, for the agent's own objects."""
    rig.deployment(replicas=2)
    path = DEPLOYMENTS.path(rig.namespace, "bot")
    with guarded(rig) as name:
        patched(rig, path, {"metadata": {"finalizers": ["example.com/hold"], "labels": {"seen": "yes"}}})
        patched(rig, f"{path}/status", {"status": {"observedGeneration": 1}})
        refused(
            name, lambda: patched(rig, path, {"spec": {"template": {"metadata": {"labels": {"x": "y"}}}}})
        )
        patched(rig, path, {"spec": {"replicas": 0}})
        patched(rig, path, {"spec": {"template": {"metadata": {"labels": {"x": "y"}}}}})
        rig.plane.call("DELETE", path)
        patched(rig, path, {"metadata": {"finalizers": None}})
        wait_until(lambda: not exists(rig, path))


def exists(rig: Rig, path: str) -> bool:
    """Return whether an object is there."""
    try:
        rig.plane.call("GET", path)
    except ApiError as error:
        if error.status != 404:
            raise
        return False
    return True


def test_a_token_a_token_secret_and_a_binding_of_its_account_are_refused(rig: Rig) -> None:
    """Nothing gives the agent's account a right or a token; a neighbour's account gets both."""
    for account in ("agent", "other"):
        rig.make(SERVICE_ACCOUNTS, account, {})
    rig.make(ROLE_BINDINGS, "before", binding("agent"))
    with guarded(rig, service_accounts=[f"{rig.namespace}/agent"]) as name:
        refused(name, lambda: rig.token("agent"))
        refused(name, lambda: rig.make(SECRETS, "token", token_secret("agent")))
        refused(name, lambda: rig.make(ROLE_BINDINGS, "new", binding("agent")))
        here = {"kind": "ServiceAccount", "name": "agent", "namespace": rig.namespace}
        refused(name, lambda: rig.make(ROLE_BINDINGS, "new", {**binding("other"), "subjects": [here]}))
        as_user = {"kind": "User", "name": f"system:serviceaccount:{rig.namespace}:agent"}
        refused(name, lambda: rig.make(ROLE_BINDINGS, "new", binding("other", as_user)))
        everybody = {"kind": "Group", "name": f"system:serviceaccounts:{rig.namespace}"}
        refused(name, lambda: rig.make(ROLE_BINDINGS, "new", binding("other", everybody)))
        patched(rig, ROLE_BINDINGS.path(rig.namespace, "before"), {"metadata": {"labels": {"seen": "yes"}}})
        refused(name, lambda: rig.pod("runs-as-it", labels={"app": "x"}, account="agent"))
        rig.plane.call("DELETE", SERVICE_ACCOUNTS.path(rig.namespace, "agent"))
        refused(name, lambda: rig.make(SERVICE_ACCOUNTS, "agent", {}))
        assert rig.token("other")
        rig.make(SECRETS, "token", token_secret("other"))
        rig.make(ROLE_BINDINGS, "new", binding("other"))
        path = ROLE_BINDINGS.path(rig.namespace, "new")
        refused(name, lambda: patched(rig, path, {"subjects": binding("agent")["subjects"]}))


def binding(account: str, *more: dict[str, str]) -> dict[str, Any]:
    """Return a RoleBinding of an account."""
    subjects: list[dict[str, str]] = [{"kind": "ServiceAccount", "name": account}]
    subjects += [{"apiGroup": "rbac.authorization.k8s.io", **one} for one in more]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    return {"subjects": subjects, "roleRef": role}


def token_secret(account: str) -> dict[str, Any]:
    """Return a Secret that asks for a token."""
    about = {"annotations": {"kubernetes.io/service-account.name": account}}
    return {"metadata": about, "type": "kubernetes.io/service-account-token"}


def test_whom_the_agent_is_gets_nothing_made(rig: Rig) -> None:
    """A user that is the agent's makes no pod anywhere, whatever rights it has."""
    elsewhere = rig.new_namespace(f"{rig.namespace}-else")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "mine"},
        "spec": template()["spec"],
    }
    with guarded(rig, users=["bot@example.com", "bot@example.org"]) as name:
        for user in ("bot@example.com", "bot@example.org"):
            refused(
                name,
                lambda user=user: rig.plane.call(  # type: ignore[misc]  # mypy cannot infer it
                    "POST", PODS.path(elsewhere), pod, user=user
                ),
            )
        rig.plane.call("POST", PODS.path(elsewhere), pod, user="somebody")


def test_the_break_glass_group_passes_and_its_marked_dry_run_does_not(rig: Rig) -> None:
    """The executor makes what it wants of the agent's; whoever is not in the group does not."""
    rig.deployment(replicas=0)
    settings = {"namespace": rig.namespace, "selector": "app=bot", "break_glass_group": "breakers"}
    groups = ("breakers", "system:masters")
    path, grow = DEPLOYMENTS.path(rig.namespace, "bot"), {"spec": {"replicas": 1}}
    with guarded(rig, groups=groups, **settings) as name:
        refused(name, lambda: patched(rig, path, grow))
        merge = "application/merge-patch+json"
        done = rig.plane.call("PATCH", path, grow, content_type=merge, user="other", groups=groups)
        assert done["spec"]["replicas"] == 1


def test_a_guard_that_was_deleted_or_softened_is_put_back(rig: Rig) -> None:
    """Rounds make it whole again; a binding that only audits is not contained."""
    provider = rig.provider()
    action, target = provider.actions[NAME], proposal(provider, NAME).target
    prior, last = close(action, target)
    policy, bound = sorted(last.objects)
    paths = [
        f"/apis/admissionregistration.k8s.io/v1/{one.partition('.')[0]}/{one.partition('/')[2]}"
        for one in (policy, bound)
    ]
    paths.sort(key=len)

    patched(rig, paths[1], {"spec": {"validationActions": ["Audit"]}})
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    close(action, target)
    patched(rig, paths[0], {"spec": {"failurePolicy": "Ignore"}, "metadata": {"finalizers": ["a/b"]}})
    rig.plane.call("DELETE", paths[0])
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    close(action, target)

    assert set(undo(action, target, prior).objects.values()) == {Outcome.RESTORED}
    assert set(undo(action, target, prior).objects.values()) == {Outcome.ALREADY}


def test_a_namespace_of_the_agent_can_be_deleted(rig: Rig) -> None:
    """The namespace controller goes on; so do kube-system's own controllers."""
    own = rig.new_namespace(f"{rig.namespace}-own")
    rig.make(DEPLOYMENTS, "bot", {"spec": deployment_spec()}, namespace=own)
    with guarded(rig, namespace=own, own_namespace=True) as name:
        refused(name, lambda: rig.make(PODS, "new", template(), namespace=own))
        refused(name, lambda: rig.token("default", namespace=own))
        rig.plane.call("DELETE", f"/api/v1/namespaces/{own}")
        wait_until(lambda: not exists(rig, f"/api/v1/namespaces/{own}"), at_most_s=60)
        fresh = rig.new_namespace(f"{rig.namespace}-fresh")
        assert exists(rig, SERVICE_ACCOUNTS.path(fresh, "default"))


def deployment_spec(*, replicas: int = 1) -> dict[str, Any]:
    """Return the spec of a Deployment of the agent's."""
    return {"replicas": replicas, "selector": {"matchLabels": {"app": "bot"}}, "template": template()}
