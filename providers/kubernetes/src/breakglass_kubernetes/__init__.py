"""The Kubernetes provider: accounts, workloads, triggers, egress and guards of one cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from breakglass.canon import JsonObject
from breakglass.errors import UsageError
from breakglass.model.resource import Reach
from breakglass.provider import AgentCloud, Card, Connection, Provider
from breakglass_kubernetes import parts
from breakglass_kubernetes.inventory import SETTINGS
from breakglass_kubernetes.settings import complaints

__all__ = ["CARD"]


def _warm(connection: Connection) -> Callable[[], Provider]:
    """Make ready to connect to one cluster as the executor; see `breakglass_kubernetes.connect.warm`.

    Raises:
        UsageError: the entry is wrong.
        Denied: there is no credential, it is refused, or this is another cluster.
        Unreachable: nobody answers.
    """
    if wrong := complaints(connection.reach.settings):
        raise UsageError(wrong[0], where=connection.reach.where)
    from breakglass_kubernetes.connect import warm

    return warm(connection)


def _cloud(folder: Path, *, say: Callable[[str], None]) -> AgentCloud:
    """Start a control plane for a drill's agent."""
    from breakglass_kubernetes.drill import start

    return start(folder, say=say)


def _policy(purpose: str, reaches: Sequence[Reach], *, split: bool) -> Sequence[JsonObject]:  # noqa: ARG001 - RBAC limits no role's length
    """Return the executor's least rights as a ClusterRole."""
    from breakglass_kubernetes import permissions

    return permissions.documents(purpose, reaches)


CARD = Card(
    name="kubernetes",
    summary="Kubernetes, one cluster: service accounts, workloads, triggers, egress, guards, evidence",
    capabilities=tuple(dict.fromkeys(spec.capability for spec in parts.SPECS)),
    settings=SETTINGS,
    specs=parts.SPECS,
    connect=lambda connection: _warm(connection)(),
    warm=_warm,
    check=lambda reach: complaints(reach.settings),
    requires=("kubernetes",),
    extra="kubernetes",
    cloud=_cloud,
    policy=_policy,
    ignores=(
        "KUBECONFIG",
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_SERVICE_PORT",
        "POD_NAMESPACE",
        *(name for both in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY") for name in (both, both.lower())),
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ),
)
