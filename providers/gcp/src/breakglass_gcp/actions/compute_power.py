"""Turns instances off and on again, by themselves or through the managed group that holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from breakglass.canon import Json
from breakglass.errors import InDoubt, ProviderError, Throttled, Transient, Unsettled
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome
from breakglass_gcp.actions import compute_choice as choice
from breakglass_gcp.actions import compute_disk_ids as disk_ids
from breakglass_gcp.actions import compute_reading as reading
from breakglass_gcp.calls import OPERATION_S
from breakglass_gcp.messages import fields
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of

UNDONE = (
    "what ran before runs again; what did not run stays off; one that is gone or new is left alone, and so is"
    " one whose metadata, account or disks somebody changed since the stop, or could not be read: look at it,"
    " and start it by hand"
)
_PLANTED = ("metadata", "accounts", "disks", "scopes", "disk_ids")
"""Whoever changed these while it was off chose what would run, or as whom.
The last two are not in older journals."""
_UNREAD: Mapping[str, Json] = dict.fromkeys(_PLANTED)
_AWAY = frozenset({"SERVICE_UNAVAILABLE", "UNAVAILABLE", "BAD_GATEWAY", "GATEWAY_TIMEOUT", ""})


def facts(one: Any, ids: Mapping[str, str]) -> dict[str, Json]:  # noqa: ANN401 - Google's messages have no types here
    """Return what a journal keeps of an instance: a new one of the same name has another id.

    Its metadata holds programs that run when it starts, and who may log in: the fingerprint changes with it
    (Compute Engine v1 discovery document, Metadata.fingerprint).
    """
    return {"id": str(one.id), "status": str(one.status), **_planted(one, ids)}


def member_facts(member: Any, one: Any, ids: Mapping[str, str]) -> dict[str, Json]:  # noqa: ANN401 - as above
    """Return the same of a group's member; what its instance (None: not read) did not tell stays unknown."""
    same = one is not None and str(one.id) == str(member.id)
    return {
        "id": str(member.id),
        "status": choice.status_of(str(member.instance_status), str(member.current_action)),
        "target": str(member.target_status),
        **(_planted(one, ids) if same else _UNREAD),
    }


def _planted(one: Any, ids: Mapping[str, str]) -> dict[str, Json]:  # noqa: ANN401 - as above
    scopes: list[list[Json]] = sorted(
        [str(held.email), *sorted(map(str, held.scopes))] for held in one.service_accounts
    )
    return {
        "metadata": str(one.metadata.fingerprint),
        "accounts": [*sorted(str(held.email) for held in one.service_accounts)],
        "disks": [str(disk.source) for disk in one.disks],
        "scopes": [*scopes],
        "disk_ids": disk_ids.of(one, ids),
    }


def cannot_suspend(one: Any) -> str:  # noqa: ANN401 - as above
    """Return why an instance cannot be suspended; empty: nothing is known against it.

    Compute Engine documentation, "Suspend, stop, or reset Compute Engine instances", limitations.
    """
    if one.guest_accelerators:
        return "it has a GPU"
    if one.confidential_instance_config.enable_confidential_compute:
        return "it is a Confidential VM"
    if one.confidential_instance_config.confidential_instance_type:
        return "it is a Confidential VM"
    return "it is a bare metal instance" if "-metal" in one.machine_type.rpartition("/")[2] else ""


def is_away(error: ProviderError) -> bool:
    """Return whether an error says that the service is away for a moment, rather than that it refuses."""
    return isinstance(error, Transient) and code_of(error) in _AWAY


def refused_before(project: Project, name: str, id_: str) -> bool:
    """Return whether an instance did not let itself be suspended before: that operation failed."""
    zone = name.partition("/")[0]
    asked = f'(targetId = {id_}) AND (operationType = "suspend") AND (status = DONE)'
    listing = project.every("zone_operations", "list", {"project": project.id, "zone": zone, "filter": asked})
    return any(one.http_error_status_code or one.error.errors for one in listing.items)


def refused_in(project: Project, zone: str) -> frozenset[str]:
    """Return the ids of all instances of a zone that did not let themselves be suspended before."""
    asked = '(operationType = "suspend") AND (status = DONE)'
    listing = project.every("zone_operations", "list", {"project": project.id, "zone": zone, "filter": asked})
    failed = (one for one in listing.items if one.http_error_status_code or one.error.errors)
    return frozenset(str(one.target_id) for one in failed)


def change(
    project: Project, verb: str, name: str, group: str, wait_s: Callable[[], float] = lambda: OPERATION_S
) -> bool:
    """Suspend, stop, resume or start one instance; return whether that is done already.

    One that is not waited for goes on: what is read later tells what came of it.

    Raises:
        ProviderError: it could not be begun, or it failed.
    """
    if group:
        try:
            return change_members(project, verb, [name], group, wait_s=wait_s())
        except (Throttled, InDoubt):
            raise
        except ProviderError as error:
            # Its group may be gone, or may have been told to abandon it: then it is an instance as others.
            if is_away(error):
                raise
    more: dict[str, object] = {"no_graceful_shutdown": True} if verb == "stop" else {}
    asked = {**reading.request(project, name), **more}
    return project.operate("instances", verb, asked, wait_s=wait_s())


def change_members(
    project: Project, verb: str, names: list[str], group: str, *, wait_s: float = OPERATION_S
) -> bool:
    """Do the same with members of a managed group, through the group: its target size follows.

    Raises:
        ProviderError: it could not be begun, or it failed.
    """
    kind = "" if reading.is_zonal(group) else "region_"
    body: dict[str, object] = {"instances": reading.urls(project, names)}
    if verb in ("suspend", "stop"):
        # A group may wait for an instance to initialise; this does not (Compute Engine v1, forceSuspend).
        body[f"force_{verb}"] = True
    key = f"{kind}instance_group_managers_{verb}_instances_request_resource"
    more: dict[str, object] = {"no_graceful_shutdown": True} if verb == "stop" else {}
    asked = {**reading.group_request(project, group), key: body, **more}
    return project.operate(reading.group_service(group), f"{verb}_instances", asked, wait_s=wait_s)


def judged(state: State, what: str) -> Judgement:
    """Decide whether an instance runs; whether the guest of one on its way still works nobody knows."""
    left = {name: str(fields(seen)["status"]) for name, seen in state.objects.items()}
    on = sorted(name for name, status in left.items() if status in reading.ON or status in reading.MADE)
    if on:
        words = ", ".join(f"{name} is {left[name]}" for name in on[:5])
        return Judgement(Verdict.NOT_CONTAINED, words)
    moving = sorted(name for name, status in left.items() if status not in reading.OFF)
    if moving:
        words = ", ".join(f"{name} is {left[name]}" for name in moving[:5])
        return Judgement(Verdict.UNKNOWN, f"{words}: its guest may still work", Grade.NONE)
    if not left:
        return Judgement(Verdict.CONTAINED, f"{what} is not there any more")
    words = ", ".join(f"{name} is {status}" for name, status in sorted(left.items())[:5])
    return Judgement(Verdict.CONTAINED, words)


def put_back(project: Project, name: str, group: str, was: Mapping[str, Json], now: Json) -> Outcome:
    """Bring one instance back if it ran before, is the same, and is off.

    Raises:
        Unsettled: it is still on its way to being off, or what it would run was not read this time.
    """
    seen = fields(now)
    if not seen or seen["id"] != was["id"]:
        return Outcome.DRIFTED
    status = str(seen["status"])
    if was["status"] not in reading.ON and was["status"] not in reading.MADE:
        lost = was["status"] == "SUSPENDED" and status in ("TERMINATED", "STOPPED")
        return Outcome.CANNOT if lost else Outcome.ALREADY
    if status in reading.ON and status != "PENDING_STOP":
        return Outcome.ALREADY
    if status not in reading.OFF:
        raise Unsettled(f"is {status}, still on its way", where=name)
    kept = [key for key in _PLANTED if key in was]
    unread = [key for key in kept if seen.get(key) is None]
    if any(was[key] is None or (key not in unread and was[key] != seen[key]) for key in kept):
        return Outcome.DRIFTED  # or nobody knew at the stop what it was
    if unread:
        raise Unsettled(f"its {unread[0]} could not be read: nobody knows whether it was changed", where=name)
    change(project, "resume" if status == "SUSPENDED" else "start", name, group)
    return Outcome.RESTORED


def left_off(names: Sequence[str]) -> str:
    """Return what a restore says of machines that it leaves off."""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004 - as shown
    return (
        f"left off, since the signed plan does not name it (it was made after planning, by whoever or by an"
        f" autoscaler): {shown}; look at what it would run and as whom, then resume or delete it through its"
        f" group (resumeInstances, deleteInstances): the group's target size counts only what came back"
    )
