"""Keeps what one run has seen of the agent's pods: which were its own, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass.canon import Json
from breakglass_kubernetes.actions.pod_fate import Fate, confirmed, fate_of, last_words
from breakglass_kubernetes.actions.pod_watch import Sight
from breakglass_kubernetes.kinds import PODS
from breakglass_kubernetes.objects import Body, account_of, bodies, controller_of, part, text, uid_of
from breakglass_kubernetes.ownership import Held, Thing, held
from breakglass_kubernetes.scope import Scope

DEFAULT_GRACE_S = 30
"""Kubernetes' default of ``terminationGracePeriodSeconds`` (API reference, PodSpec)."""


@dataclass(slots=True)
class Book:
    """What was seen of one target's pods, by uid."""

    cursors: dict[str, str] = field(default_factory=dict)
    """Place -> resourceVersion up to which everything was seen."""
    mine: set[str] = field(default_factory=set)
    """Pods and their makers that are the agent's, or were at any look: a label taken away hides nothing."""
    known: dict[str, Any] = field(default_factory=dict)
    """What a State says of a pod that was alive at any look."""
    signed: dict[str, str] = field(default_factory=dict)
    """What the plan knew to be alive, uid -> ``NS/NAME NODE``; until the first look has told of each."""
    first_s: dict[str, float] = field(default_factory=dict)
    """When a pod was seen first, on the monotonic clock."""
    began_s: float | None = None
    """When the first change was made; what planning saw does not count as waiting."""


def owned(scope: Scope, makers: list[Thing], sight: Sight, book: Book) -> Held:
    """Return the agent's pods; one that was its own at any look stays so, whatever its labels say now."""
    for found in (sight.passed, sight.pods):
        pods = [Thing(PODS, body) for body in found]
        now = held(scope, [*makers, *pods])
        book.mine |= {thing.uid for thing in now.things}
        book.mine |= {pod.uid for pod in pods if text(controller_of(pod.body), "uid") in book.mine}
    mine = (pod for pod in pods if pod.uid in book.mine and account_of(pod.body) not in scope.executors)
    return Held(tuple(mine), now.made)


def enter(
    book: Book, thing: Thing, ready: Mapping[str, bool], *, made: bool, keep: Callable[[Body], Json]
) -> None:
    """Take down what a pod that is there is now; one that was over before the first look is left out."""
    fate, why = fate_of(thing.body, ready)
    known = book.known.get(thing.uid)
    if known is None and _was_over(thing.body, fate):
        return
    if known is None:
        bare = fate is Fate.RUNS and not controller_of(thing.body)
        known = _first(thing, keep(thing.body) if bare else None, left=made)
    if known["fate"] == Fate.ENDED:
        # Seen to have ended while its node was ready; what becomes of the node says nothing more.
        return
    grace = part(thing.body, "metadata").get("deletionGracePeriodSeconds")
    node = text(thing.body, "spec", "nodeName")
    now = {"fate": str(fate), "why": why, "node": node, "ending_s": grace if isinstance(grace, int) else None}
    book.known[thing.uid] = known | now


def bury(book: Book, sight: Sight, ready: Mapping[str, bool]) -> None:
    """Take down what became of those that vanished, by their last words."""
    for body in sight.removed:
        uid = uid_of(body)
        known = book.known.get(uid)
        if uid not in book.mine or (known is not None and known["fate"] == Fate.ENDED):
            continue
        fate, why = last_words(body, ready)
        if known is None and fate is Fate.ENDED:
            continue
        now = {"fate": str(fate), "why": why, "node": text(body, "spec", "nodeName"), "removed": True}
        now["told"] = confirmed(body)
        book.known[uid] = (known or _first(Thing(PODS, body), None, left=False)) | now


def reconsider(book: Book, ready: Mapping[str, bool]) -> None:
    """Believe a kubelet that said so before its pod vanished, once its node is ready again."""
    for uid, one in book.known.items():
        if one["fate"] == Fate.LOST and one["told"] and ready.get(one["node"], False):
            book.known[uid] = one | {"fate": str(Fate.ENDED), "why": "has ended"}


def miss(book: Book, there: set[str], gap: str) -> None:
    """Take down those that are neither there nor known to have been removed."""
    for uid, one in book.known.items():
        if uid in there or one["fate"] == Fate.ENDED or one["removed"]:
            continue
        why = f"vanished, and nobody saw how; it was on node {one['node'] or 'none'}"
        book.known[uid] = one | {"fate": str(Fate.LOST), "why": why + (f" ({gap})" if gap else "")}


def settle_signed(book: Book, there: set[str], sight: Sight) -> None:
    """Take down what the plan knew and nobody can tell of: where the server forgot, silence is no end.

    Without a gap everything since the plan was told, and what is not there has had its last words.
    """
    told = there | book.known.keys() | {uid_of(body) for body in sight.removed}
    lost = {uid: place for uid, place in book.signed.items() if uid not in told} if sight.gap else {}
    for uid, place in lost.items():
        name, _, node = place.partition(" ")
        namespace, _, pod = name.partition("/")
        body = {"metadata": {"namespace": namespace, "name": pod, "uid": uid}}
        why = f"vanished after the plan, and nobody saw how; it was on node {node or 'none'} ({sight.gap})"
        now = {"node": node, "fate": str(Fate.LOST), "why": why, "removed": True}
        book.known[uid] = _first(Thing(PODS, body), None, left=False) | now
    book.signed.clear()


def alive(pods: Iterable[Thing]) -> dict[str, str]:
    """Return what a plan signs of the pods that are not over: uid -> ``NS/NAME NODE``."""
    return {
        pod.uid: f"{pod.namespace}/{pod.name} {text(pod.body, 'spec', 'nodeName')}"
        for pod in pods
        if text(pod.body, "status", "phase") not in {"Succeeded", "Failed"}
    }


def _first(thing: Thing, manifest: Json, *, left: bool) -> dict[str, Json]:
    own = part(thing.body, "spec").get("terminationGracePeriodSeconds")
    return {
        "namespace": thing.namespace,
        "name": thing.name,
        "uid": thing.uid,
        "node": "",
        "fate": "",
        "why": "",
        "grace_s": own if isinstance(own, int) else DEFAULT_GRACE_S,
        "ending_s": None,
        "left": left,
        "removed": False,
        "told": False,
        "manifest": manifest,
    }


def _was_over(body: Body, fate: Fate) -> bool:
    """Return whether a pod that is seen for the first time has no processes any more."""
    if fate is Fate.ENDED:
        return True
    told = bodies(body, "status", "containerStatuses")
    over = text(body, "status", "phase") in {"Succeeded", "Failed"}
    return over and bool(told) and all("terminated" in part(one, "state") for one in told)
