"""Names, reads and writes of Cloud Run's resources: services, worker pools, jobs.

A write carries the etag of what was read, and names the fields that it means (Cloud Run Admin API
reference, services.patch). It is in force once the resource no longer reconciles and the generation
that serves is the newest (the same, ``reconciling``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject
from breakglass.errors import Transient
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import Resource
from breakglass_gcp.messages import as_json, field, fields, of_json, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

MOST_TRIES = 5
STATUS = "status"
"""Object of a state: whether what is written is in force. Nothing to put back."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource: where it lies, and how Google's client reads and writes it."""

    folder: str
    service: str
    read: str
    update: str
    request: str
    field: str


SERVICE = Kind("services", "run_services", "get_service", "update_service", "UpdateServiceRequest", "service")
POOL = Kind(
    "workerPools",
    "run_pools",
    "get_worker_pool",
    "update_worker_pool",
    "UpdateWorkerPoolRequest",
    "worker_pool",
)
Change = Callable[[JsonObject], Mapping[str, Json]]
"""Fields to write, decided from what is there; none: nothing."""


def full_name(project: Project, folder: str, named: str) -> str:
    """Return the full name of what an inventory calls LOCATION/NAME."""
    location, _, name = named.partition("/")
    return f"{project.name}/locations/{location}/{folder}/{name}"


def place_of(name: str) -> str:
    """Return LOCATION/NAME of a full name."""
    parts = name.split("/")
    return f"{parts[3]}/{parts[-1]}" if len(parts) > 5 else name  # noqa: PLR2004 - projects/P/locations/L/KIND/NAME


def read(project: Project, kind: Kind, name: str) -> JsonObject:
    """Return a resource as it stands. Raises Gone, ProviderError."""
    return as_json(project.call(kind.service, kind.read, {"name": name}))


def write(project: Project, kind: Kind, name: str, decide: Change) -> bool:
    """Write what `decide` makes of the newest version; return whether that is in force by now.

    Raises:
        Conflict: somebody else wrote between each read and write, five times.
        ProviderError: it cannot be read or written, or could not be brought into force.
    """
    for tried in range(1, MOST_TRIES + 1):
        live = read(project, kind, name)
        change = decide(live)
        if not change:
            return True
        try:
            return project.operate(kind.service, kind.update, _request(kind, name, live, change))
        except Conflict:
            if tried == MOST_TRIES:
                raise
    return True


def put_back(project: Project, kind: Kind, name: str, decide: Change) -> None:
    """Write like `write`, and see it in force.

    Raises:
        Transient: it is written and not in force yet.
        ProviderError: as `write`.
    """
    if not write(project, kind, name, decide):
        raise Transient("what was put back is not in force yet", where=name)


def _request(kind: Kind, name: str, live: JsonObject, change: Mapping[str, Json]) -> object:
    from google.cloud import run_v2
    from google.protobuf import field_mask_pb2

    # What is empty stays out: the mask alone clears a field.
    told = {key: value for key, value in change.items() if value not in ({}, [])}
    body: JsonObject = {"name": name, "etag": live.get("etag", ""), **told}
    asked = of_json(getattr(run_v2, kind.request), {kind.field: body})
    asked.update_mask = field_mask_pb2.FieldMask(paths=list(change))
    return asked


def status(live: JsonObject) -> JsonObject:
    """Return whether what is written is in force, and why not."""
    state = text(live, "terminal_condition", "state")
    said = text(live, "terminal_condition", "message") if state == "CONDITION_FAILED" else ""
    behind = live.get("observed_generation") != live.get("generation")
    return {"reconciling": bool(live.get("reconciling")), "behind": behind, "failed": said[:300]}


def not_in_force(state: Mapping[str, Json]) -> Judgement | None:
    """Return why what was read is not known to be in force; None: it is."""
    seen = fields(state.get(STATUS))
    if seen.get("reconciling"):
        return Judgement(Verdict.UNKNOWN, "it is written, and Cloud Run still works on it", Grade.NONE)
    if seen.get("behind"):
        why = text(seen, "failed") or "no reason given"
        return Judgement(Verdict.UNKNOWN, f"Cloud Run could not bring it into force: {why}", Grade.NONE)
    return None


def uid_of(value: Json) -> str:
    """Return the uid in a recorded object: one that was made again is another."""
    return text(value, "uid")


def whose(live: JsonObject) -> JsonObject:
    """Return what tells a resource and its code from one that was made, or deployed, again."""
    return {"uid": live.get("uid", ""), "revision": live.get("latest_created_revision", "")}


def same_code(was: Json, now: Json) -> bool:
    """Return whether it is the same resource, and nobody deployed it since: it may have been the agent."""
    return uid_of(was) == uid_of(now) and text(was, "revision") == text(now, "revision")


def name_of(resource: Resource) -> str:
    """Return the full name that a target was signed with."""
    return str(resource.params["name"])


def seconds(value: Json) -> float:
    """Return a duration of JSON (``"300s"``) in seconds; 0 where it is none."""
    said = value.removesuffix("s") if isinstance(value, str) else ""
    try:
        return float(said)
    except ValueError:
        return 0.0


def traffic_of(live: JsonObject) -> list[JsonObject]:
    """Return the traffic targets of a service."""
    found = field(live, "traffic")
    return [dict(fields(one)) for one in found] if isinstance(found, list) else []
