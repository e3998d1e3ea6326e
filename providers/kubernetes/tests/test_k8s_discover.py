"""Discovery finds what the agent is, whatever it is called and wherever it lies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from breakglass.canon import Json
from breakglass.clock import Instant
from breakglass.provider import Discovery
from breakglass_kubernetes.connect import KubernetesProvider
from breakglass_kubernetes.discover.gather import Gathered, gather
from breakglass_kubernetes.kinds import (
    CRON_JOBS,
    DEPLOYMENTS,
    PODS,
    SERVICE_ACCOUNTS,
    VALIDATING_WEBHOOKS,
)
from breakglass_kubernetes.sandbox.process import Sandbox
from breakglass_kubernetes.scope import AGENT_LABEL
from breakglass_kubernetes.whoami import Me, whoami
from providers.kubernetes.tests.rig_k8s import SELECTOR, Rig, template

OTHERS = {"app": "other"}


def gathered(provider: KubernetesProvider, me: Me | None = None) -> Gathered:
    """Return what discovery hands to the parts."""
    return gather(provider.cluster, me or whoami(provider.cluster))


def deployment(rig: Rig, name: str, *, account: str = "", namespace: str = "", **about: Any) -> None:  # noqa: ANN401 - JSON
    """Make somebody's Deployment, which is not selected."""
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": OTHERS},
        "template": template(labels=OTHERS, account=account),
    }
    rig.make(DEPLOYMENTS, name, {"metadata": about, "spec": spec}, namespace=namespace)


def label(rig: Rig) -> dict[str, str]:
    """Return the label of this test's agent: each has one of its own."""
    return {AGENT_LABEL: rig.namespace}


def connect(rig: Rig, born: str = "", later_s: float = 0, **settings: Json) -> KubernetesProvider:
    """Connect for this test's agent; `born` and what is later than that: when the harm began."""
    provider = rig.provider(**settings)  # type: ignore[arg-type]  # no key of a reach is one of its own arguments here
    agent = replace(provider.cluster.connection.agent, name=rig.namespace)
    since = Instant.parse(born).plus(later_s) if born else None
    provider.cluster.connection = replace(provider.cluster.connection, agent=agent, since=since)
    return provider


def names(discovery: Discovery) -> set[str]:
    """Return the principals."""
    return {one.id for one in discovery.principals}


def left(found: Gathered) -> str:
    """Return everything that is said of what is not touched."""
    return "\n".join(f"{one.resource}: {one.reason}" for one in found.proposed.not_touched)


def doors(found: Gathered) -> str:
    """Return every door in words."""
    return "\n".join(f"{one.door.kind} {one.door.name}: {one.door.reason}" for one in found.proposed.doors)


def test_the_account_of_its_workload_is_its_own_without_being_named(rig: Rig) -> None:
    """Its origin says why."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rig.deployment(account="bot")
    found = gathered(connect(rig))
    key = f"{rig.namespace}/bot"
    assert found.found.scope.accounts == (key,)
    assert "runs as it" in found.found.origins[f"serviceaccounts/{key}"]


def test_a_label_counts_in_any_namespace_on_workloads_pods_and_accounts(rig: Rig) -> None:
    """And on a template alone it counts by its pods."""
    far = rig.new_namespace(f"{rig.namespace}-far")
    rig.make(SERVICE_ACCOUNTS, "friend", {"metadata": {"labels": label(rig)}}, namespace=far)
    deployment(rig, "labelled", namespace=far, labels=label(rig))
    deployment(rig, "neighbour", namespace=far)
    found = gathered(connect(rig))
    keys = {thing.key for thing in found.found.held.roots}
    assert f"deployments.apps/{far}/labelled" in keys
    assert f"deployments.apps/{far}/neighbour" not in keys
    assert f"{far}/friend" in found.found.scope.accounts
    assert far in found.found.scope.labelled
    assert "may have set itself" in found.found.origins[f"namespaces/{far}"]


def test_a_labelled_namespace_is_its_own_and_kube_system_never(rig: Rig) -> None:
    """Whoever may label kube-system must not make the stop take the cluster down."""
    mine = rig.new_namespace(f"{rig.namespace}-mine")
    labelled = {"metadata": {"labels": label(rig)}}
    merge = "application/merge-patch+json"
    for name in (mine, "kube-system"):
        rig.plane.call("PATCH", f"/api/v1/namespaces/{name}", labelled, content_type=merge)
    try:
        deployment(rig, "any", namespace=mine)
        found = gathered(connect(rig))
    finally:
        gone = {"metadata": {"labels": dict.fromkeys(label(rig))}}
        rig.plane.call("PATCH", "/api/v1/namespaces/kube-system", gone, content_type=merge)
    assert found.found.scope.own == (mine,)
    assert "namespaces/kube-system" in left(found)
    assert f"deployments.apps/{mine}/any" in {thing.key for thing in found.found.held.roots}


def test_everything_in_its_own_namespace_is_its_own_accounts_too(rig: Rig) -> None:
    """Whatever labels it has."""
    rig.make(SERVICE_ACCOUNTS, "spare", {})
    deployment(rig, "any")
    found = gathered(connect(rig, namespace=rig.namespace, own_namespace=True))
    assert {f"{rig.namespace}/spare"} <= set(found.found.scope.accounts)
    assert len(found.found.held.of(DEPLOYMENTS)) == 1


def test_older_users_of_its_account_are_sharers_and_newer_ones_copies(rig: Rig) -> None:
    """Since the harm began: the one that it made of itself without a label is stopped with it."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rig.deployment(account="bot")
    deployment(rig, "copy", account="bot")
    born = rig.get(DEPLOYMENTS, "copy")["metadata"]["creationTimestamp"]
    account, key = f"{rig.namespace}/bot", f"deployments.apps/{rig.namespace}/copy"
    now = connect(rig, born, 0)
    copied = gathered(now).found
    assert (copied.scope.accounts, copied.scope.shared) == ((account,), ())
    assert key in {thing.key for thing in copied.held.roots}
    assert "since the harm began" in copied.origins[key]
    shared = gathered(connect(rig, born, 1)).found
    assert (shared.scope.accounts, shared.scope.shared) == ((), (account,))
    assert shared.sharers == {account: (key,)}
    assert key not in {thing.key for thing in shared.held.roots}


def test_a_shared_account_whose_blast_radius_is_accepted_is_taken_whole(rig: Rig) -> None:
    """The inventory says so, and two people sign what it hits."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rig.deployment(account="bot")
    deployment(rig, "neighbour", account="bot")
    account = f"{rig.namespace}/bot"
    found = gathered(
        connect(rig, namespace=rig.namespace, selector=SELECTOR, accept_blast_radius=[account])
    ).found
    assert (found.scope.accounts, found.scope.shared) == ((account,), ())
    assert found.sharers[account] == (f"deployments.apps/{rig.namespace}/neighbour",)


def test_not_knowing_since_when_a_sharer_of_a_named_account_may_be_a_copy(rig: Rig) -> None:
    """It stays a door; of the default account it is only said, or no shared namespace could be stopped."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rig.deployment(account="bot")
    rig.pod("plain")
    deployment(rig, "neighbour", account="bot")
    deployment(rig, "other")
    found = gathered(connect(rig))
    assert f"serviceaccounts/{rig.namespace}/bot" in doors(found)
    assert f"serviceaccounts/{rig.namespace}/default" not in doors(found)
    assert "other" in left(found)


def test_what_a_field_manager_of_its_own_made_is_its_own_anywhere(rig: Rig) -> None:
    """Only what it created: changing a neighbour's does not make that one the agent's."""
    far = rig.new_namespace(f"{rig.namespace}-far")
    path, by = DEPLOYMENTS.path(far), {"fieldManager": f"bot-{rig.namespace}"}
    spec = {"selector": {"matchLabels": OTHERS}, "template": template(labels=OTHERS)}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "made"}, "spec": spec}
    rig.plane.call("POST", path, body, query=by)
    deployment(rig, "theirs", namespace=far)
    note = {"metadata": {"annotations": {"x": "y"}}}
    kind = "application/merge-patch+json"
    rig.plane.call("PATCH", f"{path}/theirs", note, query=by, content_type=kind)
    about = {"name": "helper", "annotations": {"by": "bot"}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about}
    rig.plane.call("POST", SERVICE_ACCOUNTS.path(far), account, query=by)
    found = gathered(
        connect(rig, namespace=rig.namespace, selector=SELECTOR, field_managers=[f"bot-{rig.namespace}"])
    ).found
    assert f"deployments.apps/{far}/made" in found.scope.workloads
    assert f"deployments.apps/{far}/theirs" not in found.scope.workloads
    assert f"{far}/helper" in found.scope.accounts


def test_the_executors_own_workload_is_spared_even_with_the_agents_label(rig: Rig) -> None:
    """The agent may label it: it must not be able to make the stop end its own executor."""
    home = rig.new_namespace(f"{rig.namespace}-ops")
    rig.make(SERVICE_ACCOUNTS, "executor", {"metadata": {"labels": label(rig)}}, namespace=home)
    deployment(rig, "executor", account="executor", namespace=home, labels=label(rig))
    me = Me(f"system:serviceaccount:{home}:executor", ())
    found = gathered(connect(rig), me)
    assert f"{home}/executor" not in found.found.scope.every_account
    assert not found.found.held.of(DEPLOYMENTS)
    assert "runs as the executor's own account" in doors(found)


def test_privileged_pods_make_their_node_a_door(rig: Rig) -> None:
    """Its processes may be root there: nothing in the cluster proves that they are gone."""
    rig.pod("strong", hostPID=True, nodeName="node-of-nobody")
    volumes = [{"name": "root", "hostPath": {"path": "/"}}]
    mounts = [{"name": "root", "mountPath": "/host", "readOnly": True}]
    container = {"name": "main", "image": "example.invalid/x", "volumeMounts": mounts}
    rig.deployment("mounts", replicas=0, volumes=volumes, containers=[container])
    found = gathered(connect(rig))
    assert "privileged node node-of-nobody" in doors(found)
    assert "hostPID" in doors(found)


def test_a_namespace_that_is_not_there_is_incomplete_not_empty(rig: Rig) -> None:
    """A slip of the pen would else be a stop that found nothing and proved it."""
    found = gathered(connect(rig, namespace=f"{rig.namespace}-slip", selector=SELECTOR))
    assert any("is not there" in one for one in found.proposed.incomplete)


def test_neighbours_in_its_namespace_are_counted_before_anyone_signs(rig: Rig) -> None:
    """Who else is touched, or not."""
    rig.deployment()
    deployment(rig, "other")
    assert "1 others in it" in left(gathered(connect(rig)))


def test_a_webhook_that_it_labelled_is_handed_on(rig: Rig) -> None:
    """What stops webhooks reads it there."""
    hook = {"metadata": {"labels": label(rig)}, "webhooks": []}
    rig.make(VALIDATING_WEBHOOKS, f"hook-{rig.namespace}", hook)
    assert f"validating/hook-{rig.namespace}" in gathered(connect(rig)).found.webhooks


def test_what_comes_and_goes_with_its_work_is_no_new_principal(rig: Rig) -> None:
    """Pods, jobs of a CronJob, a new Deployment under its selector: the signed container covers them."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rig.deployment(account="bot")
    provider = connect(rig)
    before = names(provider.discover())
    rig.pod("new")
    pod = template()
    once = {"template": {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}}
    cron = {"schedule": "* * * * *", "jobTemplate": {"spec": once}}
    rig.make(CRON_JOBS, "each-minute", {"metadata": {"labels": {"app": "bot"}}, "spec": cron})
    later = names(provider.discover())
    assert later - before == {f"{rig.namespace}/default"}


def test_an_account_a_namespace_and_a_newcomer_are_new_principals(rig: Rig) -> None:
    """What the signed container does not cover is found, not signed."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rig.deployment(account="bot")
    deployment(rig, "neighbour", account="bot")
    far = rig.new_namespace(f"{rig.namespace}-far")
    provider = connect(rig)
    before = names(provider.discover())
    rig.make(SERVICE_ACCOUNTS, "second", {"metadata": {"labels": label(rig)}}, namespace=far)
    deployment(rig, "labelled", namespace=far, labels=label(rig))
    deployment(rig, "copy", account="bot")
    assert {far, f"{far}/second", f"deployments.apps/{rig.namespace}/copy"} <= names(
        provider.discover()
    ) - before


def test_an_executor_that_may_not_list_says_so_and_finds_the_rest(rig: Rig, plane: Sandbox) -> None:
    """One refused kind is no reason to see nothing, and none to call it whole."""
    rig.deployment()
    group = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]},
    ]
    name = f"narrow-{rig.namespace}"
    about = {"apiVersion": f"{group}/v1", "metadata": {"name": name}}
    base = f"/apis/{group}/v1"
    plane.call("POST", f"{base}/clusterroles", {**about, "kind": "ClusterRole", "rules": rules})
    bound = {
        "subjects": [{"kind": "User", "apiGroup": group, "name": name}],
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
    }
    plane.call("POST", f"{base}/clusterrolebindings", {**about, "kind": "ClusterRoleBinding", **bound})
    found = gathered(rig.provider(user=name, groups=()))
    assert len(found.found.held.of(DEPLOYMENTS)) == 1
    assert any("pods could not be listed" in one for one in found.proposed.incomplete)
    assert not found.found.held.of(PODS)


def test_a_hundred_namespaces_are_a_handful_of_calls(rig: Rig) -> None:
    """Of each kind one listing, whatever the number of namespaces and accounts."""
    many: list[Json] = [f"{rig.namespace}-{n}" for n in range(100)]
    user = f"counted-{rig.namespace}"
    provider = connect(rig, user=user, namespaces=many, selector=SELECTOR)
    before = len(rig.plane.audit())
    gathered(provider)
    events = rig.plane.audit(before)
    assert 0 < len([one for one in events if one["user"]["username"] == user]) < 60
