"""What the guards need beside the scope, signed with their target."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.errors import Gone
from breakglass.model.resource import Resource
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.guard_rules import Guard
from breakglass_kubernetes.kinds import PODS, Kind
from breakglass_kubernetes.ownership import Held, Thing, held
from breakglass_kubernetes.scope import Scope

_MASTERS = "system:masters"


def more_for(cluster: Cluster, found: Found) -> dict[str, Json]:
    """Return who is let through, and what was found that a request does not tell by itself."""
    scope, group = found.scope, cluster.settings.text("break_glass_group")
    # Groups of the cluster's own (system:authenticated, say) hold the agent, too.
    usable = group in found.user_groups and group not in scope.groups
    usable = usable and (group == _MASTERS or not group.startswith("system:"))
    return {
        "user": "" if usable else found.user,
        "group": group if usable else "",
        "names": [*sorted({*_keys(found.held), *_keys(_scalable(cluster, found))})],
        "paths": [[*path] for path in found.scale_paths.values() if path != ("spec", "replicas")],
        "custom": [[one.group, one.version, one.plural, one.kind] for one in found.scalable],
    }


def _keys(mine: Held) -> set[str]:
    """Return the workloads that no other one of the agent's controls: those are scaled by name."""
    return {thing.key for thing in mine.roots if thing.kind.name != PODS.name}


def _scalable(cluster: Cluster, found: Found) -> Held:
    things: list[Thing] = []
    for kind in found.scalable:
        with contextlib.suppress(Gone):  # its definition vanished
            things += [Thing(kind, body) for body in cluster.list_in(kind, found.scope.look_in)]
    return held(found.scope, things)


def guard_of(resource: Resource) -> Guard:
    """Read it from a signed target."""
    scope = Scope.of(resource)
    more = scope.more
    custom, paths = more.get("custom"), more.get("paths")
    return Guard(
        scope=scope,
        user=_text(more, "user"),
        group=_text(more, "group"),
        names=_texts(more, "names"),
        paths=tuple(
            tuple(str(part) for part in one)
            for one in (paths if isinstance(paths, list) else ())
            if isinstance(one, list)
        ),
        custom=tuple(_kind(one) for one in (custom if isinstance(custom, list) else ())),
    )


def _kind(found: Json) -> Kind:
    group, version, plural, kind = (str(one) for one in (found if isinstance(found, list) else ()))
    return Kind(group, version, plural, kind)


def _text(more: Mapping[str, Json], name: str) -> str:
    found = more.get(name)
    return found if isinstance(found, str) else ""


def _texts(more: Mapping[str, Json], name: str) -> tuple[str, ...]:
    found = more.get(name)
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()
