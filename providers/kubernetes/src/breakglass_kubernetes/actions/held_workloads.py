"""Holds one field of each workload by our field manager, says what that did, and gives it back.

Deployments at zero, suspended Jobs, DaemonSets that fit no node, autoscalers that do not scale up: all of
them are the same step over another field. What the agent owned once during a run stays its own, so that a
label that is taken away meanwhile hides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import ActionSpec, Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_kubernetes.actions.followers import follow
from breakglass_kubernetes.cluster import MANAGER, Cluster
from breakglass_kubernetes.glance import glance
from breakglass_kubernetes.held_fields import give_back, hold, is_held, record
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import part, uid_of
from breakglass_kubernetes.owners import Path, shares
from breakglass_kubernetes.ownership import Held, Thing, held
from breakglass_kubernetes.refusals import set_aside
from breakglass_kubernetes.scope import Scope

NAMED = 5
"""So many are named in a reason; the record holds all."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One workload and what is to be held of it."""

    thing: Thing
    fields: Mapping[Path, Json]
    words: str
    """What it is as long as it is not held: ``has replicas 3``."""
    running: int = 0
    """How many pods its controller still counts."""
    acted: bool = True
    """Whether its controller has seen the newest specification."""
    kept: tuple[Path, ...] = ()
    """What is recorded for the restore, where that is more than the fields."""

    @property
    def key(self) -> str:
        """Return its name in a State: one made anew under the same name is another object."""
        return f"{self.thing.key}@{self.thing.uid[:8]}"


@dataclass(slots=True)
class Mine:
    """uids of what was the agent's at any look of this run, by target."""

    seen: dict[str, set[str]] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)

    def count(self, uid: str) -> int:
        """Count one more look at something, and return how many there were."""
        self.counted[uid] += 1
        return self.counted[uid]

    def held(self, target: Resource, scope: Scope, things: Iterable[Thing]) -> Held:
        """Return what is the agent's of these by now, or was before in this run."""
        everything = tuple(things)
        now = held(scope, everything)
        seen = self.seen.setdefault(target.id, set())
        mine = {thing.uid for thing in now.things}
        hidden = tuple(thing for thing in everything if thing.uid in seen and thing.uid not in mine)
        seen |= mine
        return Held((*now.things, *hidden), now.made)


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found."""

    cuts: Sequence[Cut]
    remark: str = ""
    failed: Sequence[str] = ()
    """Kinds that could not be read: the others are held all the same."""


Look = Callable[[Cluster, Resource, Mine], Looked]


def listed(cluster: Cluster, kinds: Iterable[Kind], scope: Scope) -> tuple[list[Thing], list[str]]:
    """Return everything of these kinds where the agent's can be, and which kinds could not be read."""
    found: list[Thing] = []
    failed: list[str] = []
    for kind in kinds:
        try:
            found += [Thing(kind, body) for body in cluster.list_in(kind, scope.look_in)]
        except ProviderError as error:
            set_aside(error, kind, failed, f"{kind.name}: {error.what}"[:300])
    return found, failed


Left = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[Path, Json]]
"""Returns, of what was recorded and the object as it is, the values that the stop left there."""


def left_as_recorded(before: Mapping[str, Any], body: Mapping[str, Any]) -> Mapping[Path, Json]:  # noqa: ARG001 - the port's
    """Return the values that were to be held, as recorded."""
    return {tuple(path): value for path, value in before["left"]}


class Holding:
    """A step that holds fields of workloads; `look` says which."""

    def __init__(self, cluster: Cluster, spec: ActionSpec, look: Look, left: Left = left_as_recorded) -> None:
        """Call as the executor of this cluster."""
        self._cluster = cluster
        self._spec = spec
        self._look = look
        self._left = left
        self._mine = Mine()
        self._undone: dict[str, tuple[str, int]] = {}
        """Key -> the uid of what was held, and how often somebody has undone that since."""

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        return self._spec

    def observe(self, resource: Resource) -> State:
        """Read every workload of the agent's with the field's value and owners. Raises ProviderError."""
        found = self._look(self._cluster, resource, self._mine)
        objects = {cut.key: seen(cut) for cut in found.cuts}
        undone = [f"{key} was put back {n} times since" for key, (_, n) in self._undone.items() if n]
        remark = "; ".join(one for one in (found.remark, named(undone)) if one)
        return State(objects, complete=not found.failed, note="; ".join(found.failed) or remark)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Hold the field where that is not so yet; only of what is recorded. Raises ProviderError."""
        cuts = self._look(self._cluster, resource, self._mine).cuts
        todo = [cut for cut in cuts if cut.key in before.objects and not is_held(cut.thing.body, cut.fields)]

        def take(cut: Cut) -> None:
            hold(self._cluster, cut.thing.kind, cut.thing, cut.fields)
            uid, n = self._undone.get(cut.key, ("", 0))
            self._undone[cut.key] = (cut.thing.uid, n + 1 if uid == cut.thing.uid else 0)

        self._cluster.each(todo, take)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether all of them are held, and their controllers followed."""
        return judge_held(state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - read anew, object by object
        """Give every field back with its owners; compare-and-set. Raises ProviderError."""
        outcomes: dict[str, Outcome] = {}
        places: dict[Kind, list[tuple[str, str]]] = {}
        for one in (part({"of": value}, "of") for value in before.objects.values()):
            places.setdefault(Kind(**part(one, "kind")), []).append((one["namespace"], one["name"]))
        reads = {kind: glance(self._cluster, kind, where) for kind, where in places.items()}

        def back(item: tuple[str, Any]) -> None:
            key, one = item
            kind = Kind(**one["kind"])
            body = reads[kind](one["namespace"], one["name"])
            if body is None or uid_of(body) != one["prior"]["uid"]:
                outcomes[key] = Outcome.DRIFTED
                return
            outcomes[key] = give_back(
                self._cluster,
                kind,
                one["namespace"],
                one["name"],
                before=one["prior"],
                fields=self._left(one, body),
                newest=body,
            )

        self._cluster.each(before.objects.items(), back)
        whole = {key: outcomes.get(key, Outcome.DRIFTED) for key in before.objects}
        whole |= dict.fromkeys(follow(self._cluster, dict[str, Any](before.objects), whole), Outcome.ALREADY)
        return Reversal(whole, "values and their owners are as before; who changed one since keeps it")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - none
        """Try nothing: reading back is the proof; that no pod is left is another step's."""
        return None


def seen(cut: Cut) -> dict[str, Json]:
    """Return one workload for a State: all that puts it back, and all that `judge_held` asks."""
    kind, body = cut.thing.kind, cut.thing.body
    paths = tuple(cut.fields)
    writers: list[Json] = [
        f"{one['manager']}" for one in shares(_entries(body), paths) if one.get("manager") != MANAGER
    ]
    return {
        "kind": {
            "group": kind.group,
            "version": kind.version,
            "plural": kind.plural,
            "kind": kind.kind,
            "namespaced": kind.namespaced,
        },
        "namespace": cut.thing.namespace,
        "name": cut.thing.name,
        "prior": record(body, *(cut.kept or paths)),
        "left": [[list(path), value] for path, value in cut.fields.items()],
        "held": is_held(body, cut.fields),
        "words": cut.words,
        "writers": writers,
        "running": cut.running,
        "acted": cut.acted,
    }


def judge_held(state: State) -> Judgement:
    """Say what is open first, then what is not known yet."""
    found: dict[str, Any] = dict(state.objects)
    loose = [f"{key} {_told(one)}" for key, one in found.items() if not one["held"]]
    if loose:
        return Judgement(Verdict.NOT_CONTAINED, named(loose))
    idle = [
        f"{key} is held, and its controller has not acted yet"
        for key, one in found.items()
        if not one["acted"]
    ]
    idle += [
        f"{key} is held, and {one['running']} pods of it are still counted"
        for key, one in found.items()
        if one["acted"] and one["running"]
    ]
    if idle or not state.complete:
        return Judgement(Verdict.UNKNOWN, named(idle) or f"not all could be read: {state.note}")
    remark = f"; {state.note}" if state.note else ""
    return Judgement(Verdict.CONTAINED, f"all {len(found)} are held by us{remark}")


def named(found: Sequence[str]) -> str:
    """Return the first few, and how many more."""
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return "; ".join(found[:NAMED]) + more


def _told(one: Mapping[str, Any]) -> str:
    writers = ", ".join(dict.fromkeys(one["writers"]))
    return f"{one['words']}, written by {writers}" if writers else str(one["words"])


def _entries(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = part(body, "metadata").get("managedFields")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
