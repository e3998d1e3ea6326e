"""Instances of Cloud Run services: how many there are, the requests that they serve, what they do meanwhile.

Cloud Run documentation, "Manual scaling", "About instance autoscaling", "Container runtime contract": an
instance that is to be shut down may finish its requests (up to the timeout of its revision), then it is sent
SIGTERM and has ten seconds; the sandbox gives it `GRACE_S`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models import run, run_desired
from breakglass_gcp.sandbox.models.run_workload import account_of, forget, work

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

INSTANCES = "run.instances"
GRACE_S = 0.2
IDLE_S = 1.0
"""So long an instance above the minimum stays without requests; 15 minutes at Cloud Run."""


@dataclass(slots=True)
class Instance:
    """One instance of one revision."""

    id: str
    service: str
    revision: str
    account: str
    timeout_s: float
    requests: dict[str, float] = field(default_factory=dict)
    """Request -> when it ends."""
    idle_since_s: float = 0.0
    ends_s: float | None = None
    """When it is killed; None: it was not told to end."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a revision may have just now."""

    wanted: int
    most: int
    """How many requests may start instances up to."""
    idles: bool
    """Whether one above `wanted` may idle a while."""


def shares(world: World, service: Any) -> Mapping[str, Share]:  # noqa: ANN401 - Service
    """Return what each revision of a service may have, as the scaling that is in force says."""
    from google.cloud import run_v2

    split, tagged = targets(service)
    found: dict[str, Share] = {}
    scaling = service.scaling
    if scaling.scaling_mode == run_v2.ServiceScaling.ScalingMode.MANUAL:
        left = scaling.manual_instance_count
        for name, percent in sorted(split.items(), key=lambda item: -item[1]):
            count = min(left, -(-scaling.manual_instance_count * percent // 100))
            left -= count
            found[name] = Share(count, count, idles=False)
    else:
        for name, percent in split.items():
            least = max(_least(world, name), -(-scaling.min_instance_count * percent // 100))
            found[name] = Share(least, 1 << 30, idles=True)
    for name in tagged.values():
        # "Manual scaling", traffic tags: the revision's own minimum, or one when a request comes for its tag.
        found.setdefault(name, Share(_least(world, name), max(1, _least(world, name)), idles=True))
    return found


def targets(service: Any) -> tuple[Mapping[str, int], Mapping[str, str]]:  # noqa: ANN401 - Service
    """Return the percent by revision, and the revision by tag."""
    latest = service.latest_ready_revision
    split: dict[str, int] = {}
    tagged: dict[str, str] = {}
    for one in service.traffic:
        name = f"{service.name}/revisions/{one.revision}" if one.revision else latest
        if one.percent:
            split[name] = split.get(name, 0) + one.percent
        if one.tag:
            tagged[one.tag] = name
    return (split if service.traffic else {latest: 100}), tagged


def _least(world: World, revision: str) -> int:
    held = world.table(run.REVISIONS).get(revision)
    return held.scaling.min_instance_count if held is not None else 0


def serve(world: World, service: Any, revision: str, lasts_s: float) -> str:  # noqa: ANN401 - Service
    """Give a request to an instance; return its id, or "" when there is none and none may start."""
    share = shares(world, service).get(revision)
    living = [
        one for one in world.table(INSTANCES).values() if one.revision == revision and one.ends_s is None
    ]
    if share is None or share.most == 0 or revision not in world.table(run.REVISIONS):
        return ""
    instance = living[0] if living else _start(world, service.name, revision)
    request = f"request-{world.new_id(6)}"
    instance.requests[request] = world.now_s() + min(lasts_s, instance.timeout_s)
    return request


def _start(world: World, service: str, revision: str) -> Instance:
    held = world.table(run.REVISIONS)[revision]
    account = account_of(world, held.service_account, service.split("/")[1])
    name = f"{service}/instances/{world.new_id(8)}"
    made = Instance(name, service, revision, account, held.timeout.total_seconds())
    made.idle_since_s = world.now_s()
    world.table(INSTANCES)[name] = made
    return made


def tick(world: World) -> None:
    """Start and end instances as the scaling in force says; let those that live work."""
    in_force = world.table(run.IN_FORCE)
    for service in list(in_force.values()):
        for revision, share in shares(world, service).items():
            if revision in world.table(run.REVISIONS):
                for _ in range(share.wanted - len(_living(world, revision))):
                    _start(world, service.name, revision)
    seen: dict[str, int] = {}
    for one in list(world.table(INSTANCES).values()):
        of = in_force.get(one.service)
        may = shares(world, of).get(one.revision) if of is not None else None
        seen[one.revision] = seen.get(one.revision, 0) + (one.ends_s is None)
        _live(world, one, may, seen[one.revision])


def _living(world: World, revision: str) -> list[Instance]:
    return [one for one in world.table(INSTANCES).values() if one.revision == revision and one.ends_s is None]


def _live(world: World, one: Instance, share: Share | None, place: int) -> None:
    now_s = world.now_s()
    if one.ends_s is not None and now_s >= one.ends_s:
        del world.table(INSTANCES)[one.id]
        forget(world, one.id)
        return
    for request in [request for request, ends_s in one.requests.items() if ends_s <= now_s]:
        del one.requests[request]
        one.idle_since_s = now_s
    name = run_desired.short(one.service)
    work(world, one.id, f"run:{name}", one.account)
    for _ in one.requests:
        work(world, one.id, f"run-request:{name}", one.account)
    if one.requests or one.ends_s is not None or (share is not None and place <= share.wanted):
        return
    if share is None or not share.idles or now_s - one.idle_since_s >= IDLE_S:
        one.ends_s = now_s + GRACE_S


def _instances(world: World, asked: Mapping[str, Any]) -> object:
    name = run_desired.full(asked, "services", "service")
    return [
        {"id": one.id, "revision": run_desired.short(one.revision), "requests": len(one.requests)}
        for one in world.table(INSTANCES).values()
        if one.service == name
    ]


TICKS = (tick,)
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"run.instances": _instances}
