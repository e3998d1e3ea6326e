"""Many accounts of one agent in a project, or many projects, stopped in one plan; what the record says."""

from __future__ import annotations

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
from breakglass_gcp import permissions
from tests.gcp.project_fleet import EXECUTOR, WORK, Cloud
from tests.hosts.fleet import CLOCK, Fleet

T = TypeVar("T")
SEEDERS = 8
MINUTE_S = 60
PLENTY = 1_000_000
IAM = "/google.iam.admin.v1."
DENY = "/google.iam.v2."


def herd(cloud: Cloud, count: int, *, keys_of: int = 0, hmac_of: int = 0) -> list[str]:
    """Make so many accounts that work; each so-manieth of them has a key, or an HMAC key."""
    role = cloud.role("herd", WORK)

    def make(n: int) -> str:
        email = cloud.account(f"bot-{n:04d}")
        if keys_of and n % keys_of == 0:
            cloud.key(email)
        if hmac_of and n % hmac_of == 0:
            path = f"storage/v1/projects/{cloud.project}/hmacKeys"
            cloud.admin.rest("storage", "POST", path, query={"serviceAccountEmail": email})
        return email

    made = side_by_side(range(count), make)
    resource_ = f"projects/{cloud.project}"
    policy = cloud.admin.call("projects", "get_iam_policy", {"resource": resource_})
    policy.bindings.add(role=role, members=[f"serviceAccount:{one}" for one in made])
    cloud.admin.call("projects", "set_iam_policy", {"resource": resource_, "policy": policy})
    return made


def projects(first: Cloud, count: int) -> list[dict[str, object]]:
    """Make so many projects with an account each, where the first one's executor has its role."""
    executor = f"serviceAccount:breakglass-executor@{first.project}.iam.gserviceaccount.com"
    allowed = sorted(permissions.needed(""))

    def make(_: int) -> dict[str, object]:
        told = first.sandbox.control("project", {})
        cloud = Cloud(first.sandbox, told["project"], told["number"], first.admin)
        cloud.grant(executor, cloud.role("breakglassExecutor", allowed))
        email = cloud.account("rogue", cloud.role("rogue", WORK))
        return cloud.reach(service_accounts=[email], credential=EXECUTOR)

    return side_by_side(range(count), make)


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

    def made(self) -> Counter[str]:
        """Return how many calls of each method the stop made after the signatures."""
        return Counter(_method(one) for one in self.running)

    def planned(self) -> Counter[str]:
        """Return how many calls of each method planning made."""
        return Counter(_method(one) for one in self.planning)

    def first_s(self, method: str) -> float:
        """Return when a method was called first, from the first call after the signatures on."""
        return min(self._times_s(method))

    def last_s(self, method: str) -> float:
        """Return when it was called last."""
        return max(self._times_s(method))

    def _times_s(self, method: str) -> list[float]:
        start_us = self.running[0]["monotonic_us"]
        return [(one["monotonic_us"] - start_us) / 1e6 for one in self.running if _method(one) == method]

    def figures(self) -> str:
        """Return what a campaign prints."""
        made, planned = self.made(), self.planned()
        calls = [*self.planning, *self.running]
        return (
            f"{len(self.plan.steps)} steps; planned in {self.planned_s:.1f} s with {dict(planned)};"
            f" ran {self.ran_s:.1f} s ({[one.takes_s for one in self.plan.reaches][:3]} s were said) with"
            f" {dict(made)}; plan {self.plan_bytes >> 10} KiB, journal {self.journal_bytes >> 10} KiB, grown"
            f" {self.grown_mib:.0f} MiB; busiest minute"
            f" {busiest(calls, IAM, MINUTE_S, read=False)} IAM writes,"
            f" {busiest(calls, IAM, MINUTE_S, read=True)} reads, deny"
            f" {busiest(calls, DENY, MINUTE_S, read=False)}/{busiest(calls, DENY, MINUTE_S, read=True)}"
        )


def stop(cloud: Cloud, ours: Fleet) -> Stopped:
    """Plan, sign and carry out one stop, and measure it."""
    events: list[StepEvent] = []
    marks: dict[str, float] = {}
    recorded: dict[str, int] = {}
    since, began_s, rss = _recorded(cloud), time.monotonic(), _peak_mib()

    def planned(_plan: Plan) -> None:
        marks["planned"] = time.monotonic()
        recorded["planned"] = _recorded(cloud)
        marks["signing"] = time.monotonic()

    # What is laid out was there before the harm began: keys that were made since stay away.
    plan, done = ours.stop(began=CLOCK.now(), observer=events.append, planned=planned)
    ended_s = time.monotonic()
    return Stopped(
        plan,
        done.report,
        planned_s=marks["planned"] - began_s,
        ran_s=ended_s - marks["signing"],
        plan_bytes=ours.incident.plan.stat().st_size,
        journal_bytes=ours.incident.path.joinpath("journal.jsonl").stat().st_size,
        planning=_ours(cloud, since, recorded["planned"]),
        running=_ours(cloud, recorded["planned"]),
        grown_mib=_peak_mib() - rss,
        events=events,
    )


def busiest(calls: Iterable[Mapping[str, Any]], start: str, seconds: float, *, read: bool) -> int:
    """Return the most calls of one API in any window of so many seconds, in whichever project."""
    by_project: dict[str, list[float]] = {}
    for one in calls:
        if one["method"].startswith(start) and one["read"] is read:
            by_project.setdefault(one["project"], []).append(one["monotonic_us"] / 1e6)
    return max((n for times in by_project.values() for n in _windows(sorted(times), seconds)), default=0)


def side_by_side(items: Iterable[Any], act: Callable[[Any], T]) -> list[T]:
    """Do something for every item, several at once; the first failure is raised."""
    with ThreadPoolExecutor(SEEDERS) as pool:
        return list(pool.map(act, items))


def plenty(cloud: Cloud) -> None:
    """Let everything be laid out at once."""
    cloud.sandbox.control("settings", {"iam_writes_per_min": PLENTY, "iam_reads_per_min": PLENTY})


def documented(cloud: Cloud) -> None:
    """Hold everybody to the documented budgets again."""
    cloud.sandbox.control("settings", {"iam_writes_per_min": 600, "iam_reads_per_min": 6000})


def forget_laying_out(cloud: Cloud) -> None:
    """Let a minute pass, so that what was laid out is not counted, and the clock go back."""
    cloud.control("advance", seconds=MINUTE_S + 1)
    resource_ = f"projects/{cloud.project}/serviceAccounts/breakglass-executor@{cloud.project}"
    name = {"name": f"{resource_}.iam.gserviceaccount.com"}
    cloud.admin.call("iam_admin", "get_service_account", name)
    cloud.admin.call("iam_admin", "enable_service_account", name)
    cloud.control("advance", back=True)


def _method(call: Mapping[str, Any]) -> str:
    return str(call["method"]).rpartition("/")[2]


def _windows(times: Sequence[float], seconds: float) -> Iterator[int]:
    start = 0
    for end, at_s in enumerate(times):
        while at_s - times[start] > seconds:
            start += 1
        yield end - start + 1


def _recorded(cloud: Cloud) -> int:
    return len(cloud.sandbox.control("calls", {}))


def _ours(cloud: Cloud, since: int, end: int | None = None) -> list[dict[str, Any]]:
    """Return the executor's calls of a part of the record."""
    calls = cloud.sandbox.control("calls", {"since": since})
    wanted = calls if end is None else calls[: end - since]
    return [one for one in wanted if one["principal"].startswith("breakglass-executor@")]


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
