"""Decides, purely, which rule cuts instances off, whether a rule is it, and what lets traffic out before it.

VPC documentation, "VPC firewall rules": the lowest number goes first, at equal priority a denial wins, a rule
has IPv4 or IPv6 ranges. "Firewall policies", evaluation order: hierarchical policies first; network policies
before the rules where the network says BEFORE_CLASSIC_FIREWALL. What is allowed there never meets our rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakglass.canon import Json

ACCOUNTS, TAG = "accounts", "tag"
RANGES: Mapping[str, str] = {"ipv4": "0.0.0.0/0", "ipv6": "::/0"}
FAMILIES: Mapping[str, tuple[str, ...]] = {"IPV4_IPV6": ("ipv4", "ipv6"), "IPV6_ONLY": ("ipv6",)}
MOST_ACCOUNTS = 10
"""A rule takes so many (VPC documentation, "Quotas and limits")."""
_NETWORK_POLICIES = frozenset({"NETWORK", "NETWORK_REGIONAL"})
BEFORE = "BEFORE_CLASSIC_FIREWALL"


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """One rule that is needed: a network, a family of addresses, and how it finds its instances."""

    network: str
    """projects/PROJECT/global/networks/NAME"""
    family: str
    selector: str

    def rule(self, prefix: str) -> str:
        """Return the name of its rule."""
        about = f"{self.network}\0{self.family}\0{self.selector}"
        return f"{prefix}-{hashlib.sha256(about.encode()).hexdigest()[:8]}"


def prefix(incident: str, agent: str, project: str) -> str:
    """Return how the names of an incident's rules begin; nobody knows it before there is a plan."""
    about = f"{incident}\0{agent}\0{project}"
    return f"breakglass-{hashlib.sha256(about.encode()).hexdigest()[:12]}"


def wanted(cut: Cut, prefix_: str, accounts: Sequence[str]) -> dict[str, object]:
    """Return the rule that a cut needs, as the API takes it."""
    targets = (
        {"target_service_accounts": sorted(accounts)}
        if cut.selector == ACCOUNTS
        else {"target_tags": [prefix_]}
    )
    return {
        "name": cut.rule(prefix_),
        "network": cut.network,
        "direction": "EGRESS",
        "priority": 0,
        "denied": [{"I_p_protocol": "all"}],
        "destination_ranges": [RANGES[cut.family]],
        "description": "An agent is stopped: breakglass restores what was there",
        **targets,
    }


def shape(rule: Mapping[str, Json]) -> dict[str, Json]:
    """Return of a rule, as JSON, what decides which traffic it meets, in one spelling."""
    kept: dict[str, Json] = {
        "network": short(str(rule.get("network", ""))),
        "direction": str(rule.get("direction", "INGRESS")),
        "priority": rule.get("priority", 1000),
        "disabled": bool(rule.get("disabled", False)),
    }
    for name in _LISTS:
        value = rule.get(name)
        kept[name] = sorted(value, key=str) if isinstance(value, list) else []
    return kept


_LISTS = (
    "allowed",
    "denied",
    "destination_ranges",
    "source_ranges",
    "source_service_accounts",
    "source_tags",
    "target_service_accounts",
    "target_tags",
)


def short(told: str) -> str:
    """Return a name without its URL's beginning."""
    return f"projects/{told.partition('projects/')[2]}" if "projects/" in told else told


def earlier_ways(policies: Iterable[Any], order: str, accounts: Iterable[str], family: str) -> list[str]:
    """Return in words what lets instances of these accounts out before any rule of the network is met."""
    found: list[str] = []
    held = frozenset(accounts)
    for policy in policies:
        kind = str(policy.type_)
        if kind in _NETWORK_POLICIES and order != BEFORE:
            continue
        ways, ended = _policy_ways(policy, held, family)
        found += [f"{kind.lower()} policy {policy.name} {way}" for way in ways]
        if ended:
            break
    return found


def _policy_ways(policy: Any, accounts: frozenset[str], family: str) -> tuple[list[str], bool]:  # noqa: ANN401 - Google's messages have no types here
    """Return the ways out of one policy, and whether it denies all that is left."""
    found: list[str] = []
    for rule in sorted(policy.rules, key=lambda one: int(one.priority)):
        aimed = {*rule.target_service_accounts}
        if rule.disabled or rule.direction != "EGRESS" or (aimed and not aimed & accounts):
            continue
        if _meets_all(rule, family):
            if rule.action == "deny":
                return found, True
            if rule.action == "goto_next":
                return found, False
        if rule.action in ("allow", "apply_security_profile_group"):
            ranges = ", ".join([*rule.match.dest_ip_ranges][:3]) or "some destinations"
            found.append(f"rule {rule.priority} lets traffic out to {ranges}")
    return found, False


def _meets_all(rule: Any, family: str) -> bool:  # noqa: ANN401 - as above
    """Return whether a rule meets all egress of a family from all instances of the network."""
    match = rule.match
    narrow = (
        *rule.target_service_accounts,
        *rule.target_secure_tags,
        *match.dest_fqdns,
        *match.dest_region_codes,
        *match.dest_address_groups,
        *match.dest_threat_intelligences,
        *match.src_ip_ranges,
        match.dest_network_type,
        match.dest_network_context,
    )
    protocols = {one.ip_protocol for one in match.layer4_configs} or {"all"}
    ranges = [*match.dest_ip_ranges]
    return not any(narrow) and protocols == {"all"} and (not ranges or RANGES[family] in ranges)
