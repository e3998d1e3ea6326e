"""Says where a sandbox's files lie and how its three programs are started; pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from breakglass_kubernetes.sandbox.build import Programs

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
NODE_MONITOR_S = 50
"""How long a node may be silent before the controller manager calls it Unknown: Kubernetes' own default."""
HPA_SYNC_S = 3
"""How often autoscalers look: 15 s by default, made shorter and told."""
_QPS, _BURST = 2000, 4000


@dataclass(frozen=True, slots=True)
class Layout:
    """One sandbox's folder and ports."""

    folder: Path
    etcd_port: int
    peer_port: int
    api_port: int

    @property
    def server(self) -> str:
        """Return the API server's address."""
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def pki(self) -> Path:
        """Return where keys and certificates are."""
        return self.folder / "pki"

    @property
    def audit_log(self) -> Path:
        """Return the audit log."""
        return self.folder / "audit.log"

    @property
    def audit_policy(self) -> Path:
        """Return what the audit log holds."""
        return self.folder / "audit-policy.json"


def audit_policy() -> bytes:
    """Return the audit policy: who did what to which object, of every request that was answered."""
    return json.dumps(AUDIT_POLICY).encode()


def etcd(layout: Layout, programs: Programs) -> list[str]:
    """Return etcd's command: loopback, and only with a certificate of its own authority."""
    pki, client = layout.pki, f"https://127.0.0.1:{layout.etcd_port}"
    peer = f"https://127.0.0.1:{layout.peer_port}"
    return [
        str(programs.etcd),
        f"--data-dir={layout.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        f"--cert-file={pki / 'etcd.crt'}",
        f"--key-file={pki / 'etcd.key'}",
        f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
        "--client-cert-auth",
        f"--peer-cert-file={pki / 'etcd.crt'}",
        f"--peer-key-file={pki / 'etcd.key'}",
        f"--peer-trusted-ca-file={pki / 'etcd-ca.crt'}",
        "--peer-client-cert-auth",
        # A sandbox is thrown away: a power cut may take it.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(layout: Layout, programs: Programs) -> list[str]:
    """Return the API server's command."""
    pki = layout.pki
    return [
        str(programs.api_server),
        f"--etcd-servers=https://127.0.0.1:{layout.etcd_port}",
        f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'etcd-client.key'}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={layout.api_port}",
        f"--cert-dir={layout.folder}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-cluster-ip-range=10.0.0.0/16",
        # An endpoint on loopback is refused, and would be retried for ever.
        "--endpoint-reconciler-type=none",
        f"--audit-policy-file={layout.audit_policy}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-mode=blocking",
        "--audit-log-maxsize=0",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--profiling=false",
    ]


def manager(layout: Layout, programs: Programs) -> list[str]:
    """Return the controller manager's command."""
    pki = layout.pki
    return [
        str(programs.manager),
        f"--kubeconfig={layout.folder / 'manager.kubeconfig'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--secure-port=0",
        f"--kube-api-qps={_QPS}",
        f"--kube-api-burst={_BURST}",
        f"--node-monitor-grace-period={NODE_MONITOR_S}s",
        f"--horizontal-pod-autoscaler-sync-period={HPA_SYNC_S}s",
        "--concurrent-serviceaccount-token-syncs=20",
        "--profiling=false",
    ]
