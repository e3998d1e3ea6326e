"""Waits at a restore for objects that their own controller brings back: ReplicaSets under a Deployment.

A stop may look at a ReplicaSet that its Deployment has not scaled down yet, and write down what it was; the
controller then does, and nothing of it is ever held by us. At the restore the Deployment's controller scales
it up again, later than the Deployment itself is back: a controller manager makes 20 writes a second in all
unless it is told otherwise (kube-controller-manager reference, ``--kube-api-qps``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.provider import Outcome
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.glance import glance
from breakglass_kubernetes.held_fields import is_as_before
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, controller_of, text

STALLED_S = 20.0
"""So long none of them comes back: then they are not on their way, and are left as they are found."""
PAUSE_S = 1.0
_GIVEN_BACK = (Outcome.RESTORED, Outcome.ALREADY)

Recorded = Mapping[str, Any]
"""What a State holds of one object: its kind, namespace, name and what it was."""


def follow(cluster: Cluster, objects: Mapping[str, Recorded], outcomes: Mapping[str, Outcome]) -> set[str]:
    """Wait for what is not as before while its controller, which was given back, can still bring it back.

    Returns the keys of `objects` that came back by themselves. Ends 20 s after the last of them did.

    Raises:
        ProviderError: one cannot be read.
    """
    above = {one["prior"]["uid"] for key, one in objects.items() if outcomes[key] in _GIVEN_BACK}
    late = {key: one for key, one in objects.items() if outcomes[key] is Outcome.DRIFTED}
    clock = cluster.connection.clock
    end_s, back = clock.monotonic_s() + STALLED_S, set[str]()
    while late and above:
        bodies = _read(cluster, late)
        late = {key: one for key, one in late.items() if _is_below(bodies[key], one, above)}
        came = {key for key, one in late.items() if is_as_before(bodies[key] or {}, one["prior"])}
        back |= came
        late = {key: one for key, one in late.items() if key not in came}
        if came:
            end_s = clock.monotonic_s() + STALLED_S
        if not late or clock.monotonic_s() > end_s:
            break
        clock.sleep(PAUSE_S)
    return back


def _is_below(body: Body | None, one: Recorded, above: set[str]) -> bool:
    if body is None or text(body, "metadata", "uid") != one["prior"]["uid"]:
        return False
    return text(controller_of(body), "uid") in above


def _read(cluster: Cluster, late: Mapping[str, Recorded]) -> dict[str, Body | None]:
    """Return each as it is now, by one listing a kind where there are many."""
    places: dict[Kind, dict[str, tuple[str, str]]] = {}
    for key, one in late.items():
        places.setdefault(Kind(**one["kind"]), {})[key] = (one["namespace"], one["name"])
    found: dict[str, Body | None] = {}
    for kind, where in places.items():
        read = glance(cluster, kind, where.values())
        found |= {key: read(*place) for key, place in where.items()}
    return found
