"""Lists the keys that a Kubernetes reach of an inventory knows."""

from __future__ import annotations

from breakglass.provider import Setting, SettingType

_TEXT, _TEXTS, _FLAG = SettingType.TEXT, SettingType.TEXTS, SettingType.FLAG

SETTINGS = (
    Setting("server", _TEXT, "URL of the API server, as the kubeconfig gives it", required=True),
    Setting(
        "cluster_uid", _TEXT, "uid of the namespace kube-system: this cluster and no other", required=True
    ),
    Setting("ca_sha256", _TEXT, "sha256 of the cluster's CA certificates (DER); pinned where it is given"),
    Setting("as", _TEXT, "context of the executor's kubeconfig; without it the current one"),
    Setting("kubeconfig", _TEXT, "path of the executor's kubeconfig; ~/.kube/config without it"),
    Setting(
        "credential",
        _TEXT,
        "name of a secret of the executor's that holds its kubeconfig, in place of a path",
    ),
    Setting("namespace", _TEXT, "the agent's namespace"),
    Setting("namespaces", _TEXTS, "more namespaces of the agent's, taken like `namespace`"),
    Setting("selector", _TEXT, "label selector of the agent's pods and workloads in its namespaces"),
    Setting(
        "own_namespace",
        _FLAG,
        "everything in its namespaces is the agent's; kube-system and default are refused",
    ),
    Setting(
        "workloads", _TEXTS, "single workloads: deployments.apps/NAMESPACE/NAME, pods/NAMESPACE/NAME ..."
    ),
    Setting("service_accounts", _TEXTS, "accounts that the agent acts as: NAMESPACE/NAME"),
    Setting("users", _TEXTS, "names that the agent has outside of service accounts (certificates, OIDC)"),
    Setting("groups", _TEXTS, "groups that the agent alone is in"),
    Setting(
        "field_managers", _TEXTS, "field managers that the agent alone writes as: what they made is its own"
    ),
    Setting("webhooks", _TEXTS, "webhook configurations of the agent's: validating/NAME or mutating/NAME"),
    Setting("api_services", _TEXTS, "aggregated APIs that the agent serves, by name"),
    Setting(
        "deployers", _TEXTS, "argocd:NAMESPACE/NAME, flux:NAMESPACE/NAME: what would put the workloads back"
    ),
    Setting(
        "break_glass_group", _TEXT, "group of the executor that the guards let through; else its own name"
    ),
    Setting("audit_log", _TEXT, "path of the API server's audit log, where the executor can read it"),
    Setting(
        "agent_tokens",
        SettingType.MAPPING,
        "NAMESPACE/NAME of an account: name of the executor's secret that holds a token of it, for proof",
    ),
    Setting(
        "accept_blast_radius",
        _TEXTS,
        "shared service accounts (NAMESPACE/NAME) whose other users may be cut off",
    ),
    Setting("sandbox", _FLAG, "this is a sandbox on loopback; in a drill only"),
)
