"""Connections from an instance to the internet, and what cuts them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.platform import network, reach

INTERNET = "203.0.113.10"
"""An address for documentation (RFC 5737): nobody is there."""
HTTPS = 443


@dataclass(slots=True)
class Flow:
    """One established connection. `cut` says why it ended."""

    name: str
    backend: Any
    instance: Any
    interface: Any
    address: str
    port: int
    way: str
    tracked: bool
    cut: str = ""
    count: int = 0
    last_at_ms: int = 0
    last_monotonic_us: int = 0


@dataclass(slots=True)
class Flows:
    """All flows since the last reset."""

    all: dict[str, Flow] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Try to connect out; a new connection obeys everything at once."""
        found = [pair for pair in network.instances() if pair[1].id == body["instance"]]
        if not found:
            return {"established": False, "reason": "no such instance"}
        backend, instance = found[0]
        wanted = body.get("eni")
        cards = [one for _, one in sorted(instance.nics.items()) if wanted in (None, one.id)]
        address, port = str(body.get("to") or INTERNET), int(body.get("port") or HTTPS)
        flow = Flow("", backend, instance, cards[0], address, port, "", tracked=True)
        flow.way = reach.way_out(network.hops(backend, flow.interface.subnet), address)
        permits = network.permits(flow.interface)
        reason = _gone(flow) or ("" if reach.groups_permit(permits, address, port) else "security groups")
        if reason:
            return {"established": False, "reason": reason}
        flow.tracked = flow.way.startswith("nat-") or not reach.untracked(permits, port)
        with self._lock:
            flow.name = f"flow-{len(self.all) + 1}"
            self.all[flow.name] = flow
        _beat(flow)
        return {"established": True, "flow": flow.name, "tracked": flow.tracked}

    def look(self) -> None:
        """Cut what the network as it is now cuts."""
        with self._lock:
            for flow in self.all.values():
                if not flow.cut:
                    flow.cut = _gone(flow) or _interrupted(flow)

    def tick(self, _now: float) -> None:
        """Cut what is cut, and let the others carry something."""
        self.look()
        with self._lock:
            for flow in self.all.values():
                if not flow.cut:
                    _beat(flow)

    def told(self) -> list[dict[str, Any]]:
        """Return each flow for the control address."""
        with self._lock:
            return [
                {"flow": one.name, "instance": one.instance.id, "alive": not one.cut, "cut": one.cut,
                 "tracked": one.tracked}
                for one in self.all.values()
            ]  # fmt: skip

    def forget(self) -> None:
        """Know none."""
        with self._lock:
            self.all.clear()


def _gone(flow: Flow) -> str:
    """Say what cuts any flow: the instance, the interface, the ACL, the route."""
    if flow.instance.state != "running":
        return "instance"
    if flow.interface.id not in [one.id for one in flow.instance.nics.values()]:
        return "interface"
    if (
        not flow.way
        or reach.way_out(network.hops(flow.backend, flow.interface.subnet), flow.address) != flow.way
    ):
        return "route"
    entries = network.acl(flow.backend, flow.interface.subnet)
    return "" if reach.acl_permits(entries, flow.address, flow.port) else "network ACL"


def _interrupted(flow: Flow) -> str:
    """Say whether the groups cut a flow: only one that is not tracked.

    EC2 User Guide, "Amazon EC2 security group connection tracking": a tracked flow goes on when its rule is
    removed; an untracked one is interrupted at once. Through a NAT gateway every flow is tracked.
    """
    permits = network.permits(flow.interface)
    if not flow.way.startswith("nat-") and reach.untracked(permits, flow.port):
        flow.tracked = False
        return ""
    if flow.tracked:
        return ""
    if not reach.groups_permit(permits, flow.address, flow.port):
        return "security groups"
    flow.tracked = True
    return ""


def _beat(flow: Flow) -> None:
    flow.count += 1
    flow.last_at_ms = time.time_ns() // 1_000_000
    flow.last_monotonic_us = time.monotonic_ns() // 1_000


FLOWS = Flows()


def guard_look(_call: Call) -> None:
    """See the network as it is before it changes: between two ticks there may be two changes."""
    FLOWS.look()


CHANGES = (
    "ModifyNetworkInterfaceAttribute",
    "ModifyInstanceAttribute",
    "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress",
    "RevokeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
    "ReplaceNetworkAclAssociation",
    "ReplaceNetworkAclEntry",
    "CreateNetworkAclEntry",
    "DeleteNetworkAclEntry",
    "ReplaceRoute",
    "CreateRoute",
    "DeleteRoute",
    "StopInstances",
    "StartInstances",
)
GUARDS = {
    **{("ec2", one): (guard_look,) for one in CHANGES},
    ("ec2", "ModifyInstanceAttribute"): (guard_look, network.guard_groups),
}
