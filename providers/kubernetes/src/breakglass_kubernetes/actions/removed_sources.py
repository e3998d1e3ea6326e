"""Takes away what drives the agent and has no switch, and makes it again: one action a family of kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass.errors import Gone, ProviderError
from breakglass.model.action import ActionSpec, Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.custom import custom_kinds
from breakglass_kubernetes.destinations import Destinations, read_destinations
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.recreated import keep, kind_of, recreate
from breakglass_kubernetes.refusals import set_aside
from breakglass_kubernetes.remembered import Remembered
from breakglass_kubernetes.scope import Scope
from breakglass_kubernetes.words import some

SIGNED = "there"
"""The parameter with the uids of what there was when the plan was made, where only that may come back."""
Drives = Callable[[Scope, Destinations, Kind, Body], bool]


@dataclass(frozen=True, slots=True)
class Family:
    """Kinds that are taken away together."""

    spec: ActionSpec
    kinds: Callable[[Mapping[str, Kind]], tuple[Kind, ...]]
    """Chooses of what the cluster serves; called with all custom kinds that matter here."""
    drives: Drives
    """Says whether one object drives the agent, or is its own."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Deletes every object of a family that drives the agent, and recreates it at restore."""

    family: Family
    cluster: Cluster
    remembered: Remembered = field(default_factory=Remembered)

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        return self.family.spec

    def observe(self, resource: Resource) -> State:
        """Return every object that drives the agent. Raises ProviderError: nothing could be read."""
        found, failed = find(self.cluster, self.family, Scope.of(resource))
        things, lost = self.remembered.also(self.cluster, resource.id, found)
        failed += lost
        objects = {thing.key: keep(self.cluster, thing) for thing in things}
        return State(objects, complete=not failed, note="; ".join(failed)[:500])

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Delete what is there, each by its uid."""
        del resource, token

        def remove(kept: Any) -> None:  # noqa: ANN401 - JSON
            if not kept["deleting"]:
                self.cluster.delete(
                    kind_of(kept), kept["namespace"], kept["name"], uid=kept["uid"], propagation="Background"
                )

        self.cluster.each(before.objects.values(), remove)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide, purely: nothing that drives the agent is left."""
        del resource
        if not state.objects:
            verdict = Verdict.CONTAINED if state.complete else Verdict.UNKNOWN
            return Judgement(
                verdict, "nothing of the kind drives the agent" if state.complete else state.note
            )
        ending = [
            key for key, kept in state.objects.items() if isinstance(kept, Mapping) and kept["deleting"]
        ]
        left = [key for key in state.objects if key not in ending]
        if left:
            return Judgement(Verdict.NOT_CONTAINED, f"still drives the agent: {some(left)}")
        return Judgement(
            Verdict.NOT_CONTAINED, f"deleted, but its finalizer is not done, so it may work: {some(ending)}"
        )

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Make again what was deleted; what somebody made under the same name stays theirs."""
        del now
        outcomes: dict[str, Outcome] = {}
        signed = resource.params.get(SIGNED)
        known = frozenset(str(one) for one in signed) if isinstance(signed, list) else None

        def make(item: tuple[str, Any]) -> None:
            key, kept = item
            ours = known is None or str(kept["uid"]) in known
            outcomes[key] = recreate(self.cluster, kept) if ours else Outcome.ENDED

        self.cluster.each(before.objects.items(), make)
        more = "" if known is None else "; nothing that was made after the plan"
        return Reversal(outcomes, f"made again, with a new uid, unless somebody else did{more}")

    def probe(self, resource: Resource) -> Judgement | None:
        """Return None: whether an event arrives cannot be asked of the API server."""
        del resource
        return None


def find(cluster: Cluster, family: Family, scope: Scope) -> tuple[list[Thing], list[str]]:
    """Return what drives the agent, and which listings failed.

    A kind that the cluster serves no more has no objects: its definition took them with it (Kubernetes
    documentation, "Custom Resources": deleting a definition deletes its objects).

    Raises:
        ProviderError: what the cluster serves, or what is the agent's, cannot be read.
    """
    custom = custom_kinds(cluster)
    candidates: list[Thing] = []
    failed: list[str] = []
    for kind in family.kinds(custom):
        try:
            candidates += [Thing(kind, body) for body in cluster.every(kind)]
        except Gone:
            continue
        except ProviderError as error:
            set_aside(error, kind, failed, f"{kind.name}: {error.what}"[:300])
    named = read_destinations(cluster, scope, custom)
    return [one for one in candidates if family.drives(scope, named, one.kind, one.body)], failed
