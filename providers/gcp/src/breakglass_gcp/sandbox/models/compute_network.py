"""Compute Engine v1: networks, firewall rules, policies above them, and what flows from instances.

VPC documentation, "VPC firewall rules" (priorities; deny wins at equal priority; stateful: a connection lives
while a packet passes within 10 minutes; the metadata server is always reached) and "Hierarchical firewall
policies" (they are evaluated before).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import authorise, tokens
from breakglass_gcp.sandbox.call import Refusal
from breakglass_gcp.sandbox.models import compute_instances
from breakglass_gcp.sandbox.models import compute_operations as shared

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

FIREWALLS, NETWORKS = "compute.firewalls", "compute.networks"
LAID, FLOWS = "compute.policies", "compute.flows"
METADATA = "169.254.169.254"
IDLE_S = 600.0


def _firewall(call: Call) -> str:
    return f"projects/{call.project}/global/firewalls/{call.request.firewall}"


def _network(project: str, told: str) -> str:
    return f"projects/{project}/global/networks/{shared.short(told).rpartition('/')[2] or 'default'}"


def _insert(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    one = compute_v1.Firewall(call.request.firewall_resource)
    name = f"projects/{call.project}/global/firewalls/{one.name}"
    call.needs("compute.firewalls.create", name)
    call.needs("compute.networks.updatePolicy", f"projects/{call.project}")
    if name in world.table(FIREWALLS):
        call.fail("ALREADY_EXISTS", f"The resource '{name}' already exists")
    _checked(call, one)
    one.id, one.network = int(world.new_id()), shared.url(_network(call.project, one.network))
    one.direction, one.self_link = one.direction or "INGRESS", shared.url(name)
    if "priority" not in one:
        one.priority = 1000
    one.creation_timestamp = "2026-11-21T00:00:00.000-00:00"
    world.table(FIREWALLS)[name] = one
    return shared.begin(world, call, "insert", name)


def _checked(call: Call, one: Any) -> None:  # noqa: ANN401 - a Firewall
    if bool(one.allowed) == bool(one.denied):
        call.fail("INVALID_ARGUMENT", "A firewall has either allowed or denied rules.")
    families = {ipaddress.ip_network(ranged).version for ranged in one.destination_ranges}
    if len(families) > 1:
        call.fail("INVALID_ARGUMENT", "IPv4 and IPv6 ranges cannot be in one rule.")
    if one.target_tags and one.target_service_accounts:
        call.fail("INVALID_ARGUMENT", "target tags and target service accounts cannot be in one rule.")


def _get(world: World, call: Call) -> object:
    call.needs("compute.firewalls.get", _firewall(call))
    return shared.row(world, call, FIREWALLS, _firewall(call))


def _list(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    call.needs("compute.firewalls.list", f"projects/{call.project}")
    found = shared.in_project(world, FIREWALLS, f"projects/{call.project}/global")
    return compute_v1.FirewallList(items=[one for _, one in found])


def _patch(world: World, call: Call) -> object:
    call.needs("compute.firewalls.update", _firewall(call))
    call.needs("compute.networks.updatePolicy", f"projects/{call.project}")
    held = shared.row(world, call, FIREWALLS, _firewall(call))
    shared.merged(held, call.request.firewall_resource)
    return shared.begin(world, call, "patch", _firewall(call))


def _delete(world: World, call: Call) -> object:
    call.needs("compute.firewalls.delete", _firewall(call))
    call.needs("compute.networks.updatePolicy", f"projects/{call.project}")
    shared.row(world, call, FIREWALLS, _firewall(call))
    world.table(FIREWALLS).pop(_firewall(call))
    return shared.begin(world, call, "delete", _firewall(call))


def _insert_network(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    one = compute_v1.Network(call.request.network_resource)
    name = f"projects/{call.project}/global/networks/{one.name}"
    call.needs("compute.networks.create", name)
    one.id, one.self_link = int(world.new_id()), shared.url(name)
    order = one.network_firewall_policy_enforcement_order
    one.network_firewall_policy_enforcement_order = order or "AFTER_CLASSIC_FIREWALL"
    world.table(NETWORKS)[name] = one
    return shared.begin(world, call, "insert", name)


def _get_network(world: World, call: Call) -> object:
    name = f"projects/{call.project}/global/networks/{call.request.network}"
    call.needs("compute.networks.get", name)
    return shared.row(world, call, NETWORKS, name)


def _effective(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    name = f"projects/{call.project}/global/networks/{call.request.network}"
    call.needs("compute.networks.getEffectiveFirewalls", name)
    shared.row(world, call, NETWORKS, name)
    found = [one for one in world.table(LAID).get(name, ()) if one["type_"] != "NETWORK_REGIONAL"]
    rules = [one for _, one in shared.in_project(world, FIREWALLS, f"projects/{call.project}/global")]
    return compute_v1.NetworksGetEffectiveFirewallsResponse(
        firewalls=[one for one in rules if shared.short(one.network) == name], firewall_policys=found
    )


def _regional(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    name = _network(call.project, call.request.network)
    call.needs("compute.networks.getRegionEffectiveFirewalls", name)
    found = [one for one in world.table(LAID).get(name, ()) if one["type_"] != "NETWORK"]
    return compute_v1.RegionNetworkFirewallPoliciesGetEffectiveFirewallsResponse(firewall_policys=found)


def _policy(world: World, asked: Mapping[str, Any]) -> object:
    """Lay a firewall policy above a network: `type`, `name`, `rules` as the API tells them."""
    name = _network(str(asked["project"]), str(asked.get("network", "default")))
    told = {"type_": str(asked["type"]), "name": str(asked["name"]), "rules": list(asked["rules"])}
    world.table(LAID).setdefault(name, []).append(told)
    return {}


def _reaches(ranges: Iterable[str], destination: str) -> bool:
    address = ipaddress.ip_address(destination)
    return any(address in ipaddress.ip_network(one) for one in ranges)


def _meets(rule: Any, one: Any) -> bool:  # noqa: ANN401 - a Firewall and an Instance
    if rule.target_service_accounts:
        return bool({*rule.target_service_accounts} & {held.email for held in one.service_accounts})
    return not rule.target_tags or bool({*rule.target_tags} & {*one.tags.items})


def opens(world: World, project: str, one: Any, face: Any, destination: str) -> bool:  # noqa: ANN401 - messages
    """Tell whether an instance may open a new connection from one interface."""
    if destination == METADATA:
        return True
    name = shared.short(face.network)
    accounts = {held.email for held in one.service_accounts}
    for policy in world.table(LAID).get(name, ()):
        for rule in sorted(policy["rules"], key=lambda held: int(held.get("priority", 0))):
            aimed = rule.get("target_service_accounts")
            applies = rule.get("direction") == "EGRESS" and (not aimed or accounts & {*aimed})
            if applies and _reaches(rule.get("match", {}).get("dest_ip_ranges", ()), destination):
                if rule["action"] == "goto_next":
                    break
                return bool(rule["action"] == "allow")
    rules = [held for _, held in shared.in_project(world, FIREWALLS, f"projects/{project}/global")]
    for rule in sorted(rules, key=lambda held: (held.priority, not held.denied)):
        mine = rule.direction == "EGRESS" and not rule.disabled and shared.short(rule.network) == name
        if mine and _meets(rule, one) and _reaches(rule.destination_ranges or ["0.0.0.0/0"], destination):
            return not rule.denied
    return True


def _flow(world: World, asked: Mapping[str, Any]) -> object:
    """Let an instance open connections to a destination and keep one of them, from one interface."""
    name = f"projects/{asked['project']}/zones/{asked['zone']}/instances/{asked['instance']}"
    world.table(FLOWS)[f"{name}#{len(world.table(FLOWS))}"] = {
        "instance": name,
        "destination": str(asked.get("destination", "198.51.100.7")),
        "face": str(asked.get("interface", "nic0")),
        "permission": str(asked.get("permission", "")),
        "last_s": None,
        "external": "",
    }
    return {}


def _tick(world: World) -> None:
    for key, flow in list(world.table(FLOWS).items()):
        one = world.table(compute_instances.TABLE).get(flow["instance"])
        if one is None or one.status not in ("RUNNING", "SUSPENDED", "SUSPENDING"):
            flow["last_s"] = None
        if one is None or one.status != "RUNNING":
            continue
        face = next((held for held in one.network_interfaces if held.name == flow["face"]), None)
        if face is not None:
            _step(world, key.split("/")[1], one, face, flow)


def _step(world: World, project: str, one: Any, face: Any, flow: dict[str, Any]) -> None:  # noqa: ANN401 - as above
    now_s, address = world.now_s(), next((held.nat_i_p for held in face.access_configs), "")
    new = opens(world, project, one, face, flow["destination"])
    if new:
        world.effects.mark(f"vm:{one.name}", project=project, destination=flow["destination"])
    alive = flow["last_s"] is not None and now_s - flow["last_s"] < IDLE_S and flow["external"] == address
    if not new and not alive:
        flow["last_s"] = None
        return
    flow["last_s"], flow["external"] = now_s, address
    world.effects.mark(f"flow:{one.name}", project=project, destination=flow["destination"])
    if flow["permission"] and _may(world, project, one, flow["permission"]):
        world.effects.mark(f"vm-api:{one.name}", project=project, permission=flow["permission"])


def _may(world: World, project: str, one: Any, permission: str) -> bool:  # noqa: ANN401 - as above
    """Tell whether the metadata server's token of the instance's account may do something."""
    try:
        token = tokens.mint(world, one.service_accounts[0].email, 3600.0)
        caller = tokens.caller_of(world, f"Bearer {token}")
    except (Refusal, IndexError):
        return False
    return authorise.allowed(world, caller, permission, f"projects/{project}")


def _state(world: World, project: str) -> object:
    from google.protobuf import json_format

    told = {}
    for name, one in shared.in_project(world, FIREWALLS, f"projects/{project}/global"):
        said = json_format.MessageToDict(type(one).pb(one), preserving_proto_field_name=True)
        told[name] = {key: value for key, value in said.items() if key != "creation_timestamp"}
    return told


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    "compute.firewalls.insert": _insert,
    "compute.firewalls.get": _get,
    "compute.firewalls.list": _list,
    "compute.firewalls.patch": _patch,
    "compute.firewalls.delete": _delete,
    "compute.networks.insert": _insert_network,
    "compute.networks.get": _get_network,
    "compute.networks.getEffectiveFirewalls": _effective,
    "compute.regionNetworkFirewallPolicies.getEffectiveFirewalls": _regional,
}
TICKS = (_tick,)
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], Any]] = {
    "compute.flow": _flow,
    "compute.policy": _policy,
}
STATE = _state
