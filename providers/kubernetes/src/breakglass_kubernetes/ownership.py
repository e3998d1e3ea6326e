"""Follows controllers: what an owned workload made is the agent's, too (owner references)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import PODS, WORKLOADS, Kind
from breakglass_kubernetes.objects import Body, controller_of, name_of, namespace_of, text, uid_of
from breakglass_kubernetes.scope import Scope

_MAKERS = {
    "replicasets.apps": ("deployments.apps",),
    "jobs.batch": ("cronjobs.batch",),
    "pods": tuple(kind.name for kind in WORKLOADS),
}
"""Whose controllers really make such things: an owner reference is a claim that anybody may write."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One object of the agent's, as it was read."""

    kind: Kind
    body: Body

    @property
    def namespace(self) -> str:
        """Return its namespace."""
        return namespace_of(self.body)

    @property
    def name(self) -> str:
        """Return its name."""
        return name_of(self.body)

    @property
    def uid(self) -> str:
        """Return its uid."""
        return uid_of(self.body)

    @property
    def key(self) -> str:
        """Return how states and reports name it: ``deployments.apps/NS/NAME``."""
        return self.kind.key(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Held:
    """What of some kinds is the agent's."""

    things: tuple[Thing, ...]
    made: frozenset[str]
    """uids of things whose controller is the agent's, too: scaling these is in vain, their owner decides."""

    def of(self, kind: Kind) -> tuple[Thing, ...]:
        """Return those of one kind."""
        return tuple(thing for thing in self.things if thing.kind.name == kind.name)

    @property
    def roots(self) -> tuple[Thing, ...]:
        """Return those that no other thing of the agent's controls."""
        return tuple(thing for thing in self.things if thing.uid not in self.made)


def held(scope: Scope, found: Iterable[Thing]) -> Held:
    """Return what is the agent's of these: by its rules, or because its controller is."""
    things = tuple(found)
    owned = {thing.uid for thing in things if scope.owns(thing.kind, thing.body)}
    parent = {thing.uid: text(controller_of(thing.body), "uid") for thing in things}
    while grown := {uid for uid, above in parent.items() if above in owned and uid not in owned}:
        owned |= grown
    mine = tuple(thing for thing in things if thing.uid in owned)
    kind_of = {thing.uid: thing.kind.name for thing in mine}
    made = (
        thing.uid for thing in mine if kind_of.get(parent[thing.uid], "") in _MAKERS.get(thing.kind.name, ())
    )
    return Held(mine, frozenset(made))


def tops(things: Iterable[Thing]) -> Mapping[str, str]:
    """Return the uid of what in the end makes each thing, as far as these go: its own where nothing does."""
    found = {thing.uid: thing for thing in things}
    above: dict[str, str] = {}
    for uid, thing in found.items():
        maker = found.get(text(controller_of(thing.body), "uid"))
        real = maker is not None and maker.kind.name in _MAKERS.get(thing.kind.name, ())
        above[uid] = maker.uid if maker is not None and real else uid
    # A pod is made by a ReplicaSet, that by a Deployment: no chain of makers is longer.
    for _ in range(len(_MAKERS)):
        above = {uid: above[one] for uid, one in above.items()}
    return above


def read(cluster: Cluster, scope: Scope, kinds: Sequence[Kind] = (*WORKLOADS, PODS)) -> Held:
    """Read what of these kinds is the agent's; an owner is only followed where its kind is among them.

    Raises:
        Gone: the cluster serves one of the kinds no more.
        ProviderError: a listing failed.
    """
    return held(scope, (Thing(kind, body) for kind in kinds for body in cluster.list_in(kind, scope.look_in)))
