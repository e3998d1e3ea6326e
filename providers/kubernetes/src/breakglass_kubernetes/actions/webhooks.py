"""Disarms the admission webhooks that lead to the agent: they may refuse, delay or change every cut.

Webhook configurations are themselves no subject of webhooks (Kubernetes documentation, "Dynamic Admission
Control", avoiding deadlocks), so a webhook cannot defend itself. The entries are taken out and the object
stays: nothing else needs to be true then, and a webhook that is added again is seen and taken out, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal, WaitFor
from breakglass_kubernetes.actions import admission_policies
from breakglass_kubernetes.actions.held_switch import listed
from breakglass_kubernetes.actions.webhook_entries import cut_of, cut_out, is_back, put_back
from breakglass_kubernetes.cluster import JSON_PATCH, Cluster
from breakglass_kubernetes.destinations import read_destinations
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.held_fields import record, return_ownership
from breakglass_kubernetes.kinds import MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS, Kind
from breakglass_kubernetes.objects import Body, bodies, uid_of, version_of
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.scope import Scope, target
from breakglass_kubernetes.words import some

NAME = "kubernetes.admission.disarm_webhooks"
KEY = "disarm_webhooks"
FIRST_S = 5.0
"""Other changes wait so long for it at most: they go through webhooks, this one does not."""
_KINDS = {"validating": VALIDATING_WEBHOOKS, "mutating": MUTATING_WEBHOOKS}
_LISTED = "webhooks"
_SIGNED = "armed"
"""The parameter that says which entries there were when the plan was made: only those come back."""

SPEC = ActionSpec(
    name=NAME,
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="Takes out the admission webhooks that the agent answers: it refuses and changes nothing more",
    permissions=(
        "list services",
        "list pods",
        "list deployments.apps",
        "list statefulsets.apps",
        "list daemonsets.apps",
        "list replicasets.apps",
        "list replicationcontrollers",
        "list jobs.batch",
        "list cronjobs.batch",
        *(
            f"{verb} {kind.name}"
            for kind in (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS)
            for verb in ("list", "get", "patch")
        ),
    ),
    blast_radius="what these webhooks refused or changed for others passes unchanged",
    reversibility=Reversibility.FULL,
    undo="the same entries at their places; one that somebody wrote anew meanwhile stays theirs",
    settle_s=5.0,
    best_grade=Grade.READ_BACK,
    example="webhooks: [] in validatingwebhookconfigurations.admissionregistration.k8s.io support-bot",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, 'Kubernetes documentation, "Dynamic Admission Control"'),
        Source("summary", Authority.REAL_SYSTEM, "kube-apiserver 1.36.2 and webhooks that refuse and change"),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_webhooks.py"),
        Source(
            "settle", Authority.REAL_SYSTEM, "kube-apiserver 1.36.2: in force within a second; one server"
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class DisarmWebhooks:
    """Takes the agent's entries out of every webhook configuration."""

    cluster: Cluster

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        return SPEC

    def observe(self, resource: Resource) -> State:
        """Return every configuration that has entries of the agent's. Raises ProviderError."""
        found, failed = _find(self.cluster, Scope.of(resource))
        objects: dict[str, Json] = {}
        for thing, names in found:
            objects[thing.key] = {
                **record(thing.body, ("webhooks",)),
                "kind": thing.kind.plural,
                "name": thing.name,
                "version": version_of(thing.body),
                "webhooks": [*bodies(thing.body, "webhooks")],
                "cut": list(names),
            }
        return State(objects, complete=not failed, note="; ".join(failed)[:500])

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Take the entries out of what was read and nothing newer."""
        del resource, token
        self.cluster.each(before.objects.values(), self._disarm)

    def _disarm(self, seen: Any) -> None:  # noqa: ANN401 - JSON
        left = cut_out(seen["webhooks"], seen["cut"])
        self._write(seen["kind"], seen["name"], seen["uid"], seen["version"], left)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide, purely: no entry that leads to the agent is left."""
        del resource
        if state.objects:
            return Judgement(Verdict.NOT_CONTAINED, f"webhooks lead to the agent: {some(state.objects)}")
        if not state.complete:
            return Judgement(Verdict.UNKNOWN, state.note)
        return Judgement(Verdict.CONTAINED, "no admission webhook leads to the agent")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put the entries back at their places."""
        del now
        outcomes: dict[str, Outcome] = {}
        signed = resource.params.get(_SIGNED)
        known = frozenset(str(one) for one in (signed if isinstance(signed, list) else ()))

        def back(item: tuple[str, Any]) -> None:
            key, seen = item
            cut = [one for one in seen["cut"] if f"{key} {seen['uid']} {one}" in known]
            entries = [
                one for one in seen["webhooks"] if one["name"] in cut or one["name"] not in seen["cut"]
            ]
            outcome = self._arm({**seen, "cut": cut, "webhooks": entries})
            outcomes[key] = Outcome.ENDED if outcome is not Outcome.DRIFTED and not cut else outcome

        self.cluster.each(before.objects.items(), back)
        reason = "the same entries, owned by whoever owned them; none that was made after the plan"
        return Reversal(outcomes, reason)

    def _arm(self, seen: Mapping[str, Any]) -> Outcome:
        kind = _plural(seen["kind"])
        try:
            body = self.cluster.get(kind, "", seen["name"])
        except Gone:
            return Outcome.DRIFTED
        if uid_of(body) != seen["uid"]:
            return Outcome.DRIFTED
        live: Sequence[Body] = bodies(body, "webhooks")
        outcome = Outcome.ALREADY
        if not is_back(live, seen["webhooks"], seen["cut"]):
            if (whole := put_back(live, seen["webhooks"], seen["cut"])) is None:
                return Outcome.DRIFTED
            body = self._write(seen["kind"], seen["name"], seen["uid"], version_of(body), whole)
            outcome = Outcome.RESTORED
        written = return_ownership(self.cluster, kind, body, (("webhooks",),), seen["owners"])
        return Outcome.RESTORED if written else outcome

    def _write(self, plural: str, name: str, uid: str, version: str, entries: Sequence[Body]) -> Body:
        change = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/webhooks", "value": list(entries)},
        ]
        return self.cluster.patch(_plural(plural), "", name, change, content_type=JSON_PATCH)

    def probe(self, resource: Resource) -> Judgement | None:
        """Return None: the server does not tell which webhooks it would call."""
        del resource
        return None


def _plural(plural: str) -> Kind:
    return VALIDATING_WEBHOOKS if plural == VALIDATING_WEBHOOKS.plural else MUTATING_WEBHOOKS


def _find(cluster: Cluster, scope: Scope) -> tuple[list[tuple[Thing, tuple[str, ...]]], list[str]]:
    """Return the configurations with the names of the agent's entries, and which listings failed."""
    things, failed = listed(cluster, tuple(_KINDS.values()), ("",))
    armed = [thing for thing in things if bodies(thing.body, "webhooks")]
    named = read_destinations(cluster, scope, {})
    words = scope.more.get(_LISTED)
    whole = {(_KINDS[word.partition("/")[0]].plural, word.partition("/")[2]) for word in _texts(words)}
    found = [
        (thing, cut_of(thing.body, scope, named, whole=(thing.kind.plural, thing.name) in whole))
        for thing in armed
    ]
    return [one for one in found if one[1]], failed


def _texts(words: Json) -> list[str]:
    listed_words = words if isinstance(words, list) else []
    return [str(one) for one in listed_words if str(one).partition("/")[0] in _KINDS]


def first(proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """Let every other step wait a little for what may refuse it, where there is any: it goes before all."""
    found = [one.key for one in proposals if one.key in (KEY, admission_policies.KEY)]
    if not found:
        return tuple(proposals)
    waits = tuple(WaitFor(key, FIRST_S) for key in found)
    return tuple(one if one.key in found else replace(one, after=(*one.after, *waits)) for one in proposals)


ACTION_CLASSES = (DisarmWebhooks,)
SPECS = (SPEC,)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to disarm them where there are any."""
    label = f"admission webhooks of {found.scope.agent}"
    more: dict[str, Json] = {_LISTED: [*cluster.settings.texts(_LISTED), *found.webhooks]}
    goal = target(found.scope, cluster.settings.cluster_uid, label, **more)
    things, failed = _find(cluster, Scope.of(goal))
    armed: list[Json] = [f"{thing.key} {thing.uid} {name}" for thing, names in things for name in names]
    goal = replace(goal, params={**goal.params, _SIGNED: armed})
    steps = (Proposal(key=KEY, action=NAME, target=goal),) if things else ()
    return Proposed(steps, incomplete=tuple(failed))
