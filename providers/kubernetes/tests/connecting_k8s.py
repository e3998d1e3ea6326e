"""Connects by a kubeconfig that lies in a file, as an executor does."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import yaml

from breakglass.canon import Json
from breakglass.clock import SystemClock
from breakglass.incident.evidence import FolderEvidence
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed
from breakglass.model.resource import AgentRef, Reach
from breakglass.provider import Connection
from breakglass_kubernetes.connect import KubernetesProvider, warm
from breakglass_kubernetes.kinds import NAMESPACES
from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.rig_k8s import Secrets

SYSTEM = NAMESPACES.path("", "kube-system")


def connect(
    plane: Sandbox, folder: Path, data: bytes, *, drill: bool = True, **settings: Json
) -> KubernetesProvider:
    """Connect by a kubeconfig that lies in a file."""
    path = folder / "kubeconfig"
    path.write_bytes(data)
    whole: dict[str, Json] = {
        "server": plane.server,
        "cluster_uid": plane.cluster_uid,
        "kubeconfig": str(path),
        "sandbox": True,
        "namespace": "x",
        "own_namespace": True,
        **settings,
    }
    incident = IncidentFolder(Path(tempfile.mkdtemp(dir=folder)))
    connection = Connection(
        reach=Reach("kubernetes", whole, "test"),
        agent=AgentRef("bot", "the test", None),
        incident="inc-test",
        drill=drill,
        clock=SystemClock(),
        evidence=FolderEvidence(incident),
        sealed=FolderSealed(incident),
        credentials=Secrets(),
    )
    return warm(connection)()


def changed(data: bytes, **user: object) -> bytes:
    """Return a kubeconfig with another user in it."""
    whole = yaml.safe_load(data)
    whole["users"][0]["user"] = user
    return json.dumps(whole).encode()
