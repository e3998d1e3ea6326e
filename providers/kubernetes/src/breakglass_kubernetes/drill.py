"""Where a drill's agent lives in Kubernetes: a real control plane of its own, and a resident that resists.

What it is there is laid out as an administrator would have it, before any part of the agent does harm: a
restore gives back no binding that was made since. Then it acts: controllers run its workloads, and a process
outside of the cluster uses two of its tokens, and applies what its deployer believes.
The truth is the API server's audit log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from breakglass.errors import ProviderError, Unreachable
from breakglass.model.resource import Reach
from breakglass.provider import AgentCloud, CloudEffect
from breakglass.provider.resident import Resident
from breakglass_kubernetes import drill_layout, kinds
from breakglass_kubernetes.drill_layout import BOT, HELPER, NAMESPACE, SELECTOR, Layout
from breakglass_kubernetes.drill_listing import digest_of, named
from breakglass_kubernetes.sandbox.process import Sandbox
from breakglass_kubernetes.sandbox.process import start as start_sandbox

EXECUTOR = "kubernetes-executor"
TOKENS = {BOT: "kubernetes-agent-bot", HELPER: "kubernetes-agent-helper"}
QUIET_S = 0.7
_OK = 400
_REVIEWS = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")
"""Every authenticated identity may ask what it may: nothing of the world changes by it."""
_LISTED = (
    kinds.DEPLOYMENTS,
    kinds.STATEFUL_SETS,
    kinds.DAEMON_SETS,
    kinds.JOBS,
    kinds.CRON_JOBS,
    kinds.PODS,
    kinds.AUTOSCALERS,
    kinds.NETWORK_POLICIES,
    kinds.RESOURCE_QUOTAS,
    kinds.SERVICE_ACCOUNTS,
    kinds.SECRETS,
    kinds.ROLES,
    kinds.ROLE_BINDINGS,
    kinds.CLUSTER_ROLES,
    kinds.CLUSTER_ROLE_BINDINGS,
    kinds.ADMISSION_POLICIES,
    kinds.ADMISSION_BINDINGS,
    kinds.VALIDATING_WEBHOOKS,
    kinds.MUTATING_WEBHOOKS,
    kinds.API_SERVICES,
)


class KubernetesCloud:
    """A cluster with the drill's agent in it."""

    name = "kubernetes"
    summary = (
        "a Deployment behind an autoscaler that a deployer applies each second, a StatefulSet, a DaemonSet,"
        " a job each minute, a bare pod, two accounts; it binds itself again and takes guards away"
    )

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        """Lay nothing out yet."""
        self._sandbox = sandbox
        self._folder = folder
        self._resident: Resident | None = None
        self._layout: Layout | None = None

    @property
    def reach(self) -> Mapping[str, object]:
        """Return how an inventory names the agent here."""
        return {
            "provider": "kubernetes",
            "server": self._sandbox.server,
            "cluster_uid": self._sandbox.cluster_uid,
            "credential": EXECUTOR,
            "sandbox": True,
            "namespace": NAMESPACE,
            "selector": SELECTOR,
            "service_accounts": [f"{NAMESPACE}/{BOT}", f"{NAMESPACE}/{HELPER}"],
            "break_glass_group": drill_layout.EXECUTORS,
            "agent_tokens": {f"{NAMESPACE}/{account}": name for account, name in TOKENS.items()},
            "audit_log": str(self._sandbox.folder / "audit.log"),
        }

    @property
    def credentials(self) -> Mapping[str, bytes]:
        """Return the executor's own secret, and what it holds of the agent's for proof."""
        layout = self._laid_out()
        held = {name: layout.tokens[account].encode() for account, name in TOKENS.items()}
        return {EXECUTOR: layout.executor, **held}

    @property
    def expected(self) -> tuple[str, ...]:
        """Return the channels that must work before the drill begins."""
        return ("token of bot", "token of helper", "new pods")

    def lay_out(self) -> None:
        """Make what the agent is in peacetime; it does not act yet.

        Raises:
            Unreachable: it could not be made. That fails a drill; a ProviderError would say that there is no
                sandbox of it here, and the drill would go on without.
        """
        try:
            self._layout = drill_layout.lay_out(self._sandbox, _rights(self.reach))
        except (ProviderError, OSError) as error:
            raise Unreachable(f"the drill's agent could not be laid out in kubernetes: {error}") from error

    def settle(self) -> None:
        """Let the agent act, and wait until its pods run. Raises ProviderError."""
        self._start_resident(self._laid_out())
        until = time.monotonic() + 30
        while len(self._pods("Running")) < 6:  # noqa: PLR2004 - 3 of the Deployment, 2, 1 a node, 1 bare: nearly all
            if time.monotonic() > until:
                raise ProviderError("the agent's pods do not start in the sandbox")
            time.sleep(0.1)

    def effects(self) -> Sequence[CloudEffect]:
        """Return what the audit log says was allowed, channel by channel."""
        found: dict[str, list[int]] = {}
        for event in self._sandbox.audit():
            channel = _channel(event)
            if channel and int(event.get("responseStatus", {}).get("code", 0)) < _OK:
                at = datetime.fromisoformat(event["requestReceivedTimestamp"])
                found.setdefault(channel, []).append(round(at.timestamp() * 1_000_000))
        ahead_us = round(time.time() * 1_000_000) - round(time.monotonic() * 1_000_000)
        return [
            CloudEffect(channel, len(times), max(times) // 1000, max(times) - ahead_us)
            for channel, times in found.items()
        ]

    def listing(self) -> Mapping[str, str]:
        """Return a digest of each thing that a restore must bring back."""
        found = [
            (named(kind, body), digest_of(kind, body))
            for kind in _LISTED
            for body in self._sandbox.call("GET", kind.path())["items"]
        ]
        return {name: digest for name, digest in found if name}

    def alive(self) -> Sequence[str]:
        """Return the pods that run, and the channels that go on."""
        before = {one.channel: one.count for one in self.effects()}
        time.sleep(QUIET_S)
        going = [one.channel for one in self.effects() if one.count > before.get(one.channel, 0)]
        return [*(f"pod {name} exists" for name in self._pods("")), *(f"{name} goes on" for name in going)]

    def retire(self) -> None:
        """End the resident and its deployer; what the agent is in the cluster stays."""
        self._end_resident()

    def stop(self) -> None:
        """End everything; safe to repeat."""
        self._end_resident()
        self._sandbox.close()

    def _pods(self, phase: str) -> list[str]:
        query = {"labelSelector": SELECTOR}
        found = self._sandbox.call("GET", kinds.PODS.path(NAMESPACE), query=query)["items"]
        return [
            str(pod["metadata"]["name"]) for pod in found if phase in ("", pod.get("status", {}).get("phase"))
        ]

    def _laid_out(self) -> Layout:
        if self._layout is None:
            raise ProviderError("the drill's agent is not laid out in the sandbox yet")
        return self._layout

    def _start_resident(self, layout: Layout) -> None:
        whole = drill_layout.deployment(3)
        about = {**whole["metadata"], "name": "bot", "namespace": NAMESPACE}
        told = {
            "server": self._sandbox.server,
            "ca": str(self._sandbox.folder / "pki" / "ca.crt"),
            "namespace": NAMESPACE,
            "bot": layout.tokens[BOT],
            "helper": layout.tokens[HELPER],
            "deployer": layout.deployer,
            "deployment": {**whole, "apiVersion": "apps/v1", "kind": "Deployment", "metadata": about},
            "policies": ["bot-out", "neighbour-in"],
            "subjects": [
                {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}
                for name in (drill_layout.NEIGHBOUR, BOT)
            ],
        }
        held = self._folder / "kubernetes-resident.json"
        self._resident = Resident.start("breakglass_kubernetes.sandbox.resident", told, held)

    def _end_resident(self) -> None:
        if self._resident is not None:
            self._resident.end()


def start(folder: Path, *, say: Callable[[str], None]) -> AgentCloud:
    """Start a control plane with what the agent is in it.

    Raises:
        Unsupported: its programs are not built here; the remedy says how to get them.
        ProviderError: it does not start.
        Unreachable: it started, and the agent could not be laid out in it.
    """
    cloud = KubernetesCloud(start_sandbox(say=say), folder)
    try:
        cloud.lay_out()
    except BaseException:
        cloud.stop()
        raise
    return cloud


def _rights(reach: Mapping[str, object]) -> Sequence[Mapping[str, Any]]:
    """Return what `breakglass providers show kubernetes --rbac` prints, to stop and to restore."""
    from breakglass_kubernetes import permissions

    settings: dict[str, Any] = {name: value for name, value in reach.items() if name != "provider"}
    reaches = [Reach("kubernetes", settings, "drill")]
    return [
        document
        for purpose in ("stop", "restore")
        for document in permissions.documents(purpose, reaches)
        if document["kind"] == "ClusterRole"
    ]


def _channel(event: Mapping[str, Any]) -> str:
    """Return in which way the agent acted by an audited request; empty: not the agent, or nothing done."""
    user = str(event.get("user", {}).get("username", ""))
    what = event.get("objectRef", {})
    if event.get("stage") != "ResponseComplete" or what.get("resource") in (None, *_REVIEWS):
        return ""
    for account in (BOT, HELPER):
        if user == f"system:serviceaccount:{NAMESPACE}:{account}":
            return f"token of {account}"
    new_pod = (event.get("verb"), what.get("resource"), what.get("subresource")) == ("create", "pods", None)
    ours = what.get("namespace") == NAMESPACE and str(what.get("name", "")).startswith("bot-")
    return "new pods" if new_pod and ours and user.startswith("system:serviceaccount:kube-system:") else ""
