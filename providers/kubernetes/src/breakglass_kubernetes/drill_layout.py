"""What the drill's agent is in the cluster, as an administrator would have laid it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakglass_kubernetes import kinds
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.sandbox.process import Sandbox

NAMESPACE = "drill-bot"
BOT, HELPER, NEIGHBOUR = "bot", "helper", "neighbour"
DEPLOYER = "drill-deployer"
SELECTOR = "app=drill-bot"
LEDGER = "ledger"
EXECUTOR = "breakglass-executor"
EXECUTORS = "breakglass:executors"
LABELS = {"app": "drill-bot"}
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap")
RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Layout:
    """What somebody outside of the cluster holds of it."""

    tokens: Mapping[str, str]
    """The agent's: account -> token."""
    deployer: str
    """A token of the deployer's own account."""
    executor: bytes
    """The executor's kubeconfig."""


def lay_out(sandbox: Sandbox, rights: Sequence[Mapping[str, Any]]) -> Layout:
    """Make the agent, its neighbour, a deployer, and an executor with exactly these rights (ClusterRoles)."""
    make = _Maker(sandbox)
    sandbox.make_namespace(NAMESPACE)
    for account in (BOT, HELPER, NEIGHBOUR, DEPLOYER):
        make(kinds.SERVICE_ACCOUNTS, account, {"metadata": {"annotations": {"owner": account}}})
    _rights(make)
    make(CONFIG_MAPS, LEDGER, {"data": {"spent": "0.00"}})
    _policies(make)
    _workloads(make)
    for n, role in enumerate(rights):
        name = f"{EXECUTOR}-{n}"
        make(kinds.CLUSTER_ROLES, name, {"rules": role["rules"]})
        body = {"subjects": [_group(EXECUTORS)], "roleRef": _role("ClusterRole", name)}
        make(kinds.CLUSTER_ROLE_BINDINGS, name, body)
    return Layout(
        tokens={account: _token(sandbox, account) for account in (BOT, HELPER)},
        deployer=_token(sandbox, DEPLOYER),
        executor=sandbox.kubeconfig(EXECUTOR, (EXECUTORS,)),
    )


def deployment(replicas: int) -> dict[str, Any]:
    """Return the agent's Deployment, as its deployer has it."""
    return {
        "metadata": {"labels": LABELS, "annotations": {"owner": "support-platform"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": LABELS | {"part": "deployment"}},
            "template": _template("deployment"),
        },
    }


@dataclass(frozen=True, slots=True)
class _Maker:
    sandbox: Sandbox

    def __call__(self, kind: Kind, name: str, body: Mapping[str, Any]) -> None:
        """Create an object."""
        self.sandbox.call("POST", kind.path(NAMESPACE), _whole(kind, name, body))

    def apply(self, kind: Kind, name: str, body: Mapping[str, Any], manager: str) -> None:
        """Create an object as its deployer does, who owns its fields from then on."""
        path, whole, query = kind.path(NAMESPACE, name), _whole(kind, name, body), {"fieldManager": manager}
        self.sandbox.call("PATCH", path, whole, content_type="application/apply-patch+yaml", query=query)


def _whole(kind: Kind, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    about = {**body.get("metadata", {}), "name": name}
    return {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": about}


def _rights(make: _Maker) -> None:
    """Let the bot change what stops it; let the helper in by its namespace's group alone."""
    rules = [
        _rule("", ("configmaps", "pods"), ("get", "list", "create", "patch", "delete")),
        _rule("apps", ("deployments",), ("get", "list", "patch")),
        _rule("networking.k8s.io", ("networkpolicies",), ("get", "list", "delete")),
        _rule(RBAC, ("rolebindings", "roles"), ("get", "list", "patch", "bind", "escalate")),
    ]
    make(kinds.ROLES, "bot-work", {"rules": rules})
    make(
        kinds.ROLE_BINDINGS,
        "bot-work",
        {"subjects": [_account(NEIGHBOUR), _account(BOT)], "roleRef": _role("Role", "bot-work")},
    )
    make(kinds.ROLES, "spend", {"rules": [_rule("", ("configmaps",), ("get", "patch"))]})
    everybody = _group(f"system:serviceaccounts:{NAMESPACE}")
    make(
        kinds.ROLE_BINDINGS, "everybody-spends", {"subjects": [everybody], "roleRef": _role("Role", "spend")}
    )
    guards = [
        _rule(
            "admissionregistration.k8s.io",
            ("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
            ("get", "list", "delete"),
        )
    ]
    make(kinds.CLUSTER_ROLES, "drill-bot-guards", {"rules": guards})
    body = {"subjects": [_account(BOT)], "roleRef": _role("ClusterRole", "drill-bot-guards")}
    make(kinds.CLUSTER_ROLE_BINDINGS, "drill-bot-guards", body)
    rules = [_rule("apps", ("deployments",), ("get", "patch", "create"))]
    make(kinds.ROLES, "deploys", {"rules": rules})
    body = {"subjects": [_account(DEPLOYER)], "roleRef": _role("Role", "deploys")}
    make(kinds.ROLE_BINDINGS, "deploys", body)


def _policies(make: _Maker) -> None:
    """Let the agent out, and its neighbour in."""
    spec = {"podSelector": {"matchLabels": LABELS}, "policyTypes": ["Egress"], "egress": [{}]}
    make(kinds.NETWORK_POLICIES, "bot-out", {"spec": spec})
    spec = {"podSelector": {"matchLabels": {"app": NEIGHBOUR}}, "policyTypes": ["Ingress"], "ingress": [{}]}
    make(kinds.NETWORK_POLICIES, "neighbour-in", {"spec": spec})


def _workloads(make: _Maker) -> None:
    make.apply(kinds.DEPLOYMENTS, "bot", deployment(3), DEPLOYER)
    spec = {
        "minReplicas": 1,
        "maxReplicas": 5,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "bot"},
    }
    make(kinds.AUTOSCALERS, "bot", {"metadata": {"labels": LABELS}, "spec": spec})
    _set(make, kinds.STATEFUL_SETS, "bot-memory", {"replicas": 2, "serviceName": "bot-memory"})
    _set(make, kinds.DAEMON_SETS, "bot-everywhere", {})
    job = {"template": _template("job", restart="Never"), "suspend": True}
    make(kinds.JOBS, "bot-later", {"metadata": {"labels": LABELS}, "spec": job})
    work = {"spec": {"template": _template("cron", restart="Never")}}
    make(
        kinds.CRON_JOBS,
        "bot-each-minute",
        {"metadata": {"labels": LABELS}, "spec": {"schedule": "* * * * *", "jobTemplate": work}},
    )
    bare = _template("bare")
    make(kinds.PODS, "bot-bare", {"metadata": bare["metadata"], "spec": bare["spec"]})
    neighbour = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": NEIGHBOUR}},
        "template": _template("", labels={"app": NEIGHBOUR}, account=NEIGHBOUR),
    }
    make(kinds.DEPLOYMENTS, NEIGHBOUR, {"metadata": {"labels": {"app": NEIGHBOUR}}, "spec": neighbour})


def _set(make: _Maker, kind: Kind, name: str, more: Mapping[str, Any]) -> None:
    labels = LABELS | {"part": name}
    spec = {"selector": {"matchLabels": labels}, "template": _template(name), **more}
    make(kind, name, {"metadata": {"labels": LABELS}, "spec": spec})


def _template(
    part: str, *, labels: Mapping[str, str] = LABELS, account: str = BOT, restart: str = "Always"
) -> dict[str, Any]:
    marks = {**labels, **({"part": part} if part else {})}
    container = {"name": "main", "image": "example.invalid/bot:1", "env": [{"name": "MODE", "value": "live"}]}
    spec = {
        "serviceAccountName": account,
        "containers": [container],
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": 2,
    }
    return {"metadata": {"labels": marks}, "spec": spec}


def _token(sandbox: Sandbox, account: str) -> str:
    path = kinds.SERVICE_ACCOUNTS.path(NAMESPACE, account, "token")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    made = sandbox.call("POST", path, {**body, "spec": {"expirationSeconds": 3600}})
    return str(made["status"]["token"])


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _account(name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}


def _group(name: str) -> dict[str, str]:
    return {"kind": "Group", "apiGroup": RBAC, "name": name}


def _role(kind: str, name: str) -> dict[str, str]:
    return {"apiGroup": RBAC, "kind": kind, "name": name}
