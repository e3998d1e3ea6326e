"""A wrong entry of the inventory is refused in words, each slip with a line of its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakglass_kubernetes.inventory import SETTINGS
from breakglass_kubernetes.settings import NOBODYS, complaints

UID = "6f0c2f0e-1111-4222-8333-123456789abc"
GOOD: dict[str, Any] = {
    "server": "https://prod-eu.example.com:6443",
    "cluster_uid": UID,
    "namespace": "support-bot",
    "selector": "app=support-bot",
}


def said(**changes: Any) -> list[str]:  # noqa: ANN401 - whatever a file may hold
    """Return the complaints about a good entry with these changes; None takes a key away."""
    entry = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return list(complaints(entry))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"server": "https://10.0.0.1/k8s/clusters/c-1/"},
        {"ca_sha256": "0" * 64},
        {"selector": None, "own_namespace": True},
        {"namespace": None, "selector": None, "users": ["jane@example.com"]},
        {"namespace": None, "selector": None, "workloads": ["deployments.apps/prod/bot", "pods/prod/bare-1"]},
        {"service_accounts": ["prod/bot"], "accept_blast_radius": ["prod/bot"]},
        {"webhooks": ["validating/a.example.com", "mutating/b"], "api_services": ["v1.bot.example.com"]},
        {"deployers": ["argocd:argocd/bot", "flux:flux-system/bot"]},
        {"groups": ["system:serviceaccounts:support-bot"]},
        {"server": "https://127.0.0.1:6443", "sandbox": True},
    ],
)
def test_a_good_entry_has_no_complaints(changes: dict[str, Any]) -> None:
    """Nothing that a real inventory needs is refused."""
    assert said(**changes) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"server": None}, "server is not https"),
        ({"server": "http://prod.example.com"}, "server is not https"),
        ({"server": "https://user:pass@prod.example.com"}, "server is not https"),
        ({"server": "https://prod.example.com?x=1"}, "server is not https"),
        ({"server": "https://[::1"}, "server is not https"),
        ({"server": "https://prod.example.com#x"}, "server is not https"),
        ({"server": "https://prod.example.com:port"}, "server is not https"),
        ({"server": "https://prod.example.com/\x1b[2J"}, "server is not https"),
        ({"sandbox": True}, "on loopback alone"),
        ({"server": "https://127.0.0.1.example.com", "sandbox": True}, "on loopback alone"),
        ({"cluster_uid": None}, "cluster_uid is not"),
        ({"cluster_uid": UID.upper()}, "cluster_uid is not"),
        ({"cluster_uid": f"{UID}\n"}, "cluster_uid is not"),
        ({"ca_sha256": "SHA256:abc"}, "ca_sha256 is not"),
        ({"kubeconfig": "/k", "credential": "c"}, "name one of them"),
        ({"namespace": "Support_Bot"}, "no name of a namespace"),
        ({"namespace": "a" * 64}, "no name of a namespace"),
        ({"namespaces": ["bot", "bot/../kube-system"]}, "no name of a namespace"),
        ({"selector": "app=="}, ""),
        ({"selector": "app in ("}, "selector:"),
        ({"selector": "app=bot;tier=web"}, "selector:"),
        ({"namespace": None}, "selector has a meaning with a namespace alone"),
        ({"selector": None}, "a namespace without a selector"),
        ({"selector": "  "}, "a namespace without a selector"),
        ({"namespace": "kube-system", "own_namespace": True}, "nobody's alone"),
        ({"namespace": None, "selector": None, "own_namespace": True}, "own_namespace has a meaning"),
        ({"namespace": None, "selector": None}, "nothing of the agent's is named"),
        ({"service_accounts": ["bot"]}, "is not NAMESPACE/NAME"),
        ({"service_accounts": ["system:serviceaccount:prod:bot"]}, "is not NAMESPACE/NAME"),
        ({"agent_tokens": {"bot": "secret"}}, "is not NAMESPACE/NAME"),
        ({"accept_blast_radius": ["*/default"]}, "is not NAMESPACE/NAME"),
        ({"workloads": ["Deployment/prod/bot"]}, "workloads:"),
        ({"workloads": ["deployments.apps/bot"]}, "workloads:"),
        ({"workloads": ["deployments.apps/prod/bot/scale"]}, "workloads:"),
        ({"webhooks": ["bot"]}, "webhooks:"),
        ({"webhooks": ["validating/Bot"]}, "webhooks:"),
        ({"deployers": ["argo:argocd/bot"]}, "deployers:"),
        ({"deployers": ["argocd:bot"]}, "deployers:"),
        ({"users": [""]}, "users:"),
        ({"users": ["bot\u202e"]}, "users:"),
        ({"field_managers": ["a\nb"]}, "field_managers:"),
        ({"users": ["system:admin"]}, "the cluster's own"),
        ({"users": ["system:serviceaccount:prod:bot"]}, "service_accounts"),
        ({"groups": ["system:masters"]}, "the cluster's own"),
        ({"groups": ["system:authenticated"]}, "the cluster's own"),
        ({"groups": ["system:serviceaccounts:kube-system"]}, "the cluster's own"),
        ({"field_managers": ["kube-controller-manager"]}, "the cluster's own"),
        ({"break_glass_group": "system:serviceaccounts"}, "break_glass_group"),
        ({"break_glass_group": "system:authenticated"}, "break_glass_group"),
        ({"audit_log": "audit.log"}, "audit_log"),
        ({"api_services": ["bot"]}, "api_services:"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_reason(changes: dict[str, Any], words: str) -> None:
    """What is wrong, and in which key."""
    found = said(**changes)
    assert found if words else True
    assert any(words in one for one in found) or not words


@pytest.mark.parametrize("name", sorted(NOBODYS))
def test_a_namespace_of_the_clusters_own_is_never_one_agents(name: str) -> None:
    """Everything in kube-system would be stopped."""
    assert any("nobody's alone" in one for one in said(namespace=name, selector=None, own_namespace=True))


def test_each_slip_has_a_line_of_its_own() -> None:
    """An operator mends all of them at once."""
    found = said(server="http://x", cluster_uid="?", namespaces=["A", "B"], webhooks=["x"])
    assert len(found) == 5
    assert all("\n" not in one for one in found)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([one.name for one in SETTINGS]), junk))
def test_whatever_a_file_holds_it_is_told_in_single_lines(entry: dict[str, Any]) -> None:
    """No entry makes the check fail, and what is in it cannot draw on a screen."""
    for one in complaints(entry):
        assert one.isprintable()
