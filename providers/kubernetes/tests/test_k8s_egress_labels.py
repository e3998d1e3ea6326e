"""Labels alone: whom a policy selects, whom it leaves out, and that no neighbour is ever hit; pure."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from breakglass_kubernetes import peers
from breakglass_kubernetes.actions.egress_wanted import wanted
from breakglass_kubernetes.actions.narrowing import is_narrowed, lets_through, narrow
from breakglass_kubernetes.kinds import PODS
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.peers import MARK, Peers
from breakglass_kubernetes.scope import Scope
from breakglass_kubernetes.selector import Requirement, Selector

MARKED = "0123456789abcdef"
BY_ACCOUNT = Scope("bot", accounts=("ns/bot",))
EVERYBODY: dict[str, Any] = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}


def pod(name: str, labels: Mapping[str, str]) -> Thing:
    """Return a pod."""
    about = {"name": name, "namespace": "ns", "uid": name, "labels": dict(labels)}
    return Thing(PODS, {"kind": "Pod", "metadata": about, "spec": {"containers": []}})


@pytest.mark.parametrize(
    ("narrower", "wider", "told"),
    [
        ("app=bot,tier=a", "app=bot", True),
        ("app=bot", "app=bot,tier=a", False),
        ("app in (a,b)", "app in (a,b,c)", True),
        ("app in (a,d)", "app in (a,b,c)", False),
        ("app=a", "app", True),
        ("app", "app=a", False),
        ("app=a", "app!=b", True),
        ("app notin (b,c)", "app!=b", True),
        ("app!=c", "app!=b", False),
        ("!app", "app!=b", True),
        ("!app", "!app", True),
        ("app!=b", "!app", False),
        ("app!=b", "app", False),
    ],
)
def test_a_selector_implies_another_only_where_that_is_plain(narrower: str, wider: str, told: bool) -> None:  # noqa: FBT001 - a row of the table
    """Never take a policy for the agent's alone that could select somebody else."""
    one, two = Selector.parse(narrower).requirements, Selector.parse(wider).requirements

    assert peers.implies(one, two) is told


def test_pods_that_share_nothing_but_what_their_neighbours_have_are_marked() -> None:
    """Write at most a few policies, and mark the rest."""
    mine = [pod(f"m{n}", {"app": "web", "n": str(n)}) for n in range(100)]
    others = [pod(f"o{n}", {"app": "web", "n": str(n + 84)}) for n in range(100)]

    found = wanted(BY_ACCOUNT, MARKED, Peers.of(mine, others))

    assert len(found.policies) == 17
    assert len(found.unmarked) == 84


def test_pods_with_one_label_in_common_need_one_policy() -> None:
    """Choose the common label, so that the next pod is denied at birth."""
    mine = [pod(f"m{n}", {"app": "bot", "n": str(n)}) for n in range(100)]

    found = wanted(BY_ACCOUNT, MARKED, Peers.of(mine, [pod("o", {"app": "web"})]))

    assert [dict(one.selector) for one in found.policies] == [{"matchLabels": {"app": "bot"}}]
    assert found.unmarked == ()


def test_labels_of_one_revision_are_no_use_for_the_next() -> None:
    """Never select by a hash or a name that a new pod has not."""
    mine = [pod("m", {"app": "web", "pod-template-hash": "abc"})]

    found = wanted(BY_ACCOUNT, MARKED, Peers.of(mine, [pod("o", {"app": "web"})]))

    assert [thing.name for thing in found.unmarked] == ["m"]


@pytest.mark.parametrize("seed", range(40))
def test_whoever_the_agents_pods_are_they_are_denied_and_let_out_no_more_and_neighbours_are_not_hit(
    seed: int,
) -> None:
    """Hold it for labels at random: each pod of the agent's, each neighbour."""
    dice = random.Random(seed)

    def some() -> dict[str, str]:
        return {key: dice.choice("xyz") for key in "abc" if dice.random() < 0.7}

    mine, others = [some() for _ in range(dice.randint(1, 6))], [some() for _ in range(dice.randint(0, 6))]
    found = Peers.of(
        [pod(f"m{n}", one) for n, one in enumerate(mine)], [pod(f"o{n}", one) for n, one in enumerate(others)]
    )
    denials = wanted(BY_ACCOUNT, MARKED, found)
    unmarked = {thing.name for thing in denials.unmarked}
    marked = [{**one, MARK: MARKED} if f"m{n}" in unmarked else one for n, one in enumerate(mine)]
    assert all(any(peers.selects(p.selector, one) for p in denials.policies) for one in marked)
    assert not any(peers.selects(p.selector, one) for p in denials.policies for one in others)

    rule = [[Requirement(MARK, frozenset({MARKED}), wanted=True)]]
    spec = narrow(EVERYBODY, rule, mine, others, MARKED)
    left_out = [{**one, MARK: MARKED} if n in spec.unmarked else one for n, one in enumerate(mine)]
    assert not any(peers.selects(spec.spec["podSelector"], one) for one in left_out)
    assert all(peers.selects(spec.spec["podSelector"], one) for one in others)
    assert is_narrowed(EVERYBODY, spec.spec)


@pytest.mark.parametrize(
    ("spec", "through"),
    [
        ({}, False),
        ({"egress": [{}]}, True),
        ({"ingress": [{}]}, True),
        ({"policyTypes": ["Ingress"], "egress": [{}]}, False),
        ({"policyTypes": ["Egress"], "egress": []}, False),
        ({"policyTypes": ["Egress"], "egress": [{"ports": [{"port": 53}]}]}, True),
        ({"policyTypes": ["Egress", "Ingress"], "egress": [], "ingress": [{}]}, True),
    ],
)
def test_what_a_policy_allows_is_read_as_the_server_reads_it(spec: dict[str, Any], through: bool) -> None:  # noqa: FBT001 - a row of the table
    """An absent list of types means ingress, and egress where it has rules for that."""
    assert lets_through(spec) is through
