"""What goes before the rules of a network, decided from the policies alone."""

from __future__ import annotations

from typing import Any

from google.cloud import compute_v1

from breakglass_gcp.actions import compute_rules as rules

BOT = "bot@p.iam.gserviceaccount.com"
ALL = {"dest_ip_ranges": ["0.0.0.0/0"], "layer4_configs": [{"ip_protocol": "all"}]}


def _rule(priority: int, action: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the API
    return {"priority": priority, "direction": "EGRESS", "action": action, "match": ALL, **more}


def _policy(kind: str, *held: dict[str, Any]) -> Any:  # noqa: ANN401 - Google's messages have no types here
    kind_of = compute_v1.NetworksGetEffectiveFirewallsResponseEffectiveFirewallPolicy
    return kind_of(type_=kind, name="p", rules=list(held))


def _ways(*policies: Any, order: str = "AFTER_CLASSIC_FIREWALL", family: str = "ipv4") -> list[str]:  # noqa: ANN401 - as above
    return rules.earlier_ways(policies, order, [BOT], family)


def test_a_denial_of_all_before_an_allowance_leaves_nothing_open() -> None:
    """The lowest number goes first."""
    assert _ways(_policy("HIERARCHY", _rule(2, "allow"), _rule(1, "deny"))) == []
    assert len(_ways(_policy("HIERARCHY", _rule(1, "allow"), _rule(2, "deny")))) == 1


def test_a_denial_of_some_does_not_end_it() -> None:
    """Only one that meets all instances, all protocols and all of the family's addresses."""
    tcp = {"dest_ip_ranges": ["0.0.0.0/0"], "layer4_configs": [{"ip_protocol": "tcp"}]}
    for narrow in (
        {"match": tcp},
        {"target_service_accounts": [BOT]},
        {"target_secure_tags": [{"name": "t"}]},
    ):
        assert len(_ways(_policy("HIERARCHY", _rule(1, "deny", **narrow), _rule(2, "allow")))) == 1
    assert len(_ways(_policy("HIERARCHY", _rule(1, "deny"), _rule(2, "allow")), family="ipv6")) == 1


def test_what_goes_on_to_the_next_policy_hides_the_rest_of_its_own_only() -> None:
    """goto_next ends one policy."""
    passing = _policy("HIERARCHY", _rule(1, "goto_next"), _rule(2, "allow"))

    assert _ways(passing) == []
    assert len(_ways(passing, _policy("SYSTEM", _rule(1, "allow")))) == 1


def test_policies_of_the_network_count_only_where_they_go_before_its_rules() -> None:
    """Otherwise they are met after ours, never."""
    policy = _policy("NETWORK", _rule(1, "allow"))

    assert _ways(policy) == []
    assert len(_ways(policy, order="BEFORE_CLASSIC_FIREWALL")) == 1


def test_what_is_off_comes_in_or_is_for_other_accounts_does_not_count() -> None:
    """Inspection counts as an allowance: it lets traffic on."""
    other = {"target_service_accounts": ["other@p.iam.gserviceaccount.com"]}
    for moot in ({"disabled": True}, {"direction": "INGRESS"}, other):
        assert _ways(_policy("HIERARCHY", _rule(1, "allow", **moot))) == []
    assert len(_ways(_policy("HIERARCHY", _rule(1, "apply_security_profile_group")))) == 1


def test_the_name_of_a_rule_tells_incidents_networks_and_families_apart() -> None:
    """It is a name that the API takes."""
    cuts = [rules.Cut(f"n{n}", family, rules.TAG) for n in range(3) for family in rules.RANGES]
    names = {cut.rule(rules.prefix(incident, "bot", "p")) for cut in cuts for incident in ("a", "b")}

    assert len(names) == 12
    assert all(len(name) <= 63 and name.startswith("breakglass-") for name in names)
