"""Lays out instances, groups and networks for the tests of Compute Engine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from providers.gcp.tests.rig_gcp import Rig

ZONE = "europe-west1-b"


def network(rig: Rig, name: str = "default", **more: Any) -> None:  # noqa: ANN401 - fields of the API
    """Make a network."""
    asked = {"project": rig.project, "network_resource": {"name": name, **more}}
    rig.admin.operate("networks", "insert", asked)


def machine(rig: Rig, name: str, account: str = "", **more: Any) -> str:  # noqa: ANN401 - as above
    """Make an instance with an external address and a disk; return ZONE/NAME."""
    disk = f"projects/{rig.project}/zones/{ZONE}/disks/{name}"
    rig.admin.operate(
        "disks", "insert", {"project": rig.project, "zone": ZONE, "disk_resource": {"name": name}}
    )
    body: dict[str, Any] = {
        "name": name,
        "network_interfaces": [{"network": "default", "access_configs": [{"name": "External NAT"}]}],
        "service_accounts": [{"email": account}] if account else [],
        "disks": [{"source": disk, "boot": True}],
        **more,
    }
    asked = {"project": rig.project, "zone": ZONE, "instance_resource": body}
    rig.admin.operate("instances", "insert", asked)
    return f"{ZONE}/{name}"


def do(rig: Rig, verb: str, name: str, **more: Any) -> None:  # noqa: ANN401 - as above
    """Do something to an instance as the project's owner."""
    zone, _, short = name.partition("/")
    rig.admin.operate("instances", verb, {"project": rig.project, "zone": zone, "instance": short, **more})


def status(rig: Rig, name: str) -> str:
    """Return the status of an instance."""
    zone, _, short = name.partition("/")
    asked = {"project": rig.project, "zone": zone, "instance": short}
    return str(rig.admin.call("instances", "get", asked).status)


def group(rig: Rig, name: str, account: str, *, size: int = 2, place: str = ZONE, **more: Any) -> str:  # noqa: ANN401 - as above
    """Make a managed group with its template; return PLACE/NAME."""
    faces = [{"network": "default", "access_configs": [{"name": "External NAT"}]}]
    properties = {"network_interfaces": faces, "service_accounts": [{"email": account}]}
    template = {"name": name, "properties": {**properties, **more.pop("properties", {})}}
    rig.admin.operate(
        "instance_templates", "insert", {"project": rig.project, "instance_template_resource": template}
    )
    body = {
        "name": name,
        "base_instance_name": name,
        "instance_template": f"projects/{rig.project}/global/instanceTemplates/{name}",
        "target_size": size,
        **more,
    }
    kind, service = ("zone", "instance_groups") if place == ZONE else ("region", "region_instance_groups")
    asked = {"project": rig.project, kind: place, "instance_group_manager_resource": body}
    rig.admin.operate(service, "insert", asked)
    return f"{place}/{name}"


def members(rig: Rig, held: str) -> dict[str, str]:
    """Return the instances of a group that are there: name -> status."""
    place, _, name = held.partition("/")
    kind, service = ("zone", "instance_groups") if place == ZONE else ("region", "region_instance_groups")
    asked = {"project": rig.project, kind: place, "instance_group_manager": name}
    found = rig.admin.every(service, "list_managed_instances", asked).items
    return {str(one.name): str(one.instance_status) for one in found}


def effects(rig: Rig, channel: str) -> Sequence[Mapping[str, Any]]:
    """Return what the sandbox's record says of one channel."""
    told: Sequence[Mapping[str, Any]] = rig.control("effects")
    return [one for one in told if one["channel"] == channel]


def goes_on(rig: Rig, channel: str) -> bool:
    """Return whether a channel still has effects when the platform works."""
    before = len(effects(rig, channel))
    rig.control("platform", {"on": False, "ticks": 3})
    return len(effects(rig, channel)) > before


def until(done: Any, seconds: float = 30.0) -> None:  # noqa: ANN401 - a callable
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)
