"""Keeps policies that deny the agent's pods everything, in any of the languages that say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, Transient
from breakglass.model.action import ActionSpec, Grade, Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_kubernetes import peers
from breakglass_kubernetes.actions import egress_put_back as back
from breakglass_kubernetes.actions.egress_wanted import Wanted, wanted
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import NAMESPACES, Kind
from breakglass_kubernetes.objects import Body, items, labels_of, name_of, part, text, uid_of
from breakglass_kubernetes.scope import Scope

INCIDENT_LABEL = "breakglass.dev/incident"
_LISTED = 5
_UNSERVED = "served"
_HOST = "host-network"


@dataclass(frozen=True, slots=True)
class Language:
    """How one kind of policy says that labels are denied everything."""

    kind: Kind
    spec_of: Callable[[Mapping[str, object]], Mapping[str, Any]]
    """LabelSelector -> spec."""


class Denial:
    """Policies of one kind in every namespace of the agent's."""

    def __init__(self, cluster: Cluster, spec: ActionSpec, language: Language) -> None:
        """Call as the executor of this cluster."""
        self.spec = spec
        self._cluster = cluster
        self._language = language

    def observe(self, resource: Resource) -> State:
        """Read the agent's pods, their neighbours, and our policies. Raises ProviderError."""
        scope, kind = Scope.of(resource), self._language.kind
        found = peers.look(self._cluster, scope)
        denials = wanted(scope, _mark(resource), found)
        namespaces = tuple(dict.fromkeys(one.namespace for one in denials.policies))
        objects = back.mark_states(denials.unmarked)
        try:
            there = {
                kind.key(text(body, "metadata", "namespace"), text(body, "metadata", "name")): body
                for body in self._cluster.list_in(kind, namespaces)
            }
        except Gone:
            return State({**objects, _UNSERVED: {"kind": kind.name}})
        absent = any(kind.key(one.namespace, one.name) not in there for one in denials.policies)
        live = frozenset(name_of(body) for body in self._cluster.every(NAMESPACES)) if absent else frozenset()
        for one in denials.policies:
            objects[kind.key(one.namespace, one.name)] = self._seen(one, there, live)
        hosts = [thing.key for thing in found.mine if peers.on_host_network(thing)]
        if hosts and resource.params.get("host_network") is not True:
            objects[_HOST] = {"things": [*hosts[:_LISTED]]}
        return State(objects)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether every policy is there exactly as wanted and every pod is selected."""
        if _UNSERVED in state.objects:
            name = self._language.kind.name
            return Judgement(Verdict.UNKNOWN, f"the cluster does not serve {name} any more", Grade.NONE)
        wrong = [f"{key}: {why}" for key, one in state.objects.items() if (why := _wrong(one))]
        if wrong:
            more = f" and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
            return Judgement(Verdict.NOT_CONTAINED, "; ".join(wrong[:_LISTED]) + more)
        hosts = items(_object(state, _HOST), "things")
        if hosts:
            words = ", ".join(str(one) for one in hosts)
            return Judgement(
                Verdict.UNKNOWN, f"on their node's network, which no policy cuts: {words}", Grade.NONE
            )
        count = sum(1 for one in state.objects.values() if isinstance(one, Mapping) and "wanted" in one)
        said = text(resource.params, "cni")
        return Judgement(
            Verdict.CONTAINED, f"{count} policies deny the agent's pods everything; {said}"[:900]
        )

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Create or correct each policy, and mark the pods that need it. Raises ProviderError."""
        if _UNSERVED in before.objects:
            raise Transient(f"{self._language.kind.name} is not served", where=self._cluster.where)
        open_ones = [
            one
            for one in before.objects.values()
            if isinstance(one, Mapping) and "wanted" in one and _wrong(one)
        ]
        label = {INCIDENT_LABEL: str(resource.params.get("incident", ""))}
        try:
            self._cluster.each(open_ones, lambda one: self._write(one, label))
        finally:
            # Whatever was refused: nothing of this waits for anything of that.
            back.mark_pods(self._cluster, before.objects, _mark(resource))
        if not open_ones and _HOST in before.objects:
            raise Transient("no policy reaches what is on its node's network", where=self._cluster.where)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - read anew, one by one
        """Delete our policies, put back what stood under their names, take our label off pods that run."""
        outcomes: dict[str, Outcome] = {}
        mark = _mark(resource)

        def attempt(key: str) -> None:
            was = _object(before, key)
            if was.get("unmarked") is True:
                outcomes[key] = back.retry(lambda: back.unmark(self._cluster, was, mark))
            elif "wanted" in was:
                outcomes[key] = back.retry(lambda: self._undo(was))

        self._cluster.each([*before.objects], attempt)
        return Reversal(outcomes, "a policy that is not as the stop left it is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: whether packets are dropped can only be seen inside of the agent's pod."""
        return None

    def _seen(self, one: Wanted, there: Mapping[str, Body], live: frozenset[str]) -> dict[str, Json]:
        kind = self._language.kind
        spec: Any = dict(self._language.spec_of(one.selector))
        shown: dict[str, Json] = {"namespace": one.namespace, "name": one.name, "wanted": spec}
        body = there.get(kind.key(one.namespace, one.name))
        if body is not None:
            return {**shown, **back.prior(body), "version": text(body, "metadata", "resourceVersion")} | (
                {"deleting": True} if text(body, "metadata", "deletionTimestamp") else {}
            )
        if one.namespace not in live:
            shown["gone"] = True
        return {**shown, "absent": True}

    def _write(self, one: Mapping[str, Json], label: Mapping[str, str]) -> None:
        kind, namespace, name = self._language.kind, str(one["namespace"]), str(one["name"])
        about = {"name": name, "namespace": namespace, "labels": dict(label)}
        spec = part(one, "wanted")
        if "uid" in one:
            guard = {"uid": one["uid"], "resourceVersion": one["version"]}
            seen = {"metadata": {**about, **guard}}
            self._cluster.replace(kind, back.whole(kind, seen, about, spec))
            if "deleting" not in one:
                return
            # Without its finalizers it has just gone.
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": about, "spec": dict(spec)}
        self._cluster.create(kind, namespace, body)

    def _undo(self, was: Body) -> Outcome:
        kind, namespace, name = self._language.kind, text(was, "namespace"), text(was, "name")
        now = self._cluster.maybe(kind, namespace, name)
        if "absent" in was:
            if now is None:
                return Outcome.ALREADY
            if not same(part(now, "spec"), part(was, "wanted")) or INCIDENT_LABEL not in labels_of(now):
                return Outcome.DRIFTED
            version = text(now, "metadata", "resourceVersion")
            self._cluster.delete(kind, namespace, name, uid=uid_of(now), version=version)
            return Outcome.RESTORED
        if now is None or uid_of(now) != text(was, "uid"):
            return Outcome.DRIFTED
        if same(part(now, "spec"), part(was, "spec")):
            return back.finish(self._cluster, kind, now, was)
        if not same(part(now, "spec"), part(was, "wanted")):
            return Outcome.DRIFTED
        return back.put_back(self._cluster, kind, now, was, spec_only=False)


def same(one: Body, other: Body) -> bool:
    """Return whether two specs mean the same: what is empty is as good as absent, at the top alone.

    An empty rule further down allows everything, so it is never dropped.
    """
    return _plain(one) == _plain(other)


def _plain(spec: Body) -> dict[str, Any]:
    found = {name: value for name, value in spec.items() if value not in (None, [], {})}
    for name in ("policyTypes", "types"):
        if isinstance(found.get(name), Sequence):
            found[name] = sorted(map(str, found[name]))
    return found


def _wrong(one: Json) -> str:
    """Return why an object of a state is not as it must be; empty: it is."""
    if not isinstance(one, Mapping):
        return ""
    if one.get("unmarked") is True:
        return "no label of its own tells it from its neighbours, and it has none of ours yet"
    if "wanted" not in one or "gone" in one:
        return ""
    if "absent" in one:
        return "is not there"
    if "deleting" in one:
        return "is being deleted"
    if not same(part(one, "spec"), part(one, "wanted")):
        return "has another content"
    # Either lets whoever holds the owner or the finalizer decide when ours ends.
    about = part(one, "metadata")
    return "hangs on others" if about.get("ownerReferences") or about.get("finalizers") else ""


def _object(state: State, key: str) -> Body:
    found = state.objects.get(key)
    return found if isinstance(found, Mapping) else {}


def _mark(resource: Resource) -> str:
    return str(resource.params.get("mark", ""))
