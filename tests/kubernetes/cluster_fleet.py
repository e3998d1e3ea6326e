"""An agent in a real cluster, an executor with exactly its printed rights, and the operators who stop it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from breakglass.canon import Json
from breakglass.model.resource import Reach
from breakglass.report.build import Report
from breakglass_kubernetes import kinds, permissions
from breakglass_kubernetes.drill_listing import digest_of, named
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.sandbox.api import ApiError
from breakglass_kubernetes.sandbox.process import Sandbox
from tests.hosts.fleet import Fleet, quick_fleet

EXECUTOR = "kubernetes-executor"
USER = "breakglass-executor"
GROUP = "breakglass:executors"
RBAC = "rbac.authorization.k8s.io"
LABELS = {"app": "rogue"}
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap")
LISTED = (
    *kinds.BUILT_IN.values(),
    kinds.ADMISSION_POLICIES,
    kinds.ADMISSION_BINDINGS,
    kinds.VALIDATING_WEBHOOKS,
    kinds.MUTATING_WEBHOOKS,
    kinds.API_SERVICES,
)


@dataclass(slots=True)
class Cluster:
    """A control plane, and what a test makes in it."""

    plane: Sandbox
    namespace: str
    held: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, Json] = field(default_factory=dict)

    def make(self, kind: Kind, name: str, body: Mapping[str, Any], *, namespace: str = "") -> dict[str, Any]:
        """Create an object as the administrator; `body` holds all but apiVersion, kind and the name."""
        about = {**body.get("metadata", {}), "name": name}
        whole = {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": about}
        made: dict[str, Any] = self.plane.call("POST", kind.path(namespace or self.namespace), whole)
        return made

    def account(self, name: str = "rogue", *, role: Sequence[Mapping[str, Any]] = ()) -> None:
        """Make a service account, bound in its namespace to a role with these rules."""
        self.make(kinds.SERVICE_ACCOUNTS, name, {})
        if role:
            self.make(kinds.ROLES, name, {"rules": list(role)})
            subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
            whole = {"subjects": [subject], "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name}}
            self.make(kinds.ROLE_BINDINGS, name, whole)

    def deployment(self, name: str = "rogue", *, replicas: int = 2, account: str = "") -> None:
        """Make a Deployment of the agent's."""
        labels = LABELS | {"part": name}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template(labels, account),
        }
        self.make(kinds.DEPLOYMENTS, name, {"metadata": {"labels": LABELS}, "spec": spec})

    def pods(self) -> list[dict[str, Any]]:
        """Return the pods of the namespace."""
        found: list[dict[str, Any]] = self.plane.call("GET", kinds.PODS.path(self.namespace))["items"]
        return found

    def token(self, account: str = "rogue", *, seconds: int = 3600) -> str:
        """Mint a token of an account."""
        path = kinds.SERVICE_ACCOUNTS.path(self.namespace, account, "token")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        made = self.plane.call("POST", path, {**body, "spec": {"expirationSeconds": seconds}})
        return str(made["status"]["token"])

    def hold_token(self, account: str = "rogue") -> str:
        """Mint a token and give it to the executor, too, for proof."""
        token = self.token(account)
        self.held[f"token-{account}"] = token.encode()
        mapping = self.settings.setdefault("agent_tokens", {})
        assert isinstance(mapping, dict)
        mapping[f"{self.namespace}/{account}"] = f"token-{account}"
        return token

    def make_executor(self, **settings: Json) -> None:
        """Bind the executor's group to exactly the roles that are printed, for stop and restore."""
        self.held[EXECUTOR] = self.plane.kubeconfig(USER, (GROUP,))
        whole: dict[str, Any] = {
            name: one for name, one in self.reach(**settings).items() if name != "provider"
        }
        for purpose in ("stop", "restore"):
            for n, role in enumerate(permissions.documents(purpose, [Reach("kubernetes", whole, "test")])):
                if role["kind"] != "ClusterRole":
                    continue
                name = f"{USER}-{purpose}-{n}-{self.namespace}"
                self.make(kinds.CLUSTER_ROLES, name, {"rules": role["rules"]})
                body = {
                    "subjects": [{"kind": "Group", "apiGroup": RBAC, "name": GROUP}],
                    "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
                }
                self.make(kinds.CLUSTER_ROLE_BINDINGS, name, body)

    def reach(self, **settings: Json) -> dict[str, object]:
        """Return how an inventory names the agent here."""
        return {
            "provider": "kubernetes",
            "server": self.plane.server,
            "cluster_uid": self.plane.cluster_uid,
            "credential": EXECUTOR,
            "sandbox": True,
            "break_glass_group": GROUP,
            "namespace": self.namespace,
            "selector": "app=rogue",
            **self.settings,
            **settings,
        }

    def listing(self) -> dict[str, str]:
        """Return a digest of everything in the cluster that a restore must bring back."""
        found: dict[str, str] = {}
        for kind in LISTED:
            for body in self.plane.call("GET", kind.path())["items"]:
                found[named(kind, body)] = digest_of(kind, body)
        found.pop("", None)
        return found


def template(labels: Mapping[str, str], account: str = "", **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a pod template."""
    whole: dict[str, Any] = {"containers": [{"name": "main", "image": "example.invalid/bot:1"}], **spec}
    whole.setdefault("terminationGracePeriodSeconds", 2)
    if account:
        whole["serviceAccountName"] = account
    return {"metadata": {"labels": dict(labels)}, "spec": whole}


@contextmanager
def cluster_fleet(
    cluster: Cluster, *, step_s: int = 30, deployers: Sequence[Json] = (), **settings: Json
) -> Iterator[Fleet]:
    """Write and sign the kit of the agent in this cluster."""
    cluster.make_executor(**settings)
    reach = cluster.reach(**settings)
    with quick_fleet([reach], cluster.held, step_s=step_s, deployers=deployers) as ours:
        yield ours


def refused(plane: Sandbox, token: str, method: str, path: str) -> int:
    """Return the status that a token gets; 200 where it is let through."""
    try:
        plane.call(method, path, token=token)
    except ApiError as error:
        return error.status
    return 200


def said(report: Report) -> str:
    """Return what a report says, for the words of a failed assertion."""
    steps = (f"{one.action} {one.verdict} {one.grade}: {one.reason}" for one in report.steps)
    return "\n".join([*steps, *(f"OPEN {one}" for one in report.open)])
