"""Reads parts of an API object, whatever it lacks: an object comes from outside and may lack anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breakglass.clock import Instant
from breakglass.errors import MalformedInput

Body = Mapping[str, Any]
"""One object as the API gives it."""
_NOTHING: Body = {}


def part(body: Body, *path: str) -> Body:
    """Return a mapping inside; empty where there is none."""
    found: Any = body
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else _NOTHING


def text(body: Body, *path: str) -> str:
    """Return a text inside; empty where there is none."""
    found = part(body, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) else ""


def items(body: Body, *path: str) -> Sequence[Any]:
    """Return a list inside; empty where there is none."""
    found = part(body, *path[:-1]).get(path[-1])
    return found if isinstance(found, list) else ()


def bodies(body: Body, *path: str) -> Sequence[Body]:
    """Return the mappings of a list inside."""
    return [item for item in items(body, *path) if isinstance(item, Mapping)]


def name_of(body: Body) -> str:
    """Return ``metadata.name``."""
    return text(body, "metadata", "name")


def namespace_of(body: Body) -> str:
    """Return ``metadata.namespace``; empty for what belongs to the cluster."""
    return text(body, "metadata", "namespace")


def uid_of(body: Body) -> str:
    """Return ``metadata.uid``: another object under the same name has another."""
    return text(body, "metadata", "uid")


def is_since(stamp: str, moment: Instant) -> bool:
    """Return whether a time that the server wrote is that moment or later, or cannot be read.

    It writes whole seconds, rounded down: all of the moment's own second counts.
    """
    try:
        return Instant.parse(stamp).epoch_ms >= moment.epoch_ms // 1000 * 1000
    except MalformedInput:
        return True


def version_of(body: Body) -> str:
    """Return ``metadata.resourceVersion``, which guards a write (API concepts, "Resource versions")."""
    return text(body, "metadata", "resourceVersion")


def labels_of(body: Body) -> Mapping[str, str]:
    """Return the labels."""
    return {str(key): str(value) for key, value in part(body, "metadata", "labels").items()}


def template_of(body: Body) -> Body:
    """Return the pod template of a workload: also a CronJob's; empty where it has none."""
    return part(body, "spec", "template") or part(body, "spec", "jobTemplate", "spec", "template")


def pod_spec_of(body: Body) -> Body:
    """Return the pod spec of a pod, or of the template of a workload."""
    if text(body, "kind") == "Pod":
        return part(body, "spec")
    return part(template_of(body), "spec")


def account_of(body: Body) -> str:
    """Return ``NAMESPACE/NAME`` of the service account that its pods run as; empty where it makes no pods."""
    spec = pod_spec_of(body)
    if not spec:
        return ""
    name = text(spec, "serviceAccountName") or text(spec, "serviceAccount") or "default"
    return f"{namespace_of(body)}/{name}"


def controller_of(body: Body) -> Body:
    """Return the owner reference of the controller; empty where it has none."""
    owners = bodies(body, "metadata", "ownerReferences")
    return next((one for one in owners if one.get("controller") is True), _NOTHING)


def managers_of(body: Body) -> frozenset[str]:
    """Return the names of the field managers that wrote any part of it."""
    return frozenset(text(one, "manager") for one in bodies(body, "metadata", "managedFields"))


def creators_of(body: Body) -> frozenset[str]:
    """Return the field managers that may have created it; later writers of a part are not among them.

    An entry of ``managedFields`` carries the time of its manager's last write: whoever wrote when the object
    came to be made it. Where that one has written again since, whoever holds what never changes did
    (Kubernetes documentation, "Server-Side Apply", "Field management").
    """
    born = text(body, "metadata", "creationTimestamp")
    own = [one for one in bodies(body, "metadata", "managedFields") if not one.get("subresource")]
    first = [one for one in own if born and text(one, "time") == born]
    fixed = [one for one in own if _holds_fixed(one)]
    # Times are whole seconds: somebody may have changed it in the same one.
    both = [one for one in first if one in fixed]
    return frozenset(text(one, "manager") for one in both or first or fixed)


_FIXED = (
    ("f:spec", "f:selector"),
    ("f:spec", "f:containers"),
    ("f:spec", "f:jobTemplate"),
    ("f:spec", "f:group"),
    ("f:roleRef",),
    ("f:type",),
)
"""What hardly anybody but the creator writes: selectors, a pod's containers, the role of a binding."""


def _holds_fixed(entry: Body) -> bool:
    fields = part(entry, "fieldsV1")
    return any(_has(fields, path) for path in _FIXED)


def _has(fields: Body, path: tuple[str, ...]) -> bool:
    return path[-1] in part(fields, *path[:-1])
