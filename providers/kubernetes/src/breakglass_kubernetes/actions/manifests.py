"""``kubernetes.objects.collect``: what the agent was here, as it stood: objects, rights, events, nodes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from breakglass.errors import Gone, ProviderError
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Proposal, Proposed, Reversal, collected
from breakglass_kubernetes import evidence_objects, ownership
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.collected import BUDGET_S, collected_in
from breakglass_kubernetes.evidence_objects import CONFIG_MAPS, Agent
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import (
    ADMISSION_BINDINGS,
    ADMISSION_POLICIES,
    API_SERVICES,
    AUTOSCALERS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CUSTOM_RESOURCES,
    EVENTS,
    MUTATING_WEBHOOKS,
    NETWORK_POLICIES,
    NODES,
    PODS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    VALIDATING_WEBHOOKS,
    WORKLOADS,
    Kind,
)
from breakglass_kubernetes.objects import Body, name_of, part, text
from breakglass_kubernetes.redact import Redactor
from breakglass_kubernetes.refusals import CredentialsExpired
from breakglass_kubernetes.scope import Scope, target

_WHOLE = (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS, ADMISSION_POLICIES, ADMISSION_BINDINGS)
_NAMES = (CUSTOM_RESOURCES, API_SERVICES)
_AROUND = (SERVICE_ACCOUNTS, AUTOSCALERS, NETWORK_POLICIES, RESOURCE_QUOTAS, CONFIG_MAPS, SECRETS)
_RIGHTS = (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS, ROLES, CLUSTER_ROLES)
_LISTED = (*WORKLOADS, PODS, *_AROUND, *_RIGHTS, *_WHOLE, *_NAMES, EVENTS, NODES)

SPEC = ActionSpec(
    name="kubernetes.objects.collect",
    capability=Capability.SNAPSHOT_LOGS,
    summary=(
        "copies the manifests of the agent's workloads, pods, policies and accounts with their managed"
        " fields, its RBAC as it stood, events, webhooks and nodes; of Secrets only the names and sizes of"
        " their keys"
    ),
    permissions=tuple(f"list {kind.name}" for kind in _LISTED),
    blast_radius="nothing: it only reads",
    reversibility=Reversibility.FULL,
    undo="nothing was changed; the evidence stays",
    settle_s=0,
    best_grade=Grade.READ_BACK,
    example="kubernetes.objects.collect support-bot",
    sources=(
        Source(
            "summary", Authority.VENDOR_TEXT, 'Kubernetes documentation, "Server-Side Apply": managed fields'
        ),
        Source("effect", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_evidence_objects.py"),
    ),
)


@dataclass(slots=True)
class _Outcome:
    left_out: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)


class CollectObjects:
    """All that stands in one cluster about the agent."""

    spec = SPEC

    def __init__(self, cluster: Cluster) -> None:
        """Make the run's own redaction key; it is never written."""
        self._cluster = cluster
        self._redactor = Redactor(secrets.token_bytes(32))
        self._collected = collected_in(cluster)

    def observe(self, resource: Resource) -> State:
        """Return what this run has collected so far."""
        return self._collected.state(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - evidence is only added to
        """Collect once in a run.

        Raises:
            Denied: something had to be left out; trying again would leave out the same.
            ProviderError: the agent's own workloads cannot be listed.
        """
        if self._collected.ended(resource):
            return
        clock = self._cluster.connection.clock
        end_s = clock.monotonic_s() + BUDGET_S
        scope = Scope.of(resource)
        agent = Agent(scope, ownership.read(self._cluster, scope))
        outcome = _Outcome()
        for name, look in self._plan(agent):
            if clock.monotonic_s() >= end_s:
                outcome.partial.append(f"{name} was not reached in {BUDGET_S:.0f} s")
                continue
            self._write(resource, name, look, outcome, end_s)
        report = json.dumps({"redacted": dict(self._redactor.counts)}, indent=1).encode() + b"\n"
        self._put(resource, "about.json", (report,), outcome)
        self._collected.end(resource, outcome.left_out, outcome.partial)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Contained: what there was to read was written."""
        return collected.judged(state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing changed
        """Do nothing: reading changed nothing."""
        return collected.nothing_to_revert(before)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: there is nothing to try."""
        return None

    def _plan(self, agent: Agent) -> Iterator[tuple[str, Callable[[], Iterable[Body]]]]:
        """Yield what is read, what goes soonest first: bindings, then workloads; events expire."""
        cluster, held = self._cluster, agent.held
        rights: dict[Kind, list[Body]] = {}

        def right(kind: Kind) -> list[Body]:
            rights.update({} if rights else evidence_objects.rights(agent, cluster))
            return rights[kind]

        for kind in _RIGHTS:
            yield kind.name, lambda kind=kind: right(kind)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        for kind in (*WORKLOADS, PODS):
            yield kind.name, lambda kind=kind: [thing.body for thing in held.of(kind)]  # type: ignore[misc]  # as above
        for kind, look in evidence_objects.around(agent).items():
            yield kind.name, lambda look=look: look(cluster)  # type: ignore[misc]  # as above
        yield "events", lambda: self._events(agent)
        for kind in _WHOLE:
            yield kind.name, lambda kind=kind: cluster.every(kind)  # type: ignore[misc]  # as above
        for kind in _NAMES:
            yield kind.name, lambda kind=kind: [{"name": name_of(one)} for one in cluster.every(kind)]  # type: ignore[misc]  # as above
        yield NODES.name, lambda: self._nodes(agent)

    def _events(self, agent: Agent) -> Sequence[Body]:
        events = self._cluster.list_in(EVENTS, agent.namespaces)
        concerns = evidence_objects.concerning(agent)
        return [event for event in events if concerns(event)]

    def _nodes(self, agent: Agent) -> Sequence[Body]:
        ran_on = {text(pod.body, "spec", "nodeName") for pod in agent.held.of(PODS)} - {""}
        found = self._cluster.every(NODES) if ran_on else []
        kept = ("conditions", "nodeInfo", "addresses")
        return [
            {**node, "status": {key: value for key, value in part(node, "status").items() if key in kept}}
            for node in found
            if name_of(node) in ran_on
        ]

    def _write(
        self,
        resource: Resource,
        name: str,
        look: Callable[[], Iterable[Body]],
        outcome: _Outcome,
        end_s: float,
    ) -> None:
        try:
            found = list(look())
        except CredentialsExpired:
            raise
        except Gone:
            outcome.partial.append(f"the cluster serves no {name}")
            return
        except ProviderError as error:
            outcome.left_out.append(f"{name}: {error.what}"[:300])
            return
        if found:
            self._put(resource, f"{name}.jsonl", self._lines(name, found, outcome, end_s), outcome)

    def _put(self, resource: Resource, name: str, chunks: Iterable[bytes], outcome: _Outcome) -> None:
        try:
            self._collected.put(resource, f"objects/{name}", f"{name} as it stood", chunks)
        except ProviderError as error:
            outcome.left_out.append(f"{name}: {error}"[:300])

    def _lines(self, name: str, found: Sequence[Body], outcome: _Outcome, end_s: float) -> Iterator[bytes]:
        """Yield one redacted object a line, as far as the time goes."""
        for n, body in enumerate(found):
            if self._cluster.connection.clock.monotonic_s() >= end_s:
                outcome.partial.append(f"{n} of {len(found)} {name}")
                return
            kept = evidence_objects.without_data(body) if name == SECRETS.name else body
            yield json.dumps(self._redactor.value(kept), separators=(",", ":")).encode() + b"\n"


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to collect what stands about the agent."""
    label = f"objects, rights and events of {found.scope.agent} in {cluster.settings.server}"
    aim = target(found.scope, cluster.settings.cluster_uid, label)
    return Proposed((Proposal("collect_objects", SPEC.name, aim),))


ACTION_CLASSES = (CollectObjects,)
SPECS = (SPEC,)
