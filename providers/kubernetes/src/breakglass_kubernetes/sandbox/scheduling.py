"""Says whether a node takes a pod; pure.

Kubernetes documentation, "Assigning Pods to Nodes" and "Taints and Tolerations". Resources and spreading are
not looked at: a stub has room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]


def fits(pod: Json, node: Json) -> bool:
    """Say whether selector, required affinity and taints let the pod onto the node."""
    spec, labels = pod["spec"], node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is not None and not any(_term(each, node) for each in required.get("nodeSelectorTerms", ())):
        return False
    return all(
        _tolerated(taint, spec.get("tolerations") or ())
        for taint in node["spec"].get("taints") or ()
        if taint["effect"] in {"NoSchedule", "NoExecute"}
    )


def waits(pod: Json) -> bool:
    """Say whether it is for the default scheduler to find it a node now."""
    spec = pod["spec"]
    return not (
        spec.get("nodeName")
        or spec.get("schedulingGates")
        or pod["metadata"].get("deletionTimestamp")
        or spec.get("schedulerName", "default-scheduler") != "default-scheduler"
    )


def _term(term: Json, node: Json) -> bool:
    """Say whether all of a term holds; one that asks nothing matches nothing."""
    labels, fields = node["metadata"].get("labels") or {}, {"metadata.name": node["metadata"]["name"]}
    asked = [(each, labels) for each in term.get("matchExpressions") or ()]
    asked += [(each, fields) for each in term.get("matchFields") or ()]
    return bool(asked) and all(_holds(each, among) for each, among in asked)


def _holds(asked: Json, among: Mapping[str, str]) -> bool:
    values: Sequence[str] = asked.get("values") or ()
    found = among.get(asked["key"])
    match asked["operator"]:
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case "Gt" | "Lt" as operator:
            if found is None or not found.lstrip("-").isdecimal():
                return False
            return int(found) > int(values[0]) if operator == "Gt" else int(found) < int(values[0])
    return False


def _tolerated(taint: Json, tolerations: Sequence[Json]) -> bool:
    return any(
        each.get("effect") in {None, "", taint["effect"]}
        and (
            (each.get("operator") == "Exists" and each.get("key") in {None, "", taint["key"]})
            or (
                each.get("operator") in {None, "", "Equal"}
                and each.get("key") == taint["key"]
                and each.get("value", "") == taint.get("value", "")
            )
        )
        for each in tolerations
    )
