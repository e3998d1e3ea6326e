"""Finds the agent's instances with their networks and accounts, and proposes to cut them off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from breakglass.canon import Json
from breakglass.model.action import ActionSpec, Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.model.resource import Resource
from breakglass.provider import Proposal, Proposed, ProposedDoor, WaitFor
from breakglass_gcp.actions import compute_members
from breakglass_gcp.actions import compute_reading as reading
from breakglass_gcp.actions import compute_rules as rules
from breakglass_gcp.found import Found
from breakglass_gcp.project import Project

DEADLINE_S = 60.0
UNREACHABLE = "UNREACHABLE"


def machines(project: Project, resource: Resource) -> dict[str, Any]:
    """Return the agent's instances that are there now, by ZONE/NAME."""
    names = dict.fromkeys(reading.texts(resource.params.get("instances")))
    for group in reading.texts(resource.params.get("groups")):
        names |= dict.fromkeys(sorted(reading.members(project, group) or ()))
    return reading.read_all(project, resource, names)


def selector(one: Any, accounts: Sequence[str]) -> str:  # noqa: ANN401 - Google's messages have no types here
    """Return how an instance is met by a rule: by its account where that is one of these, else by its tag."""
    return rules.ACCOUNTS if {held.email for held in one.service_accounts} & {*accounts} else rules.TAG


def cuts(project: Project, resource: Resource, found: Iterable[Any]) -> list[rules.Cut]:
    """Return the rules that are needed: of the plan, and of where the instances are now."""
    signed = resource.params.get("cuts")
    made = {rules.Cut(*reading.texts(one)) for one in (signed if isinstance(signed, list) else [])}
    return sorted(made | _cuts(project, found, reading.texts(resource.params.get("accounts"))))


def _cuts(project: Project, found: Iterable[Any], accounts: Sequence[str]) -> set[rules.Cut]:
    return {
        rules.Cut(network, family, selector(one, accounts))
        for one in found
        for face in one.network_interfaces
        if is_own(project, network := rules.short(str(face.network)))
        for family in rules.FAMILIES.get(str(face.stack_type), ("ipv4",))
    }


def is_own(project: Project, network: str) -> bool:
    """Return whether a network is this project's: rules of a shared one lie in the project that shares it."""
    return network.split("/")[1:2] in ([project.id], [project.number])


def earlier(project: Project, cut: rules.Cut, found: Iterable[Any]) -> list[str]:
    """Return what lets the instances of a network out before its rules are met."""
    asked = {"project": project.id, "network": cut.network.rpartition("/")[2]}
    order = str(project.call("networks", "get", asked).network_firewall_policy_enforcement_order)
    policies = [*project.call("networks", "get_effective_firewalls", asked).firewall_policys]
    there = [one for one in found if _is_in(one, cut.network)]
    for region in sorted({str(one.zone).rpartition("/")[2].rpartition("-")[0] for one in there}):
        asked_there = {"project": project.id, "region": region, "network": cut.network}
        answer = project.call("region_firewall_policies", "get_effective_firewalls", asked_there)
        policies += [one for one in answer.firewall_policys if one.type_ == "NETWORK_REGIONAL"]
    accounts = {held.email for one in there for held in one.service_accounts}
    return rules.earlier_ways(policies, order, accounts, cut.family)


def _is_in(one: Any, network: str) -> bool:  # noqa: ANN401 - as above
    return any(rules.short(str(face.network)) == network for face in one.network_interfaces)


def proposed(project: Project, found: Found, targets: Sequence[reading.Target], spec: ActionSpec) -> Proposed:
    """Propose one step for all instances of the agent's in this project."""
    if not targets:
        return Proposed()
    ours = {name: one for target in targets for name, one in target.found.items()}
    strangers, missed = _users(project, {*ours})
    taken = {account for accounts in strangers.values() for account in accounts}
    accepted = {*project.settings.texts("accept_blast_radius")}
    own = sorted({held.email for one in ours.values() for held in one.service_accounts})
    accounts = [one for one in own if one not in taken or one in accepted][: rules.MOST_ACCOUNTS]
    prefix = rules.prefix(project.connection.incident, project.connection.agent.name, project.id)
    needed: list[Json] = [
        [cut.network, cut.family, cut.selector] for cut in sorted(_cuts(project, ours.values(), accounts))
    ]
    off = tuple(compute_members.suspend_key(target) for target in targets)
    step = Proposal(
        key="deny_egress",
        action=spec.name,
        target=project.target(
            "gcp-egress",
            f"egress/{project.id}",
            f"egress of {sum(len(target.names) for target in targets)} instances",
            instances=[name for target in targets for name in target.names],
            ids=[one for target in targets if not target.group for one in target.ids],
            groups=[target.group for target in targets if target.group],
            accounts=[*accounts],
            cuts=needed,
            rule=prefix,
        ),
        # Waits for nothing in the stop; at a restore the rules go before the instances come back.
        after=tuple(WaitFor(key, 0.0) for key in off),
        settle_s=project.settle_s(spec),
        deadline_s=DEADLINE_S,
        moot_by=off,
        affects=tuple(
            f"instance {name} of the same account"
            for name, held in strangers.items()
            if {*held} & {*accounts}
        ),
    )
    doors = (*_open_flows(targets), *_shared(project, ours, off), *_unnamed(found, strangers))
    return Proposed((step,), doors, (), tuple(missed))


def _users(project: Project, ours: set[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the accounts of every other instance of the project, and the zones that did not answer."""
    strangers: dict[str, tuple[str, ...]] = {}
    missed: list[str] = []
    for scope, held in project.every("instances", "aggregated_list", {"project": project.id}).items:
        zone = str(scope).rpartition("/")[2]
        if held.warning.code == UNREACHABLE:
            missed.append(f"instances of {zone}: the zone does not answer"[:300])
        for one in held.instances:
            if f"{zone}/{one.name}" not in ours:
                strangers[f"{zone}/{one.name}"] = tuple(account.email for account in one.service_accounts)
    return strangers, missed


def _open_flows(targets: Iterable[reading.Target]) -> Iterable[ProposedDoor]:
    for target in targets:
        reason = "connections that are open go on while a packet passes every 10 minutes, until it is off"
        yield _door(
            f"open connections of {target.shown}", reason, "turn it off", compute_members.suspend_key(target)
        )


def _shared(project: Project, ours: Mapping[str, Any], off: Sequence[str]) -> Iterable[ProposedDoor]:
    for name, one in ours.items():
        for face in one.network_interfaces:
            network = rules.short(str(face.network))
            if not is_own(project, network):
                reason = f"it is in {network}, whose rules lie in another project"
                remedy = "deny its egress there by hand"
                yield _door(f"egress of instance {name}", reason, remedy, *off)


def _unnamed(found: Found, strangers: Mapping[str, tuple[str, ...]]) -> Iterable[ProposedDoor]:
    for account in found.identities:
        names = sorted(name for name, held in strangers.items() if account in held)
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 - three are shown
            reason = f"{', '.join(names[:3])}{more} run as the agent's account, and no step turns them off"
            yield _door(f"instances of {account}", reason, "name them under `instances` of the reach")


def _door(name: str, reason: str, remedy: str, *closed_by: str) -> ProposedDoor:
    door = Door(DoorKind.NO_STEP, name, reason, remedy, "", (), Verdict.UNKNOWN)
    return ProposedDoor(door, closed_by)
