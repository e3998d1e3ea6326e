"""``kubernetes.quota.zero_pods``: no pod more in a namespace that is the agent's alone.

A ResourceQuota of no pods holds for everybody, controllers and the break-glass group included; pods that run
are left alone (Kubernetes documentation, "Resource Quotas"). It is there on clusters without admission
policies, too, and stands when the policy is taken away.
"""

from __future__ import annotations

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError
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
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_kubernetes.actions.own_names import labels_for, name_for, seen
from breakglass_kubernetes.actions.relaunch_probe import pod
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import NAMESPACES, PODS, RESOURCE_QUOTAS, SERVICE_ACCOUNTS
from breakglass_kubernetes.objects import Body, name_of, namespace_of, part, text, version_of
from breakglass_kubernetes.refusals import failure_of
from breakglass_kubernetes.scope import Scope, target
from breakglass_kubernetes.words import some

NAME = "kubernetes.quota.zero_pods"
KEY = "zero_pods"
_SPEC = {"hard": {"pods": "0"}}
_PAGE = "Kubernetes documentation, Resource Quotas"
_TEST = "providers/kubernetes/tests/test_k8s_guards_quota.py on 1.36.2"
SPEC = ActionSpec(
    name=NAME,
    capability=Capability.BLOCK_RELAUNCH,
    summary="lets nobody start one more pod in the namespaces that are the agent's alone",
    permissions=(
        "get namespaces",
        "list resourcequotas",
        "get resourcequotas",
        "create resourcequotas",
        "update resourcequotas",
        "list serviceaccounts",
        "create pods",
    ),
    blast_radius="nothing new starts in these namespaces, whoever asks; what runs is left alone",
    reversibility=Reversibility.FULL,
    undo="deletes the quota that the stop made",
    settle_s=2,
    best_grade=Grade.PLATFORM_EVALUATOR,
    example=f"{NAME} support-bot",
    sources=(
        Source("effect", Authority.REAL_SYSTEM, _TEST),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_review_twice.py"),
        Source("settle", Authority.REAL_SYSTEM, f"{_TEST}: status.hard is there within 1 s"),
        Source("blast_radius", Authority.VENDOR_TEXT, f"{_PAGE}: a quota does not end what runs"),
    ),
    undo_permissions=("delete resourcequotas",),
)


class ZeroPods:
    """One quota in each namespace of the agent's own."""

    spec = SPEC

    def __init__(self, cluster: Cluster) -> None:
        """Call as the executor of this cluster."""
        self._cluster = cluster

    def observe(self, resource: Resource) -> State:
        """Read our quota in each namespace; a namespace that is gone or going starts no pod."""
        own = Scope.of(resource).own
        name, labels = name_for(self._cluster, resource), labels_for(self._cluster, resource)
        there = {
            namespace_of(body): body
            for body in self._cluster.list_in(RESOURCE_QUOTAS, own)
            if name_of(body) == name
        }
        found: dict[str, Json] = {}
        for namespace in own:
            body = there.get(namespace)
            told = seen(body, _SPEC, labels)
            enforced = text(part(body or {}, "status", "hard"), "pods") == "0"
            ended = body is None and self._ended(namespace)
            found[RESOURCE_QUOTAS.key(namespace, name)] = {**told, "enforced": enforced, "ended": ended}
        return State(found)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes none
        """Make what is absent and put back what was changed."""
        name, labels = name_for(self._cluster, resource), labels_for(self._cluster, resource)

        def make(namespace: str) -> None:
            about = {"name": name, "namespace": namespace, "labels": labels}
            body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": about, "spec": _SPEC}
            there = self._cluster.maybe(RESOURCE_QUOTAS, namespace, name)
            if there is None:
                self._cluster.create(RESOURCE_QUOTAS, namespace, body)
            else:
                guarded = {**about, "resourceVersion": version_of(there)}
                self._cluster.replace(RESOURCE_QUOTAS, {**body, "metadata": guarded})

        wanted = [
            namespace
            for namespace in Scope.of(resource).own
            if not _true(before.objects.get(RESOURCE_QUOTAS.key(namespace, name)), "ours", "ended")
        ]
        self._cluster.each(wanted, make)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether every quota stands and is enforced."""
        open_ = [key for key, one in state.objects.items() if not _true(one, "ours", "ended")]
        if open_:
            return Judgement(Verdict.NOT_CONTAINED, f"not as it was made, or not there: {some(open_)}")
        late = [key for key, one in state.objects.items() if not _true(one, "enforced", "ended")]
        if late:
            return Judgement(Verdict.UNKNOWN, f"not taken up by the quota controller yet: {some(late)}")
        return Judgement(Verdict.CONTAINED, f"{len(state.objects)} namespaces of the agent take no more pods")

    def probe(self, resource: Resource) -> Judgement | None:
        """Let the API server judge a dry run of a pod in each of the namespaces."""
        name = name_for(self._cluster, resource)
        taken: list[str] = []
        unknown: list[str] = []

        def attempt(namespace: str) -> None:
            try:
                account = next(iter(self._cluster.every(SERVICE_ACCOUNTS, namespace)), None)
                if account is None:
                    return  # a pod without an account is refused (ServiceAccount admission)
                self._cluster.create(PODS, namespace, _unlabelled(name_of(account)), dry_run=True)
                taken.append(namespace)
            except Gone:
                return
            except ProviderError as error:
                said = failure_of(error)
                if not said.status:
                    raise
                if (
                    f"exceeded quota: {name}" not in said.message
                    and "NamespaceTerminating" not in said.causes
                ):
                    unknown.append(f"{namespace} ({said.message[:80]})")

        self._cluster.each(Scope.of(resource).own, attempt)
        if taken:
            words = f"a pod would still be taken in {some(taken)}"
            return Judgement(Verdict.NOT_CONTAINED, words, Grade.PLATFORM_EVALUATOR)
        if unknown:
            return Judgement(Verdict.UNKNOWN, f"something else refused the pod: {some(unknown)}")
        words = "the API server refuses one more pod in each namespace of the agent: exceeded quota"
        return Judgement(Verdict.CONTAINED, words, Grade.PLATFORM_EVALUATOR)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Delete the quotas that the stop made."""
        outcomes: dict[str, Outcome] = {}
        name = name_for(self._cluster, resource)

        def take_away(namespace: str) -> None:
            key = RESOURCE_QUOTAS.key(namespace, name)
            prior, there = before.objects.get(key), now.objects.get(key)
            uid = _uid(there)
            if not uid or uid == _uid(prior):
                outcomes[key] = Outcome.ALREADY
            elif not _true(there, "ours"):
                outcomes[key] = Outcome.DRIFTED
            else:
                outcomes[key] = Outcome.RESTORED
                self._cluster.delete(RESOURCE_QUOTAS, namespace, name, uid=uid)

        self._cluster.each(Scope.of(resource).own, take_away)
        return Reversal(outcomes, "the quotas of the stop are gone; one that somebody changed is left alone")

    def _ended(self, namespace: str) -> bool:
        body: Body | None = self._cluster.maybe(NAMESPACES, "", namespace)
        return body is None or bool(text(body, "metadata", "deletionTimestamp"))


def _unlabelled(account: str) -> dict[str, object]:
    """Return a pod that the admission policy lets the executor make, so that the quota is what refuses it."""
    made = pod({})
    return {
        **made,
        "metadata": {"generateName": "breakglass-probe-"},
        "spec": {**made["spec"], "serviceAccountName": account},
    }


def _true(one: Json, *names: str) -> bool:
    return isinstance(one, dict) and any(one.get(name) is True for name in names)


def _uid(one: Json) -> str:
    return str(one.get("uid", "")) if isinstance(one, dict) else ""


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose it where namespaces are the agent's alone."""
    if not found.scope.own:
        return Proposed()
    label = f"pod quota of {found.scope.agent}"
    goal = target(found.scope, cluster.settings.cluster_uid, label)
    return Proposed((Proposal(key=KEY, action=NAME, target=goal),))


ACTION_CLASSES = (ZeroPods,)
SPECS = (SPEC,)
