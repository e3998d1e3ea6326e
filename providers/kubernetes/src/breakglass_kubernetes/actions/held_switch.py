"""Sets the switch that a kind of things has for being off, held by our manager, and gives it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError
from breakglass.model.action import ActionSpec, Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.held_fields import give_back, has, hold, is_held, record
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.owners import Path
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.refusals import set_aside
from breakglass_kubernetes.remembered import Remembered
from breakglass_kubernetes.scope import Scope
from breakglass_kubernetes.words import some


@dataclass(frozen=True, slots=True)
class Switch:
    """Which things are switched off, and how."""

    spec: ActionSpec
    find: Callable[[Cluster, Scope], tuple[list[Thing], list[str]]]
    """Returns the agent's things, and which listings failed."""
    off: Callable[[str], Mapping[Path, Json]]
    """Returns the fields that switch a thing off, by the name of its kind."""
    word: str
    """What is said of a thing that is off: ``suspended``."""


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    """Holds the switch of every thing of the agent's."""

    switch: Switch
    cluster: Cluster
    remembered: Remembered = field(default_factory=Remembered)

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        return self.switch.spec

    def observe(self, resource: Resource) -> State:
        """Return every thing with its switch as it is. Raises ProviderError."""
        found, failed = self.switch.find(self.cluster, Scope.of(resource))
        things, lost = self.remembered.also(self.cluster, resource.id, found)
        failed += lost
        objects: dict[str, Json] = {}
        for thing in things:
            off = self.switch.off(thing.kind.name)
            objects[thing.key] = {
                **record(thing.body, *off),
                "kind": [thing.kind.group, thing.kind.version, thing.kind.plural, thing.kind.kind],
                "namespace": thing.namespace,
                "name": thing.name,
                "off": "held" if is_held(thing.body, off) else "off" if has(thing.body, off) else "on",
            }
        return State(objects, complete=not failed, note="; ".join(failed)[:500])

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Hold the switch of what is not held yet, also of what somebody else switched off before."""
        del resource, token

        def take(seen: Any) -> None:  # noqa: ANN401 - JSON
            kind = _kind(seen)
            # Read anew: what another action holds of it by now must be repeated.
            body = self.cluster.get(kind, seen["namespace"], seen["name"])
            thing = Thing(kind, {**body, "metadata": {**body["metadata"], "uid": seen["uid"]}})
            hold(self.cluster, kind, thing, self.switch.off(kind.name))

        self.cluster.each([seen for seen in before.objects.values() if _off(seen) != "held"], take)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide, purely: everything is off, and whoever applies it again is in conflict with us."""
        del resource
        if on := [key for key, seen in state.objects.items() if _off(seen) == "on"]:
            return Judgement(Verdict.NOT_CONTAINED, f"not {self.switch.word}: {some(on)}")
        if free := [key for key, seen in state.objects.items() if _off(seen) != "held"]:
            words = f"{self.switch.word}, but not held: the next apply may undo it: {some(free)}"
            return Judgement(Verdict.NOT_CONTAINED, words)
        if not state.complete:
            return Judgement(Verdict.UNKNOWN, state.note)
        return Judgement(Verdict.CONTAINED, f"{len(state.objects)} {self.switch.word} and held")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Give every switch back to whoever owned it, as it was; off before stays off."""
        del resource, now
        outcomes: dict[str, Outcome] = {}

        def back(item: tuple[str, Any]) -> None:
            key, seen = item
            if _off(seen) == "held":  # by an earlier stop, whose restore gives it back
                outcomes[key] = Outcome.ALREADY
                return
            kind = _kind(seen)
            outcomes[key] = give_back(
                self.cluster,
                kind,
                seen["namespace"],
                seen["name"],
                before=seen,
                fields=self.switch.off(kind.name),
            )

        self.cluster.each(before.objects.items(), back)
        return Reversal(outcomes, "switched as before, and owned by whoever owned it")

    def probe(self, resource: Resource) -> Judgement | None:
        """Return None: what a controller does not do cannot be asked of the API server."""
        del resource
        return None


def listed(
    cluster: Cluster, kinds: tuple[Kind, ...], namespaces: tuple[str, ...]
) -> tuple[list[Thing], list[str]]:
    """Return all things of these kinds, and which listings failed; a kind that is served no more has none."""
    things: list[Thing] = []
    failed: list[str] = []
    for kind in kinds:
        try:
            things += [Thing(kind, body) for body in cluster.list_in(kind, namespaces)]
        except Gone:
            continue
        except ProviderError as error:
            set_aside(error, kind, failed, f"{kind.name}: {error.what}"[:300])
    return things, failed


def _kind(seen: Mapping[str, Any]) -> Kind:
    group, version, plural, kind = (str(one) for one in seen["kind"])
    return Kind(group, version, plural, kind)


def _off(seen: Any) -> str:  # noqa: ANN401 - JSON
    return str(seen.get("off", "")) if isinstance(seen, Mapping) else ""
