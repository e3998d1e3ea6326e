"""``kubernetes.admission.refuse_relaunch``: nothing of the agent comes to life, whoever asks for it.

A ValidatingAdmissionPolicy with its binding (Kubernetes documentation, "Validating Admission Policy"; from
1.30 on) refuses pods, workloads, more replicas, bindings and tokens of the agent to everybody but the
break-glass group. Neither can be guarded by a policy itself: the agent may delete them while it has the
rights for that, and rounds put them back.
"""

from __future__ import annotations

from typing import Any

from breakglass.canon import Json
from breakglass.errors import Denied, Gone, Transient
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
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_kubernetes.actions.guard_target import guard_of, more_for
from breakglass_kubernetes.actions.own_names import labels_for, name_for, seen
from breakglass_kubernetes.actions.relaunch_probe import still_refused, try_it
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.guard_policy import binding_spec, policy_spec
from breakglass_kubernetes.kinds import ADMISSION_BINDINGS, ADMISSION_POLICIES, Kind
from breakglass_kubernetes.objects import version_of
from breakglass_kubernetes.scope import target

NAME = "kubernetes.admission.refuse_relaunch"
KEY = "refuse_relaunch"
FORGOTTEN_S = 15.0
"""How long a restore waits at most until the API server has forgotten the policy."""
_EVERYWHERE_S = 1.0
"""API servers beside the one that answers read their policies once a second, too."""
_PAGE = "Kubernetes documentation, Validating Admission Policy"
_TEST = "providers/kubernetes/tests/test_k8s_guards.py on 1.36.2"
SPEC = ActionSpec(
    name=NAME,
    capability=Capability.BLOCK_RELAUNCH,
    summary="refuses every new pod, workload, replica, binding and token of the agent, to everybody but us",
    permissions=(
        "get validatingadmissionpolicies.admissionregistration.k8s.io",
        "create validatingadmissionpolicies.admissionregistration.k8s.io",
        "update validatingadmissionpolicies.admissionregistration.k8s.io",
        "get validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "create validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "update validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "create deployments.apps",
        "create pods",
    ),
    blast_radius="whatever else runs as the agent's accounts gets no new pods and no new tokens",
    reversibility=Reversibility.FULL,
    undo="takes binding and policy away, and waits until the API server has forgotten them",
    settle_s=2,
    best_grade=Grade.PLATFORM_EVALUATOR,
    example=f"{NAME} support-bot",
    sources=(
        Source(
            "settle",
            Authority.REAL_SYSTEM,
            f"{_TEST}: refused 1-2 s after it was made, since each API server reads policies once a second; "
            "of several, the probe sees the one that answers it",
        ),
        Source("effect", Authority.REAL_SYSTEM, _TEST),
        Source("blast_radius", Authority.VENDOR_TEXT, f"{_PAGE}: matchConstraints, variables, failurePolicy"),
        Source("undo", Authority.REAL_SYSTEM, _TEST),
    ),
    undo_permissions=(
        "delete validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "delete validatingadmissionpolicies.admissionregistration.k8s.io",
        "create deployments.apps",
    ),
)


class RefuseRelaunch:
    """The policy and the binding of one scope."""

    spec = SPEC

    def __init__(self, cluster: Cluster) -> None:
        """Call as the executor of this cluster."""
        self._cluster = cluster

    def observe(self, resource: Resource) -> State:
        """Read both; `ours` says whether nothing of them was changed."""
        found: dict[str, Json] = {}
        for kind, body in self._wanted(resource):
            name = body["metadata"]["name"]
            there = self._cluster.maybe(kind, "", name)
            found[kind.key("", name)] = seen(there, body["spec"], body["metadata"]["labels"])
        return State(found)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes none
        """Make what is absent, and put back what was changed; the policy first."""
        for kind, body in self._wanted(resource):
            name = body["metadata"]["name"]
            known = before.objects.get(kind.key("", name))
            if isinstance(known, dict) and known.get("ours") is True:
                continue
            there = self._cluster.maybe(kind, "", name)
            if there is None:
                self._cluster.create(kind, "", body)
            else:
                about = {**body["metadata"], "resourceVersion": version_of(there)}
                self._cluster.replace(kind, {**body, "metadata": about})

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether both stand as they were made."""
        missing = [key for key, one in state.objects.items() if not _flag(one, "ours")]
        if missing or len(state.objects) < len((ADMISSION_POLICIES, ADMISSION_BINDINGS)):
            absent = [key for key in missing if not _uid(state.objects[key])]
            words = "is not there" if absent else "is not as it was made"
            return Judgement(Verdict.NOT_CONTAINED, f"{', '.join(absent or missing)} {words}")
        return Judgement(Verdict.CONTAINED, "the policy and its binding stand; the probe says if they bite")

    def probe(self, resource: Resource) -> Judgement | None:
        """Let the API server judge a dry run of the agent's pod and workload, as it would anybody's."""
        return try_it(self._cluster, guard_of(resource), name_for(self._cluster, resource))

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Take the binding away, then the policy, and wait until dry runs are not refused any more."""
        outcomes: dict[str, Outcome] = {}
        for kind, body in reversed(self._wanted(resource)):
            name = body["metadata"]["name"]
            key = kind.key("", name)
            outcomes[key] = self._take_away(kind, name, before.objects.get(key), now.objects.get(key))
        name = name_for(self._cluster, resource)
        if Outcome.DRIFTED not in outcomes.values():
            self._forget(resource, name)
        if Outcome.RESTORED in outcomes.values():
            self._cluster.connection.clock.sleep(_EVERYWHERE_S)
        return Reversal(outcomes, "the guard is gone; one that somebody changed is left alone")

    def _take_away(self, kind: Kind, name: str, prior: Json, now: Json) -> Outcome:
        if not (uid := _uid(now)) or uid == _uid(prior):
            return Outcome.ALREADY
        if not _flag(now, "ours"):
            return Outcome.DRIFTED
        try:
            self._cluster.delete(kind, "", name, uid=uid)
        except Gone:
            return Outcome.ALREADY
        return Outcome.RESTORED

    def _forget(self, resource: Resource, name: str) -> None:
        clock, guard = self._cluster.connection.clock, guard_of(resource)
        until_s = clock.monotonic_s() + FORGOTTEN_S
        while still_refused(self._cluster, guard, name):
            if clock.monotonic_s() >= until_s:
                raise Transient("the API server still refuses by the policy", where=self._cluster.where)
            clock.sleep(0.1)

    def _wanted(self, resource: Resource) -> list[tuple[Kind, dict[str, Any]]]:
        name, labels = name_for(self._cluster, resource), labels_for(self._cluster, resource)
        agent = str(resource.params.get("agent", ""))
        message = f"the agent {agent} is stopped (incident {self._cluster.connection.incident})"
        specs = (
            (ADMISSION_POLICIES, policy_spec(guard_of(resource), message)),
            (ADMISSION_BINDINGS, binding_spec(name)),
        )
        return [
            (
                kind,
                {
                    "apiVersion": kind.api_version,
                    "kind": kind.kind,
                    "metadata": {"name": name, "labels": labels},
                    "spec": spec,
                },
            )
            for kind, spec in specs
        ]


def _uid(one: Json) -> str:
    return str(one.get("uid", "")) if isinstance(one, dict) else ""


def _flag(one: Json, name: str) -> bool:
    return isinstance(one, dict) and one.get(name) is True


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose it where the cluster has such policies."""
    if not found.user or not _served(cluster):
        reason = "the cluster serves no ValidatingAdmissionPolicy of v1 (Kubernetes 1.30 and later)"
        return Proposed(not_touched=(NotTouched("admission of the agent's relaunch", reason),))
    return Proposed(
        (
            Proposal(
                key=KEY,
                action=NAME,
                target=target(
                    found.scope,
                    cluster.settings.cluster_uid,
                    f"admission of {found.scope.agent}",
                    **more_for(cluster, found),
                ),
                affects=_affected(found),
            ),
        )
    )


def _affected(found: Found) -> tuple[str, ...]:
    """Return who else would be refused: they get no new pods, and no tokens for those that run."""
    scope = found.scope
    others = [
        f"{other} (runs as {account})"
        for account, listed in found.sharers.items()
        if account in scope.accounts
        for other in listed
    ]
    # Nobody else runs as it now; whoever names no account does next.
    default = [
        f"whatever new pod in {account.partition('/')[0]} names no account"
        for account in scope.accounts
        if account.endswith("/default") and account.partition("/")[0] not in scope.own
    ]
    return (*others, *default)


def _served(cluster: Cluster) -> bool:
    try:
        listed = cluster.ask("GET", f"/apis/{ADMISSION_POLICIES.api_version}")
    except (Gone, Denied):
        return False
    found = listed.get("resources")
    return isinstance(found, list) and any(
        isinstance(one, dict) and one.get("name") == ADMISSION_POLICIES.plural for one in found
    )


ACTION_CLASSES = (RefuseRelaunch,)
SPECS = (SPEC,)
