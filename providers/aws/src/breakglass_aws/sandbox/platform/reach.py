"""Decides what security groups, network ACLs and routes let through. Pure: facts in, verdicts out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EVERYWHERE = "0.0.0.0/0"
EPHEMERAL = 49152
TCP = frozenset({"tcp", "6", "-1"})
ALL_PORTS = (0, 65535)


@dataclass(frozen=True, slots=True)
class Permit:
    """One rule of a security group."""

    egress: bool
    protocol: str
    ports: tuple[int, int]
    cidr: str


@dataclass(frozen=True, slots=True)
class AclEntry:
    """One entry of a network ACL."""

    number: int
    egress: bool
    allow: bool
    protocol: str
    ports: tuple[int, int]
    cidr: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One route: where to, and through what; `through` is empty for a black hole."""

    cidr: str
    through: str


def groups_permit(permits: Iterable[Permit], address: str, port: int) -> bool:
    """Say whether groups let a new TCP connection out."""
    return any(one.egress and _covers(one, address, port) for one in permits)


def untracked(permits: Sequence[Permit], port: int) -> bool:
    """Say whether a flow under these rules is not tracked.

    EC2 User Guide, "Amazon EC2 security group connection tracking", Untracked connections: a rule permits
    the flow from or to all addresses, and another the response from or to all addresses on any port.
    """
    out = any(one.egress and one.cidr == EVERYWHERE and _port(one, port) for one in permits)
    back = any(
        not one.egress and one.cidr == EVERYWHERE and one.protocol in TCP and _any(one) for one in permits
    )
    return out and back


def acl_permits(entries: Iterable[AclEntry], address: str, port: int) -> bool:
    """Say whether a network ACL lets a connection out and its answers in; it keeps no state."""
    known = tuple(entries)
    return _first(known, address, port, egress=True) and _first(known, address, EPHEMERAL, egress=False)


def way_out(hops: Iterable[Hop], address: str) -> str:
    """Return what the most specific route to an address goes through; empty: nothing."""
    host = ipaddress.ip_address(address)
    matching = [one for one in hops if host in ipaddress.ip_network(one.cidr, strict=False)]
    best = max(matching, key=lambda one: ipaddress.ip_network(one.cidr, strict=False).prefixlen, default=None)
    return best.through if best is not None else ""


def _covers(one: Permit, address: str, port: int) -> bool:
    host = ipaddress.ip_address(address)
    return host in ipaddress.ip_network(one.cidr, strict=False) and _port(one, port)


def _port(one: Permit, port: int) -> bool:
    return one.protocol in TCP and (one.protocol == "-1" or one.ports[0] <= port <= one.ports[1])


def _any(one: Permit) -> bool:
    return one.protocol == "-1" or (one.ports[0] <= ALL_PORTS[0] and one.ports[1] >= ALL_PORTS[1])


def _first(entries: Iterable[AclEntry], address: str, port: int, *, egress: bool) -> bool:
    """Return what the first entry that matches says; without one it is denied."""
    host = ipaddress.ip_address(address)
    for one in sorted(entries, key=lambda entry: entry.number):
        inside = host in ipaddress.ip_network(one.cidr, strict=False)
        fits = one.protocol in TCP and (one.protocol == "-1" or one.ports[0] <= port <= one.ports[1])
        if one.egress == egress and inside and fits:
            return one.allow
    return False
