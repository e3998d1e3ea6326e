"""``kubernetes.pods.end_pods``: every pod of the agent's ends, and that it ended is known.

This is what proves `stop_workloads`: the other steps keep pods from being made. A pod is deleted by its own
grace period, but by no longer one than Kubernetes' default: an agent could give itself days. And by no
shorter one than a second: zero is a deletion by force, after which nobody learns whether the processes
ended ("Pod Lifecycle", "Forced Pod termination"). What a controller of the agent's made is left to that
controller for a moment, which ends it without a call of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.errors import ProviderError
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
from breakglass_kubernetes.actions.bare_pods import bring_back, keep
from breakglass_kubernetes.actions.held_workloads import named
from breakglass_kubernetes.actions.pod_book import (
    DEFAULT_GRACE_S,
    Book,
    alive,
    bury,
    enter,
    miss,
    owned,
    reconsider,
    settle_signed,
)
from breakglass_kubernetes.actions.pod_doors import doors
from breakglass_kubernetes.actions.pod_fate import Fate, ready_nodes
from breakglass_kubernetes.actions.pod_watch import look, versions
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import NODES, PODS, WORKLOADS
from breakglass_kubernetes.objects import controller_of, part, text
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.pace import PER_S
from breakglass_kubernetes.scope import Scope, target
from breakglass_kubernetes.signed_maps import listed, mapped

LONGEST_GRACE_S = DEFAULT_GRACE_S
PATIENCE_S = 2.0
"""So long a pod is left to its controller ..."""
PATIENCE_A_MAKER_S = 4 / PER_S
"""... and so much longer for each controller that was signed: all are scaled down at the rate limit
meanwhile. What the agent makes after the signatures makes nobody wait longer."""
MOST_AT_ONCE = 250
"""So many are deleted between two looks: five seconds at the rate limit."""
SINCE, ALIVE = "since", "alive"
MAKERS = "makers"
STEP = "end_pods"
SPEC = ActionSpec(
    name="kubernetes.pods.end_pods",
    capability=Capability.STOP_WORKLOADS,
    summary="deletes every pod of the agent's that its controller does not end, gracefully, in at most 30 s; "
    "never by force",
    permissions=(
        "list pods",
        "watch pods",
        "delete pods",
        "list nodes",
        "list deployments.apps",
        "list statefulsets.apps",
        "list daemonsets.apps",
        "list replicasets.apps",
        "list replicationcontrollers",
        "list jobs.batch",
        "list cronjobs.batch",
    ),
    blast_radius="what runs in these pods; a grace period longer than 30 s is cut to 30 s",
    reversibility=Reversibility.PARTIAL,
    undo="makes pods without a controller anew, equal but for uid, times and node; others are their "
    "controllers' to make",
    settle_s=2,
    best_grade=Grade.READ_BACK,
    example="kubernetes.pods.end_pods support-bot",
    sources=(
        Source(
            "effect", Authority.VENDOR_TEXT, "Kubernetes documentation, Pod Lifecycle, Termination of Pods"
        ),
        Source("proof", Authority.OWN_SANDBOX, "providers/kubernetes/tests/test_k8s_pods_fate.py"),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_pods.py"),
        Source(
            "settle", Authority.UNVERIFIED, "a pod is seen to end; what a controller makes anew comes at once"
        ),
    ),
    destroys_evidence="logs and file systems of the pods that end",
    undo_permissions=("get pods", "create pods", "patch pods"),
)


class EndPods:
    """Every pod of one agent."""

    spec = SPEC

    def __init__(self, cluster: Cluster) -> None:
        """Call as the executor of this cluster."""
        self._cluster = cluster
        # What vanished is only known to who saw it: this is why an action remembers anything at all.
        self._books: dict[str, Book] = {}

    def observe(self, resource: Resource) -> State:
        """Read every pod, and what became of those that vanished. Raises ProviderError."""
        scope = Scope.of(resource)
        fresh = Book(mapped(scope.more.get(SINCE)), signed=mapped(scope.more.get(ALIVE)))
        book = self._books.setdefault(resource.id, fresh)
        makers = [
            Thing(kind, body) for kind in WORKLOADS for body in self._cluster.list_in(kind, scope.look_in)
        ]
        sight = look(self._cluster, scope.look_in, book.cursors)
        ready, remark = self._ready()
        whole = owned(scope, makers, sight, book)
        now_s = self._cluster.connection.clock.monotonic_s()
        for thing in whole.things:
            made = thing.uid in whole.made
            enter(book, thing, ready, made=made, keep=lambda body: keep(self._cluster, body))
            book.first_s.setdefault(thing.uid, now_s)
        bury(book, sight, ready)
        reconsider(book, ready)
        there = {thing.uid for thing in whole.things}
        miss(book, there, sight.gap)
        settle_signed(book, there, sight)
        # Only now: what failed on the way is asked for again.
        book.cursors = dict(sight.cursors)
        objects = {_key(uid, one): dict(one) for uid, one in book.known.items()}
        return State(objects, note=remark)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Delete what runs and is not left to its controller; shorten long ends. Raises ProviderError."""
        book = self._books.get(resource.id, Book())
        now_s = self._cluster.connection.clock.monotonic_s()
        book.began_s = now_s if book.began_s is None else book.began_s
        patience_s = PATIENCE_S + _makers(resource) * PATIENCE_A_MAKER_S
        todo: list[tuple[Mapping[str, Any], int | None]] = []
        for one in (dict(part(value)) for value in before.objects.values() if isinstance(value, Mapping)):
            waited_s = now_s - max(book.began_s, book.first_s.get(str(one["uid"]), 0.0))
            if (grace_s := deletion(one, waited_s, patience_s)) is not None:
                todo.append((one, grace_s or None))
        # First those that nobody else ends; most of the others are gone by the next look.
        todo.sort(key=lambda item: bool(item[0]["left"]))
        self._cluster.each(todo[:MOST_AT_ONCE], lambda item: self._delete(*item))

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether every pod is known to have ended."""
        found: dict[str, Any] = dict(state.objects)
        for fates, verdict in (
            ({Fate.RUNS, Fate.STATIC}, Verdict.NOT_CONTAINED),
            ({Fate.LOST, Fate.ENDING}, Verdict.UNKNOWN),
        ):
            if told := [f"{key} {one['why']}" for key, one in found.items() if one["fate"] in fates]:
                remark = f" ({state.note})" if state.note else ""
                return Judgement(verdict, f"{named(told)}{remark}")
        held = [f"{key} {one['why']}" for key, one in found.items() if "finalizer" in str(one["why"])]
        more = f"; {named(held)}" if held else ""
        return Judgement(Verdict.CONTAINED, f"all {len(found)} pods have ended{more}")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - read anew, pod by pod
        """Make those anew that nobody else does. Raises ProviderError."""
        outcomes: dict[str, Outcome] = dict.fromkeys(before.objects, Outcome.ENDED)
        signed = frozenset(Scope.of(resource).signed)

        def back(item: tuple[str, Any]) -> None:
            key, one = item
            # What nobody had seen who signed may be a copy that the agent made of itself.
            if one["manifest"] is not None and str(one["uid"]) in signed:
                outcomes[key] = bring_back(self._cluster, one)

        self._cluster.each(before.objects.items(), back)
        reason = "pods without a controller that the plan knew are made anew; all others have ended"
        return Reversal(outcomes, reason)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - none
        """Try nothing: a pod that ended cannot be asked."""
        return None

    def _ready(self) -> tuple[dict[str, bool], str]:
        try:
            return ready_nodes(self._cluster.every(NODES)), ""
        except ProviderError as error:
            return {}, f"nodes cannot be read, so none counts as ready: {error.what}"

    def _delete(self, one: Mapping[str, Any], grace_s: int | None) -> None:
        self._cluster.delete(
            PODS, str(one["namespace"]), str(one["name"]), uid=str(one["uid"]), grace_s=grace_s
        )


def deletion(one: Mapping[str, Any], waited_s: float, patience_s: float = PATIENCE_S) -> int | None:
    """Return the grace period to delete a pod with, 0 for its own; None: it is not to be deleted now."""
    own = one["grace_s"]
    if one["fate"] == Fate.ENDING:
        # Only shortening has an effect ("Pod Lifecycle", "Termination of Pods").
        return LONGEST_GRACE_S if (one["ending_s"] or 0) > LONGEST_GRACE_S else None
    if one["fate"] != Fate.RUNS:
        return None
    if own < 1:
        # Its controller would delete it by force, at once: be there first.
        return 1
    if one["left"] and waited_s < patience_s:
        return None
    return LONGEST_GRACE_S if own > LONGEST_GRACE_S else 0


def _makers(resource: Resource) -> int:
    found = resource.params.get(MAKERS)
    return found if isinstance(found, int) else 0


def _key(uid: str, one: Mapping[str, Any]) -> str:
    """Return its name in a State: a StatefulSet makes another pod under the same name."""
    return f"{PODS.key(one['namespace'], one['name'])}@{uid[:8]}"


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose one step over all pods, also those that come later. Raises ProviderError."""
    scope = found.scope
    if not scope.look_in:
        return Proposed()
    since = listed(versions(cluster, scope.look_in))
    uid, label = cluster.settings.cluster_uid, f"pods of {scope.agent}"
    mine, known = found.held, found.knowing(*WORKLOADS, PODS)
    makers = len({text(controller_of(one.body), "uid") for one in mine.of(PODS) if one.uid in mine.made})
    more: dict[str, Json] = {SINCE: since, MAKERS: makers, ALIVE: listed(alive(mine.of(PODS)))}
    step = Proposal(STEP, SPEC.name, target(known, uid, label, **more))
    try:
        ready = ready_nodes(cluster.every(NODES))
    except ProviderError as error:
        return Proposed((step,), incomplete=(f"nodes cannot be read: {error}"[:500],))
    return Proposed((step,), doors=doors(found.held.of(PODS), ready, STEP))


ACTION_CLASSES = (EndPods,)
SPECS = (SPEC,)
