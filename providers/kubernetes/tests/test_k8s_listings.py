"""Listings: one for all who wait, one for many namespaces, one for many objects; never an old answer."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

from breakglass_kubernetes import kinds
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.glance import FEW, glance
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.pace import BURST
from providers.kubernetes.tests.rig_k8s import EXECUTOR, Rig

CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap")
RBAC = "rbac.authorization.k8s.io"
WAITING = 12


def _count(rig: Rig, since: int, verb: str, user: str = EXECUTOR) -> int:
    calls = (one for one in rig.plane.audit(since) if one["user"]["username"] == user)
    return sum(
        one["verb"] == verb and one.get("objectRef", {}).get("resource") == "configmaps" for one in calls
    )


def _use_up(cluster: Cluster) -> None:
    # More than the burst: some tokens come back meanwhile.
    cluster.each(range(int(1.7 * BURST)), lambda _: cluster.get(kinds.NAMESPACES, "", "default"))


def test_who_waits_for_the_same_listing_gets_one_that_begins_after_all_of_them_asked(rig: Rig) -> None:
    """At the rate limit a dozen readers take a few calls, and each sees what was there when it asked."""
    cluster = rig.provider().cluster
    rig.make(CONFIG_MAPS, "first", {})
    since = len(rig.plane.audit())
    _use_up(cluster)
    with ThreadPoolExecutor(WAITING) as pool:
        found = list(pool.map(lambda _: cluster.every(CONFIG_MAPS, rig.namespace), range(WAITING)))

    assert all({"first"} <= {one["metadata"]["name"] for one in listed} for listed in found)
    assert 1 <= _count(rig, since, "list") <= WAITING // 2
    rig.make(CONFIG_MAPS, "second", {})
    listed = cluster.every(CONFIG_MAPS, rig.namespace)
    assert {"first", "second"} <= {one["metadata"]["name"] for one in listed}


def test_several_namespaces_are_one_listing_and_each_its_own_where_only_that_is_allowed(rig: Rig) -> None:
    """An executor with rights in the agent's namespaces alone reads the same; the whole is asked for once."""
    other = rig.new_namespace(f"{rig.namespace}-other")
    user = f"narrow-{secrets.token_hex(3)}"
    subject = [{"kind": "User", "apiGroup": RBAC, "name": user}]
    rules = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]
    rig.make(kinds.CLUSTER_ROLES, user, {"rules": rules})
    whole = {"apiGroup": RBAC, "kind": "ClusterRole", "name": user}
    rig.make(kinds.CLUSTER_ROLE_BINDINGS, user, {"subjects": subject, "roleRef": whole})
    for namespace in (rig.namespace, other):
        rig.make(CONFIG_MAPS, "mine", {}, namespace=namespace)
        reads = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
        rig.make(kinds.ROLES, user, {"rules": reads}, namespace=namespace)
        role = {"apiGroup": RBAC, "kind": "Role", "name": user}
        rig.make(kinds.ROLE_BINDINGS, user, {"subjects": subject, "roleRef": role}, namespace=namespace)
    places = (rig.namespace, other)
    wide, narrow = rig.provider().cluster, rig.provider(user=user, groups=()).cluster

    since = len(rig.plane.audit())
    found = wide.list_in(CONFIG_MAPS, places)
    assert _count(rig, since, "list") == 1
    narrow.list_in(CONFIG_MAPS, places)
    since = len(rig.plane.audit())
    again = narrow.list_in(CONFIG_MAPS, places)
    assert _count(rig, since, "list", user) == len(places)
    uids = {one["metadata"]["uid"] for one in found}
    assert {one["metadata"]["uid"] for one in again} == uids
    assert {one["metadata"]["namespace"] for one in found} == {*places}


def test_many_objects_are_read_by_one_listing_and_the_second_look_is_a_new_one(rig: Rig) -> None:
    """What is not there is known from the listing, too."""
    cluster = rig.provider().cluster
    names = [f"one-{n}" for n in range(FEW + 5)]
    for name in names:
        rig.make(CONFIG_MAPS, name, {"data": {"is": "old"}})
    since = len(rig.plane.audit())
    read = glance(cluster, CONFIG_MAPS, [(rig.namespace, name) for name in (*names, "absent")])

    assert all(read(rig.namespace, name) is not None for name in names)
    assert read(rig.namespace, "absent") is None
    assert (_count(rig, since, "list"), _count(rig, since, "get")) == (1, 0)
    path = CONFIG_MAPS.path(rig.namespace, names[0])
    rig.plane.call("PATCH", path, {"data": {"is": "new"}}, content_type="application/merge-patch+json")
    assert (read(rig.namespace, names[0]) or {})["data"] == {"is": "new"}
