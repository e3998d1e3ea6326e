"""Names and labels of what a stop makes in a cluster, so that it is known again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json, canonical, sha256
from breakglass.model.resource import Resource
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.objects import Body, items, labels_of, part, text
from breakglass_kubernetes.scope import AGENT_LABEL

INCIDENT_LABEL = "breakglass.dev/incident"
_ODD = re.compile(r"[^a-z0-9]+")
_ODD_LABEL = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 63


def name_for(cluster: Cluster, resource: Resource) -> str:
    """Return a name that this incident alone uses for this target, and that nobody can guess before it."""
    about: dict[str, Json] = {
        "id": resource.id,
        "incident": cluster.connection.incident,
        "params": dict(resource.params),
    }
    agent = _ODD.sub("-", str(resource.params.get("agent", "")).lower())[:36].strip("-")
    return "-".join(one for one in ("breakglass", agent, sha256(canonical(about))[:12]) if one)


def labels_for(cluster: Cluster, resource: Resource) -> dict[str, str]:
    """Return the labels that say whose it is (63 characters: "Labels and Selectors")."""
    return {
        INCIDENT_LABEL: _value(cluster.connection.incident),
        AGENT_LABEL: _value(str(resource.params.get("agent", ""))),
    }


def seen(body: Body | None, spec: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """Return what a state says of an object of ours: `ours` only if nothing of it was changed or will go."""
    if body is None:
        return {"uid": "", "ours": False}
    about = part(body, "metadata")
    stays = not (
        text(about, "deletionTimestamp") or items(about, "ownerReferences") or items(about, "finalizers")
    )
    ours = stays and part(body, "spec") == spec and labels.items() <= labels_of(body).items()
    return {"uid": text(about, "uid"), "ours": ours}


def _value(found: str) -> str:
    return _ODD_LABEL.sub("-", found)[:_LONGEST].strip("._-")
