"""Binds an executor to exactly the role that `providers show kubernetes --rbac` prints, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.model.resource import Reach
from breakglass_kubernetes import permissions
from breakglass_kubernetes.connect import KubernetesProvider
from breakglass_kubernetes.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES
from providers.kubernetes.tests.rig_k8s import EXECUTOR, SELECTOR, Rig

RBAC = "rbac.authorization.k8s.io"


def bind(rig: Rig, user: str, settings: Mapping[str, Json], purpose: str = permissions.BOTH) -> None:
    """Give `user` the printed role for an agent, under names of this test's own."""
    (role,) = permissions.documents(purpose, [Reach("kubernetes", dict(settings), "test")])
    name = f"{user}-{rig.namespace}"
    rig.make(CLUSTER_ROLES, name, {"rules": role["rules"]}, namespace="-")
    body = {
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": user}],
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
    }
    rig.make(CLUSTER_ROLE_BINDINGS, name, body, namespace="-")


def least(rig: Rig, *, user: str = EXECUTOR, **settings: Json) -> KubernetesProvider:
    """Connect as an executor that holds the printed role, and is in no group."""
    whole: dict[str, Json] = settings or {"namespace": rig.namespace, "selector": SELECTOR}
    bind(rig, user, whole)
    return rig.provider(user=user, groups=(), **whole)
