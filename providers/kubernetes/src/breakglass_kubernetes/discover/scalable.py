"""Finds custom resources with a scale subresource, of which the agent has any."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from breakglass.errors import Denied, Gone, ProviderError
from breakglass_kubernetes.cluster import WORKERS
from breakglass_kubernetes.discover.claims import Claims
from breakglass_kubernetes.discover.looking import Looking
from breakglass_kubernetes.kinds import CUSTOM_RESOURCES, Kind
from breakglass_kubernetes.objects import Body, bodies, part, text
from breakglass_kubernetes.ownership import Thing, held
from breakglass_kubernetes.scope import Scope


def scalable(
    looking: Looking, scope: Scope, claims: Claims
) -> tuple[tuple[Kind, ...], Mapping[str, tuple[str, ...]]]:
    """Return the kinds, and where an object of each says how many (its definition's `specReplicasPath`)."""
    served = dict(_kind(body) for body in looking.every(CUSTOM_RESOURCES) if _path(body)[1])
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="kubernetes-scalable") as pool:
        each = pool.map(lambda kind: _of(looking, scope, claims, kind), served)
        things = [thing for found in each for thing in found]
    mine: dict[Kind, None] = dict.fromkeys(thing.kind for thing in held(scope, things).things)
    return tuple(mine), {kind.name: served[kind] for kind in mine}


def _of(looking: Looking, scope: Scope, claims: Claims, kind: Kind) -> list[Thing]:
    try:
        return [Thing(kind, body) for body in looking.cluster.list_in(kind, scope.look_in)]
    except Gone:
        return []
    except Denied:
        # Nobody knows ahead which controllers a cluster has; what theirs run is looked at as pods.
        claims.leave(kind.name, "the executor may not list them: whether the agent has any is not known")
        return []
    except ProviderError as error:
        looking.incomplete.append(f"{kind.name} could not be listed: {error}"[:500])
        return []


def _kind(body: Body) -> tuple[Kind, tuple[str, ...]]:
    version, path = _path(body)
    spec = part(body, "spec")
    kind = Kind(text(spec, "group"), version, text(spec, "names", "plural"), text(spec, "names", "kind"))
    return kind, path


def _path(body: Body) -> tuple[str, tuple[str, ...]]:
    """Return the served version that can be scaled, and the path; nothing for one that cannot."""
    if text(body, "spec", "scope") != "Namespaced":
        return ("", ())
    for version in sorted(bodies(body, "spec", "versions"), key=lambda one: one.get("storage") is not True):
        path = text(version, "subresources", "scale", "specReplicasPath")
        if version.get("served") is True and path:
            return text(version, "name"), tuple(path.strip(".").split("."))
    return ("", ())
