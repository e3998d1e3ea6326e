"""Says in a digest what of an object a restore must bring back: all that somebody has written of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from breakglass_kubernetes.kinds import PODS, SECRETS, Kind

_WRITTEN = ("labels", "annotations", "ownerReferences", "finalizers")
_LEFT_OUT = ("apiVersion", "kind", "metadata", "status")
_COUNTED = "deprecated.daemonset.template.generation"
"""The API server counts the changes of a DaemonSet's template here, and takes no other number."""
_TOKENS = "kube-api-access-"
"""A volume that the API server adds to a pod, under a name of chance (service account admission)."""


def named(kind: Kind, body: Mapping[str, Any]) -> str:
    """Return its name; empty for what a controller made, which comes and goes with its owner."""
    about = body["metadata"]
    if about.get("ownerReferences"):
        return ""
    return kind.key(str(about.get("namespace", "")), str(about["name"]))


def digest_of(kind: Kind, body: Mapping[str, Any]) -> str:
    """Return a digest of labels, annotations and everything but status, uid and times."""
    about = body["metadata"]
    whole: dict[str, Any] = {name: about.get(name) for name in _WRITTEN}
    whole |= {name: value for name, value in body.items() if name not in _LEFT_OUT}
    whole["annotations"] = {
        name: value for name, value in (about.get("annotations") or {}).items() if name != _COUNTED
    }
    if kind == PODS:
        whole["spec"] = _pod(body["spec"])
    if kind == SECRETS:  # the data of a token is made anew
        whole["data"] = sorted(body.get("data") or {})
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _pod(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what somebody wrote of a pod: not its node, nor the volume of its token."""
    kept = {name: value for name, value in spec.items() if name not in ("nodeName", "volumes", "containers")}
    kept["volumes"] = [one for one in spec.get("volumes", ()) if not one["name"].startswith(_TOKENS)]
    kept["containers"] = [
        one
        | {"volumeMounts": [at for at in one.get("volumeMounts", ()) if not at["name"].startswith(_TOKENS)]}
        for one in spec["containers"]
    ]
    return kept
