"""Tells what a managed group would make, and whom it would wake, once it is let go.

A group that is held makes nothing, but whoever still has rights on it may change what it is to make: its
template, the metadata of all or of single instances, the limits of its autoscaler. A restore that only put
its policies back would have it roll that out. So all of it is in the prior state, and a group that differs
stays held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.provider import Outcome
from breakglass_gcp.actions import compute_reading as reading
from breakglass_gcp.actions.compute_choice import status_of
from breakglass_gcp.messages import as_json, fields
from breakglass_gcp.project import Project

MADE_OF, CONFIGS, POLICY = "made_of", "configs", "policy"
_WHOLE = ("all_instances_config", "stateful_policy")


def made_of(manager: Any) -> dict[str, Json]:  # noqa: ANN401 - Google's messages have no types here
    """Return what a group makes its instances of.

    Of a version's target size only what somebody set: what is calculated moves with the group's size (Compute
    Engine v1 discovery document, FixedOrPercent.calculated).
    """
    said = as_json(manager)
    versions = said.get("versions")
    kept: list[Json] = []
    for one in versions if isinstance(versions, list) else []:
        size = dict(fields(fields(one).get("target_size")))
        size.pop("calculated", None)
        kept.append({**fields(one), "target_size": size})
    return {
        "instance_template": str(manager.instance_template),
        "versions": kept,
        **{name: said.get(name) for name in _WHOLE},
    }


def configs(project: Project, group: str) -> Json:
    """Return what single instances are to be given with their next update; None: that cannot be read."""
    asked = reading.group_request(project, group)
    read = partial(project.every, reading.group_service(group), "list_per_instance_configs", asked)
    try:
        listing = reading.again(project, read, list(reading.PAUSES_S))
    except ProviderError:
        return None
    return {str(one.name): as_json(one.preserved_state) for one in listing.items}


def policy(scaler: Any) -> dict[str, Json]:  # noqa: ANN401 - as above
    """Return an autoscaler's policy without its mode, which the stop itself sets."""
    said = as_json(scaler.autoscaling_policy)
    said.pop("mode", None)
    return said


def changed(before: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """Return what the group or an autoscaler of it would do that it did not; purely.

    What a journal does not hold is not compared: it was written before that was kept.
    """
    found = [f"{key.replace(':', ' ')} is new" for key in sorted(now) if key not in before]
    for key in sorted(before):
        was, seen = fields(before[key]), fields(now.get(key))
        if not seen:
            continue
        if seen["id"] != was["id"]:
            found.append(f"{key.replace(':', ' ')} is another one")
            continue
        for part in (MADE_OF, POLICY):
            found += _differ(key, fields(was.get(part)), fields(seen.get(part))) if part in was else []
        if CONFIGS in was and was[CONFIGS] is None:
            found.append(f"{key}: per-instance configs could not be read")
        elif CONFIGS in was and seen.get(CONFIGS) is not None and was[CONFIGS] != seen[CONFIGS]:
            found.append(f"{key}: per-instance configs")
    return found


def unread(before: Mapping[str, Json], now: Mapping[str, Json]) -> bool:
    """Return whether a group's configs were read at the stop, and are not now: they may differ."""
    return any(
        fields(was).get(CONFIGS) is not None
        and fields(now[key])["id"] == fields(was)["id"]
        and fields(now[key]).get(CONFIGS) is None
        for key, was in before.items()
        if key in now
    )


def _differ(key: str, was: Mapping[str, Json], seen: Mapping[str, Json]) -> list[str]:
    names = sorted(name for name in {*was, *seen} if was.get(name) != seen.get(name))
    return [f"{key.replace(':', ' ')}: {name}{_values(was.get(name), seen.get(name))}" for name in names]


def _values(was: Json, seen: Json) -> str:
    plain = all(isinstance(one, str | int) for one in (was, seen))
    return f" was {was}, is {seen}"[:300] if plain else ""


def woken(project: Project, params: Mapping[str, Json], was: Mapping[str, Json]) -> list[str]:
    """Return instances that stay off after the stop, and that the group's own policies would turn on.

    A standby pool is resumed as the group grows; what the group wants to run and does not is repaired
    (Compute Engine documentation, "About suspending and stopping VMs in a MIG", "About repairing VMs in a
    MIG"). Those that were off at planning are the pool's own.
    """
    pool, repairs = was["mode"] == "SCALE_OUT_POOL", was["default_action_on_failure"] != "DO_NOTHING"
    if "asleep" not in params or not (pool or repairs):
        return []
    own = reading.texts(params["asleep"])
    found = []
    for name, one in sorted((reading.members(project, str(params["group"])) or {}).items()):
        status = status_of(str(one.instance_status), str(one.current_action))
        wakes = repairs if str(one.target_status) == "RUNNING" else pool
        if status in reading.OFF and wakes and name not in own:
            found.append(name)
    return found


def same(was: Mapping[str, Json], seen: Mapping[str, Json]) -> bool:
    """Return whether all that a journal holds is as it was."""
    return bool(seen) and all(seen.get(name) == value for name, value in was.items())


def scalers_of(project: Project, group: str) -> list[Any]:
    """Return the autoscalers of a group."""
    place, _, name = group.partition("/")
    kind, service = ("zone", "autoscalers") if reading.is_zonal(group) else ("region", "region_autoscalers")
    listing = project.every(service, "list", {"project": project.id, kind: place})
    end = f"/{kind}s/{place}/instanceGroupManagers/{name}"
    return [one for one in listing.items if str(one.target).endswith(end)]


def words(why: Sequence[str], outcomes: Mapping[str, Outcome]) -> str:
    """Return what a restore says of a group."""
    if why:
        shown = "; ".join(why[:5])
        return (
            f"the group stays held: changed since the stop: {shown}; look at it, then put the policies and"
            " the autoscaler's mode back by hand"
        )
    ended = sorted(key for key, outcome in outcomes.items() if outcome is Outcome.ENDED)
    if ended:
        return (
            f"left off, since it was made after the plan: {', '.join(ended)}; turn it on or delete it by hand"
        )
    return "policies and modes are as they were; what others changed is left alone"
