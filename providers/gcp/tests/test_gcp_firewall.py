"""New connections out of the agent's instances are denied in every network, whoever takes rules away."""

from __future__ import annotations

from typing import Any

from breakglass.model.action import Verdict
from breakglass.provider import Outcome, Proposal
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

DENY, ADDRESS = "gcp.compute.deny_egress", "gcp.compute.remove_external_address"


def _rules(rig: Rig) -> dict[str, Any]:
    asked = {"project": rig.project}
    return {str(one.name): one for one in rig.admin.every("firewalls", "list", asked).items}


def _verdict(action: Any, step: Proposal) -> Verdict:  # noqa: ANN401 - an action
    found: Verdict = action.judge(step.target, action.observe(step.target)).verdict
    return found


def _laid(rig: Rig, **settings: Any) -> tuple[Any, Proposal]:  # noqa: ANN401 - keys of a reach
    provider = rig.provider(**settings)
    return provider.actions[DENY], proposal(provider, DENY)


def test_new_connections_are_denied_and_open_ones_go_on_which_the_plan_says(rig: Rig) -> None:
    """The rule is stateful: only turning the instance off ends what is open, and a door says so."""
    compute.network(rig)
    bot = rig.account("bot")
    name = compute.machine(rig, "bot", bot)
    compute.machine(rig, "neighbour", rig.account("other"))
    for one in ("bot", "neighbour"):
        rig.control("compute.flow", {"zone": compute.ZONE, "instance": one})
    assert compute.goes_on(rig, "vm:bot")
    before = rig.control("state")["compute_network"]
    provider = rig.provider(instances=[name], service_accounts=[bot])
    step, action = proposal(provider, DENY), provider.actions[DENY]

    prior, _ = close(action, step.target)

    (rule,) = _rules(rig).values()
    assert [*rule.target_service_accounts] == [bot]
    assert rule.priority == 0
    assert not compute.goes_on(rig, "vm:bot")
    assert compute.goes_on(rig, "flow:bot")
    assert compute.goes_on(rig, "vm:neighbour")
    doors = {one.door.name: one for one in provider.discover().doors}
    assert doors[f"open connections of instance {name}"].closed_by == (f"suspend_instance:{name}",)
    assert set(undo(action, step.target, prior).objects.values()) == {Outcome.RESTORED, Outcome.ALREADY}
    assert rig.control("state")["compute_network"] == before
    assert compute.goes_on(rig, "vm:bot")


def test_an_open_flow_ends_with_the_external_address_that_it_used(rig: Rig) -> None:
    """A reserved address comes back; an ephemeral one cannot, and the restore says that."""
    compute.network(rig)
    reserved = {"name": "fixed", "address": "203.0.113.200"}
    asked = {"project": rig.project, "region": "europe-west1", "address_resource": reserved}
    rig.admin.operate("addresses", "insert", asked)
    face = {"network": "default", "access_configs": [{"name": "External NAT", "nat_i_p": "203.0.113.200"}]}
    fixed = compute.machine(rig, "fixed", network_interfaces=[face])
    loose = compute.machine(rig, "loose")
    before = rig.control("state")["compute_instances"]
    provider = rig.provider(instances=[fixed, loose])
    denied = proposal(provider, DENY)
    for one in ("fixed", "loose"):
        rig.control("compute.flow", {"zone": compute.ZONE, "instance": one})
    rig.control("platform", {"on": False, "ticks": 1})
    close(provider.actions[DENY], denied.target)
    assert compute.goes_on(rig, "flow:fixed")
    outcomes = {}

    for step in [one for one in provider.discover().proposals if one.action == ADDRESS]:
        prior, _ = close(provider.actions[ADDRESS], step.target)
        assert not compute.goes_on(rig, f"flow:{step.key.rpartition('/')[2]}")
        outcomes[step.key] = [*undo(provider.actions[ADDRESS], step.target, prior).objects.values()]
        again = [*undo(provider.actions[ADDRESS], step.target, prior).objects.values()]
        assert Outcome.RESTORED not in again

    now = rig.control("state")["compute_instances"]
    path = f"projects/{rig.project}/zones/"
    assert outcomes == {
        f"remove_external_address:instance/{fixed}": [Outcome.RESTORED],
        f"remove_external_address:instance/{loose}": [Outcome.CANNOT],
    }
    fixed_path = f"{path}{fixed.replace('/', '/instances/')}"
    was, held = before[fixed_path], now[fixed_path]
    assert was["network_interfaces"] == held["network_interfaces"]


def test_an_agent_that_deletes_or_loosens_the_rule_finds_it_put_back(rig: Rig) -> None:
    """What is read back decides; a rule of the name that lets through is replaced."""
    compute.network(rig)
    bot = rig.account("bot")
    action, step = _laid(rig, instances=[compute.machine(rig, "bot", bot)], service_accounts=[bot])
    close(action, step.target)
    (name,) = _rules(rig)
    rig.admin.operate("firewalls", "delete", {"project": rig.project, "firewall": name})
    assert _verdict(action, step) is Verdict.NOT_CONTAINED
    close(action, step.target)
    loosened = {"disabled": True}
    patch = {"project": rig.project, "firewall": name, "firewall_resource": loosened}
    rig.admin.operate("firewalls", "patch", patch)
    assert _verdict(action, step) is Verdict.NOT_CONTAINED

    close(action, step.target)

    assert not _rules(rig)[name].disabled
    assert _verdict(action, step) is Verdict.CONTAINED


def test_a_rule_that_somebody_changed_after_the_stop_is_left_alone(rig: Rig) -> None:
    """Compare-and-set: drifted."""
    compute.network(rig)
    bot = rig.account("bot")
    action, step = _laid(rig, instances=[compute.machine(rig, "bot", bot)], service_accounts=[bot])
    prior, _ = close(action, step.target)
    (name,) = _rules(rig)
    patch = {"project": rig.project, "firewall": name, "firewall_resource": {"priority": 7}}
    rig.admin.operate("firewalls", "patch", patch)

    outcomes = undo(action, step.target, prior).objects

    assert outcomes[f"rule:{name}"] is Outcome.DRIFTED
    assert _rules(rig)[name].priority == 7


def test_a_rule_of_priority_zero_that_lets_out_does_not_win(rig: Rig) -> None:
    """At equal priority the denial wins."""
    compute.network(rig)
    bot = rig.account("bot")
    name = compute.machine(rig, "bot", bot)
    rule = {
        "name": "let-out",
        "network": "global/networks/default",
        "direction": "EGRESS",
        "priority": 0,
        "allowed": [{"I_p_protocol": "all"}],
    }
    rig.admin.operate("firewalls", "insert", {"project": rig.project, "firewall_resource": rule})
    rig.control("compute.flow", {"zone": compute.ZONE, "instance": "bot"})
    action, step = _laid(rig, instances=[name], service_accounts=[bot])

    close(action, step.target)

    assert not compute.goes_on(rig, "vm:bot")


def test_a_second_interface_in_another_network_gets_its_own_rule_also_one_that_comes_later(rig: Rig) -> None:
    """One rule a network and family of addresses, by where the instances are when it runs."""
    for one in ("default", "side", "late"):
        compute.network(rig, one)
    bot = rig.account("bot")
    faces = [
        {"network": "default", "alias_ip_ranges": [{"ip_cidr_range": "10.8.0.0/24"}]},
        {"network": "side", "stack_type": "IPV4_IPV6"},
    ]
    name = compute.machine(rig, "bot", bot, network_interfaces=faces)
    action, step = _laid(rig, instances=[name], service_accounts=[bot])
    compute.do(rig, "delete", name)
    compute.machine(rig, "bot", bot, network_interfaces=[*faces, {"network": "late"}])
    flow = {"zone": compute.ZONE, "instance": "bot"}
    for face in ("nic0", "nic1", "nic2"):
        rig.control("compute.flow", {**flow, "interface": face})
    rig.control("compute.flow", {**flow, "interface": "nic1", "destination": "2001:db8::7"})

    close(action, step.target)

    found = sorted((one.network.rpartition("/")[2], *one.destination_ranges) for one in _rules(rig).values())
    assert found == [
        ("default", "0.0.0.0/0"),
        ("late", "0.0.0.0/0"),
        ("side", "0.0.0.0/0"),
        ("side", "::/0"),
    ]
    assert not compute.goes_on(rig, "vm:bot")


def test_where_others_have_the_account_the_instance_is_tagged_and_they_are_spared(rig: Rig) -> None:
    """An agent that takes the tag away finds it put back; the restore takes it away and nothing else."""
    compute.network(rig)
    shared = rig.account("shared")
    name = compute.machine(rig, "bot", shared, tags={"items": ["web"]})
    compute.machine(rig, "innocent", shared)
    for one in ("bot", "innocent"):
        rig.control("compute.flow", {"zone": compute.ZONE, "instance": one})
    before = rig.control("state")["compute_instances"]
    action, step = _laid(rig, instances=[name], service_accounts=[shared])
    prior, _ = close(action, step.target)
    assert not compute.goes_on(rig, "vm:bot")
    assert compute.goes_on(rig, "vm:innocent")
    asked = {"project": rig.project, "zone": compute.ZONE, "instance": "bot"}
    tags = rig.admin.call("instances", "get", asked).tags
    compute.do(rig, "set_tags", name, tags_resource={"items": ["web"], "fingerprint": tags.fingerprint})
    assert _verdict(action, step) is Verdict.NOT_CONTAINED

    close(action, step.target)

    assert not compute.goes_on(rig, "vm:bot")
    assert Outcome.DRIFTED not in undo(action, step.target, prior).objects.values()
    assert rig.control("state")["compute_instances"] == before
    assert _rules(rig) == {}


def test_a_hierarchical_policy_that_lets_out_first_is_an_open_door(rig: Rig) -> None:
    """Rules of the network are never met by what it lets through: the step is not contained."""
    compute.network(rig)
    bot = rig.account("bot")
    name = compute.machine(rig, "bot", bot)
    allow = {
        "priority": 10,
        "direction": "EGRESS",
        "action": "allow",
        "match": {"dest_ip_ranges": ["198.51.100.0/24"], "layer4_configs": [{"ip_protocol": "all"}]},
    }
    rig.control("compute.policy", {"type": "HIERARCHY", "name": "org-base", "rules": [allow]})
    rig.control("compute.flow", {"zone": compute.ZONE, "instance": "bot"})
    action, step = _laid(rig, instances=[name], service_accounts=[bot])

    action.apply(step.target, action.observe(step.target), "token")
    told = action.judge(step.target, action.observe(step.target))

    assert told.verdict is Verdict.NOT_CONTAINED
    assert "org-base rule 10 lets traffic out to 198.51.100.0/24" in told.reason
    assert compute.goes_on(rig, "vm:bot")
    assert step.moot_by == (f"suspend_instance:{name}",)


def test_a_zone_that_does_not_answer_is_said(rig: Rig) -> None:
    """Whether somebody there has the same account is not known."""
    compute.network(rig)
    name = compute.machine(rig, "bot", rig.account("bot"))
    rig.control("compute.down", {"zones": ["europe-west1-c"]})

    found = rig.provider(instances=[name]).discover()

    assert any("europe-west1-c" in one for one in found.incomplete)
