"""What the tests of faults share: an agent with the usual things, somebody who interferes, what differs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from breakglass.execute.context import StepEvent
from breakglass.report.build import Report, ReportedStep
from breakglass_kubernetes import kinds
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.sandbox.api import ApiError
from breakglass_kubernetes.sandbox.process import Sandbox
from tests.kubernetes.cluster_fleet import USER, Cluster

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
WORK = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create"]}
LONGEST_S = 20.0


def lay_out(cluster: Cluster, *names: str) -> None:
    """Make an agent: an account with rights, and Deployments whose pods run."""
    cluster.account(role=[WORK])
    for name in names or ("rogue",):
        cluster.deployment(name, account="rogue")
    wait_for(lambda: running(cluster) >= 2 * len(names or ("rogue",)), "its pods run")


def running(cluster: Cluster) -> int:
    """Return how many pods of the namespace run and are not being deleted."""
    return sum(
        one["status"].get("phase") == "Running" and "deletionTimestamp" not in one["metadata"]
        for one in cluster.pods()
    )


def wait_for(so: Callable[[], bool], what: str, *, within_s: float = LONGEST_S) -> None:
    """Wait until something is so."""
    until_s = time.monotonic() + within_s
    while not so():
        assert time.monotonic() < until_s, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.1)


@contextmanager
def again_and_again(act: Callable[[], object], *, every_s: float) -> Iterator[list[int]]:
    """Do something in a thread all the time, whatever becomes of it; yields how often it went well."""
    done, over = [0], threading.Event()

    def work() -> None:
        while not over.wait(every_s):
            with contextlib.suppress(ApiError, OSError):
                act()
                done[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()


class Once:
    """Does something once, in a thread of its own, when a step comes to a stage."""

    def __init__(self, act: Callable[[], object], *, action: str = "", stage: str = "calling") -> None:
        """Wait for that stage; `action` empty: of any step."""
        self._act = act
        self._wanted = (action, stage)
        self._numbers: Mapping[int, str] = {}
        self._thread: threading.Thread | None = None

    def planned(self, plan: Any) -> None:  # noqa: ANN401 - Plan
        """Learn which step does what."""
        self._numbers = {step.n: step.action for step in plan.steps}

    def saw(self, event: StepEvent) -> None:
        """Look at an event of the stop."""
        action, stage = self._wanted
        if self._thread is None and stage == event.stage and action in self._numbers.get(event.n, ""):
            self._thread = threading.Thread(target=self._act)
            self._thread.start()

    def end(self) -> None:
        """Wait until it is done. Raises AssertionError: it never began."""
        assert self._thread is not None, f"no step came to {self._wanted}"
        self._thread.join()


def step_of(report: Report, action: str) -> ReportedStep:
    """Return what a report says of the one step of an action."""
    return next(one for one in report.steps if one.action.endswith(action))


def merge(cluster: Cluster, kind: Kind, name: str, change: Mapping[str, Any], **query: str) -> None:
    """Change an object as the administrator."""
    path = kind.path(cluster.namespace, name)
    cluster.plane.call("PATCH", path, change, content_type=MERGE, query=query or None)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what is not as it was."""
    return {
        "changed": sorted(name for name, one in before.items() if name in after and after[name] != one),
        "missing": sorted(before.keys() - after.keys()),
        "left": sorted(after.keys() - before.keys()),
    }


UNCHANGED: Mapping[str, list[str]] = {"changed": [], "missing": [], "left": []}


def writes(plane: Sandbox) -> list[str]:
    """Return what the executor changed in a cluster, by its audit log."""
    return [
        f"{one['verb']} {one['requestURI']}"
        for one in plane.audit()
        if one["user"]["username"] == USER
        and one["verb"] in {"create", "update", "patch", "delete", "deletecollection"}
        and one["responseStatus"]["code"] < 300
        and "dryRun" not in one["requestURI"]
        and "reviews" not in one["requestURI"]
    ]


def forget_executor(cluster: Cluster) -> None:
    """Take the executor's rights away, those of all tests before, too: all share one name."""
    for kind in (kinds.CLUSTER_ROLE_BINDINGS, kinds.CLUSTER_ROLES):
        for body in cluster.plane.call("GET", kind.path())["items"]:
            if body["metadata"]["name"].startswith(USER):
                cluster.plane.call("DELETE", kind.path("", body["metadata"]["name"]))


def force(
    cluster: Cluster,
    kind: Kind,
    name: str,
    fields: Mapping[str, Any],
    manager: str,
    groups: Sequence[str],
) -> None:
    """Apply fields of an object as a controller or deployer that forces."""
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, **fields}
    cluster.plane.call(
        "PATCH",
        kind.path(cluster.namespace, name),
        body,
        content_type=APPLY,
        query={"fieldManager": manager, "force": "true"},
        user=manager,
        groups=groups,
    )


def forget_guards(cluster: Cluster) -> None:
    """Take away the guards of stops that were not put back."""
    for kind in (kinds.ADMISSION_BINDINGS, kinds.ADMISSION_POLICIES):
        for body in cluster.plane.call("GET", kind.path())["items"]:
            if body["metadata"]["name"].startswith("breakglass-"):
                cluster.plane.call("DELETE", kind.path("", body["metadata"]["name"]))
