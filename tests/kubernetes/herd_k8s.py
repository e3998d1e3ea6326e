"""Many agents of one kind in a cluster, stopped in one plan, and what the audit log says of that stop."""

from __future__ import annotations

import datetime as dt
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from breakglass.execute.context import StepEvent
from breakglass.model.plan import Plan
from breakglass.report.build import Report
from breakglass_kubernetes import kinds
from providers.kubernetes.tests.rig_k8s import peace_ends
from tests.hosts.fleet import Fleet
from tests.kubernetes.cluster_fleet import LABELS, RBAC, USER, Cluster, template

T = TypeVar("T")
SEEDERS = 16
RIGHTS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "reader": ({"apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["get", "list"]},),
    "writer": ({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "delete"]},),
    "talker": ({"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},),
}


@dataclass(slots=True)
class Herd:
    """So many agents, each with a Deployment, an account and a binding, dealt out to namespaces."""

    cluster: Cluster
    count: int
    spaces: tuple[str, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """Return what a reach says beside the first namespace."""
        return {"namespaces": [*self.spaces]}

    def settle(self, *, within_s: float) -> None:
        """Make everything, several at once, and wait until every pod runs."""
        side_by_side(self.spaces, self._space)
        side_by_side(range(self.count), self._one)
        self.wait(within_s=within_s)

    def wait(self, *, within_s: float) -> None:
        """Wait until every pod runs."""
        until_s = time.monotonic() + within_s
        while (left := self.count - self.running()) > 0:
            assert time.monotonic() < until_s, f"{left} pods do not run: {self.cluster.plane.said()}"
            time.sleep(0.5)

    def running(self) -> int:
        """Return how many pods of these run."""
        wanted = frozenset(self.spaces)
        listed = self.cluster.plane.call("GET", kinds.PODS.path())["items"]
        here = (one for one in listed if one["metadata"]["namespace"] in wanted)
        return sum(one.get("status", {}).get("phase") == "Running" for one in here)

    def accounts(self) -> list[str]:
        """Return every account as ``NS/NAME``."""
        return [f"{self._home(n)}/bot-{n:04d}" for n in range(self.count)]

    def _home(self, n: int) -> str:
        return self.spaces[n % len(self.spaces)]

    def _space(self, name: str) -> None:
        if name != self.cluster.namespace:
            self.cluster.plane.make_namespace(name)
        for role, rules in RIGHTS.items():
            self.cluster.make(kinds.ROLES, role, {"rules": list(rules)}, namespace=name)

    def _one(self, n: int) -> None:
        name, space = f"bot-{n:04d}", self._home(n)
        self.cluster.make(kinds.SERVICE_ACCOUNTS, name, {}, namespace=space)
        role = list(RIGHTS)[n % len(RIGHTS)]
        bound = {
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": space}],
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role},
        }
        self.cluster.make(kinds.ROLE_BINDINGS, name, bound, namespace=space)
        labels = LABELS | {"part": name}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template(labels, name)}
        body = {"metadata": {"labels": LABELS}, "spec": spec}
        self.cluster.make(kinds.DEPLOYMENTS, name, body, namespace=space)


def herd(cluster: Cluster, count: int, spaces: int) -> Herd:
    """Return so many agents in so many namespaces; nothing is made yet."""
    more = (f"{cluster.namespace}-{n:03d}" for n in range(1, spaces))
    return Herd(cluster, count, (cluster.namespace, *more))


@dataclass(slots=True)
class Stopped:
    """One stop: what planning and the run of it came to."""

    plan: Plan
    report: Report
    planned_s: float
    ran_s: float
    plan_bytes: int
    journal_bytes: int
    planning: Sequence[Mapping[str, Any]]
    """The executor's calls while it planned."""
    running: Sequence[Mapping[str, Any]]
    grown_mib: float
    events: Sequence[StepEvent] = field(default_factory=list)

    def at_s(self, action: str, stage: str) -> float:
        """Return when the last step of an action reached a stage first; -1: none did."""
        found: dict[int, float] = {}
        for event in self.events:
            if event.stage == stage and self.plan.steps[event.n].action == action:
                found.setdefault(event.n, event.elapsed_s)
        return max(found.values(), default=-1.0)


def stop(cluster: Cluster, ours: Fleet) -> Stopped:
    """Plan, sign and carry out one stop, and measure it."""
    events: list[StepEvent] = []
    marks: dict[str, float] = {}
    audited: dict[str, int] = {}
    began = peace_ends()
    since, began_s, rss = len(cluster.plane.audit()), time.monotonic(), _peak_mib()

    def planned(_plan: Plan) -> None:
        marks["planned"] = time.monotonic()
        audited["planned"] = len(cluster.plane.audit())

    plan, done = ours.stop(began=began, observer=events.append, planned=planned)
    ended_s = time.monotonic()
    calls = cluster.plane.audit()
    return Stopped(
        plan,
        done.report,
        planned_s=marks["planned"] - began_s,
        ran_s=ended_s - marks["planned"],
        plan_bytes=ours.incident.plan.stat().st_size,
        journal_bytes=ours.incident.path.joinpath("journal.jsonl").stat().st_size,
        planning=_ours(calls[since : audited["planned"]]),
        running=_ours(calls[audited["planned"] :]),
        grown_mib=_peak_mib() - rss,
        events=events,
    )


def by_verb(calls: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return how many calls there were of each verb and resource."""
    return Counter(_words(one) for one in calls)


def busiest(calls: Sequence[Mapping[str, Any]], seconds: float) -> int:
    """Return the most calls in any window of so many seconds."""
    times = sorted(_at_s(one) for one in calls)
    return max(_windows(times, seconds), default=0)


def _windows(times: Sequence[float], seconds: float) -> Iterator[int]:
    start = 0
    for end, at_s in enumerate(times):
        while at_s - times[start] > seconds:
            start += 1
        yield end - start + 1


def _at_s(call: Mapping[str, Any]) -> float:
    return dt.datetime.fromisoformat(call["requestReceivedTimestamp"]).timestamp()


def _words(call: Mapping[str, Any]) -> str:
    about = call.get("objectRef", {})
    sub = f"/{about['subresource']}" if about.get("subresource") else ""
    return f"{call['verb']} {about.get('resource', call['requestURI'].split('?')[0])}{sub}"


def _ours(calls: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    # A watch, and a log, is there once more when its answer begins.
    done = (one for one in calls if one["stage"] == "ResponseComplete")
    return [one for one in done if one["user"].get("username") == USER]


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def side_by_side(items: Iterable[T], act: Callable[[T], object]) -> None:
    """Do something for every item, several at once; the first failure is raised."""
    with ThreadPoolExecutor(SEEDERS) as pool:
        list(pool.map(act, items))
