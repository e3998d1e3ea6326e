"""Starts one control plane in a folder of its own: etcd, then the API server, then the controller manager."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from breakglass.errors import ProviderError
from breakglass_kubernetes.sandbox import children, flags, log_server, pki
from breakglass_kubernetes.sandbox.api import Api, ApiError
from breakglass_kubernetes.sandbox.build import Programs
from breakglass_kubernetes.sandbox.children import Child
from breakglass_kubernetes.sandbox.flags import Layout

ADMIN, MASTERS = "admin", "system:masters"
MARK = "breakglass.dev/sandbox"
_READY_S = 120.0
_CRASH_S = 0.5
"""It would wait longer for its watches; one that is cut off is what clients must survive."""
_PAUSE_S = 0.05
_TRIES = 4
_PORTS = range(10_000, 32_000)
"""Below what kernels give to outgoing connections, so that none of those sits on one of ours."""


@dataclass(slots=True)
class Plane:
    """A control plane that runs. Only the main thread may start and stop it."""

    layout: Layout
    programs: Programs
    admin: Api
    cluster_uid: str = ""
    _running: dict[str, Child] = field(default_factory=dict)

    def check(self) -> None:
        """Raise if one of the programs has ended.

        Raises:
            ProviderError: it has; the end of its log says why.
        """
        for child in self._running.values():
            if child.ended():
                raise ProviderError(f"{child.name} ended with {child.process.returncode}: {child.said()}")

    def pause(self) -> None:
        """Let the API server be silent, with every connection open."""
        os.kill(self._running["kube-apiserver"].process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self._running["kube-apiserver"].process.pid, signal.SIGCONT)

    def restart_api(self) -> None:
        """End the API server and start it anew, at the same address, on the same data.

        Raises:
            ProviderError: it does not come up again.
        """
        self._running.pop("kube-apiserver").stop(_CRASH_S)
        self._start("kube-apiserver", flags.api_server(self.layout, self.programs))
        self._wait(self._answers, "the API server to answer again")

    def start(self) -> None:
        """Start all three and wait until accounts can be used.

        Raises:
            ProviderError: one ended, or is not ready in time.
        """
        self._start("etcd", flags.etcd(self.layout, self.programs))
        self._start("kube-apiserver", flags.api_server(self.layout, self.programs))
        self._wait(self._answers, "the API server to answer")
        self._start("kube-controller-manager", flags.manager(self.layout, self.programs))
        body = {"metadata": {"annotations": {MARK: "true"}}}
        marked = self.admin.call(
            "PATCH",
            "/api/v1/namespaces/kube-system",
            body,
            content_type="application/merge-patch+json",
        )
        self.cluster_uid = marked["metadata"]["uid"]

    def wait_until_usable(self, nodes: Sequence[str]) -> None:
        """Wait until namespaces get their service account and `nodes` take pods.

        Raises:
            ProviderError: it does not.
        """
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait(lambda: self._found(account) is not None, "service accounts")
        self._wait(lambda: all(map(self._untainted, nodes)), "the nodes to be taken for ready")

    def stop(self) -> None:
        """End all three: etcd last, since an API server without it hangs (seen on 1.36.2)."""
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            if name in self._running:
                # Nothing is kept: a server that waits for its watches need not be waited for.
                self._running.pop(name).stop(_CRASH_S)

    def _start(self, name: str, argv: list[str]) -> None:
        self._running[name] = children.start(name, argv, self.layout.folder)

    def _answers(self) -> bool:
        return self._found("/readyz") is not None

    def _untainted(self, node: str) -> bool:
        found = self._found(f"/api/v1/nodes/{node}")
        return found is not None and not found["spec"].get("taints")

    def _found(self, path: str) -> Any:  # noqa: ANN401 - JSON
        try:
            return self.admin.call("GET", path, timeout_s=5.0)
        except (OSError, ApiError):
            return None

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + _READY_S
        while not done():
            self.check()
            if time.monotonic() > until:
                said = "; ".join(f"{child.name}: {child.said()}" for child in self._running.values())
                raise ProviderError(f"waited {_READY_S:.0f} s for {what}: {said}")
            time.sleep(_PAUSE_S)


def start(folder: Path, programs: Programs) -> Plane:
    """Lay a control plane out in `folder` and start it; other ports are tried where one was taken meanwhile.

    Raises:
        ProviderError: it does not start.
    """
    _lay_out(folder)
    for left in reversed(range(_TRIES)):
        layout = Layout(folder, *_free_ports(3))
        _write_kubeconfigs(layout)
        admin = Api(layout.server, layout.pki / "ca.crt", pem=layout.pki / "admin.pem")
        plane = Plane(layout, programs, admin)
        try:
            plane.start()
        except ProviderError as error:
            plane.stop()
            if left and "address already in use" in str(error):
                continue
            raise
        except BaseException:
            plane.stop()
            raise
        return plane
    raise ProviderError("no free port was found")


def _lay_out(folder: Path) -> None:
    """Write keys, certificates and the audit policy."""
    place = folder / "pki"
    place.mkdir(mode=0o700)
    cluster, database = pki.Authority.new("breakglass-sandbox"), pki.Authority.new("breakglass-sandbox-etcd")
    cluster.pair.write(place / "ca")
    database.pair.write(place / "etcd-ca")
    database.server("etcd").write(place / "etcd")
    database.client("kube-apiserver").write(place / "etcd-client")
    cluster.server("kube-apiserver", ("kubernetes", "kubernetes.default", "kubernetes.default.svc")).write(
        place / "apiserver"
    )
    cluster.client("kube-apiserver", (log_server.CALLERS,)).write(place / "kubelet-client")
    cluster.client("system:kube-controller-manager").write(place / "manager")
    cluster.client(ADMIN, (MASTERS,)).write(place / "admin")
    private, public = pki.signing_key()
    pki.write_private(place / "sa.key", private)
    pki.write_private(place / "sa.pub", public)
    pki.write_private(folder / "audit-policy.json", flags.audit_policy())


def _write_kubeconfigs(layout: Layout) -> None:
    place = layout.pki
    ca = (place / "ca.crt").read_bytes()
    for stem, name, path in (
        ("manager", "system:kube-controller-manager", "manager.kubeconfig"),
        ("admin", ADMIN, "admin.kubeconfig"),
    ):
        pair = pki.Pair((place / f"{stem}.crt").read_bytes(), (place / f"{stem}.key").read_bytes())
        pki.write_private(layout.folder / path, pki.client_kubeconfig(layout.server, ca, name, pair))


def _free_ports(count: int) -> list[int]:
    """Return ports on which nobody listens now.

    Raises:
        ProviderError: there are none.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, 200):
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise ProviderError("no free port on loopback")
