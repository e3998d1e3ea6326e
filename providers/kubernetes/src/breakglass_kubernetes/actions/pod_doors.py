"""Says before anyone signs which pods' end cannot be confirmed: static ones, and those on silent nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import ProposedDoor
from breakglass_kubernetes.actions.pod_fate import Fate, fate_of
from breakglass_kubernetes.objects import text
from breakglass_kubernetes.ownership import Thing


def doors(pods: Iterable[Thing], ready: Mapping[str, bool], step: str) -> tuple[ProposedDoor, ...]:
    """Return one door for each static pod, and one for each node that is not ready and has pods."""
    found: list[ProposedDoor] = []
    silent: dict[str, list[str]] = {}
    for pod in pods:
        node = text(pod.body, "spec", "nodeName")
        fate, why = fate_of(pod.body, ready)
        if fate is Fate.STATIC:
            remedy = f"remove its file from the manifest folder of node {node}"
            found.append(_door(pod.key, why, remedy, (), Verdict.NOT_CONTAINED))
        elif node and not ready.get(node, False) and fate is not Fate.ENDED:
            silent.setdefault(node, []).append(f"{pod.namespace}/{pod.name}")
    for node, names in sorted(silent.items()):
        reason = (
            f"is not ready: that {len(names)} pods of the agent end there cannot be confirmed ({names[0]})"
        )
        remedy = "bring it back, or take its power and network; then record that it was done"
        found.append(_door(f"node {node}", reason, remedy, (step,), Verdict.UNKNOWN))
    return tuple(found)


def _door(name: str, reason: str, remedy: str, closed_by: tuple[str, ...], verdict: Verdict) -> ProposedDoor:
    door = Door(DoorKind.NO_STEP, name[:200], reason[:500], remedy, "", (), verdict)
    return ProposedDoor(door, closed_by)
