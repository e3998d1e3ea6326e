"""Label selectors mean what the API server means by them."""

from __future__ import annotations

import random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakglass_kubernetes.sandbox.process import ApiError
from breakglass_kubernetes.selector import Selector
from providers.kubernetes.tests.rig_k8s import Rig

KEYS = ("app", "tier", "in", "notin", "example.com/role", "a.b_c-d")
VALUES = ("bot", "web", "", "in", "1", "A.b_c-d")
labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))


@given(labels, st.sampled_from(KEYS), st.sampled_from(VALUES))
def test_equal_and_not_equal_are_opposites(held: dict[str, str], key: str, value: str) -> None:
    """An absent key is not equal to any value."""
    equal, unequal = Selector.parse(f"{key}={value}"), Selector.parse(f"{key} != {value}")
    assert equal.matches(held) is (held.get(key) == value)
    assert unequal.matches(held) is not equal.matches(held)
    assert Selector.parse(f"{key}=={value}") == equal


@given(labels, st.sampled_from(KEYS), st.lists(st.sampled_from(VALUES), min_size=1))
def test_in_and_notin_are_opposites(held: dict[str, str], key: str, values: list[str]) -> None:
    """An absent key is in no set."""
    listed = ",".join(values)
    inside, outside = Selector.parse(f"{key} in ({listed})"), Selector.parse(f"{key} notin ( {listed} )")
    assert inside.matches(held) is (held.get(key) in values)
    assert outside.matches(held) is not inside.matches(held)


@given(labels, st.sampled_from(KEYS))
def test_presence_and_absence_are_opposites(held: dict[str, str], key: str) -> None:
    """The value does not matter."""
    assert Selector.parse(key).matches(held) is (key in held)
    assert Selector.parse(f"!{key}").matches(held) is (key not in held)


@given(labels, st.lists(st.sampled_from(("app=bot", "tier!=web", "!in", "app in (bot,web)")), min_size=1))
def test_all_parts_must_hold(held: dict[str, str], parts: list[str]) -> None:
    """A comma means and."""
    together = Selector.parse(" , ".join(parts))
    assert together.matches(held) is all(Selector.parse(one).matches(held) for one in parts)


@given(labels)
def test_an_empty_selector_selects_nothing(held: dict[str, str]) -> None:
    """The server would select everything: here a slip must not make a whole cluster the agent's."""
    assert not Selector.parse("").matches(held)
    assert not Selector.parse("  ").matches(held)


@given(st.text(max_size=30))
def test_whatever_is_written_it_parses_or_is_refused_in_words(text: str) -> None:
    """No other error comes out, and nothing takes long."""
    try:
        Selector.parse(text)
    except ValueError as error:
        assert "label selector" in str(error)  # noqa: PT017 - the other way out is fine, too


@pytest.mark.parametrize(
    "text",
    ["app=", "app in ()", "app in (bot", "app=bot,", "=bot", "a b", "app=bot tier=web", "app>1", "-a=b"],
)
def test_what_the_server_refuses_is_not_taken(rig: Rig, text: str) -> None:
    """Where the server takes it and this parser does not, a person sees it when the kit is checked."""
    try:
        Selector.parse(text)
    except ValueError:
        return
    rig.plane.call("GET", _path(rig, text))


def test_random_selectors_select_what_the_server_selects(rig: Rig) -> None:
    """One listing a selector, of objects with random labels."""
    chance = random.Random(20261121)
    held = {
        f"one-{n}": {key: chance.choice(VALUES) for key in chance.sample(KEYS, chance.randint(0, 4))}
        for n in range(40)
    }
    for name, found in held.items():
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": found}}
        rig.plane.call("POST", f"/api/v1/namespaces/{rig.namespace}/configmaps", body)
    refused = 0
    for _ in range(150):
        text = ",".join(_requirement(chance) for _ in range(chance.randint(1, 3)))
        selector = Selector.parse(text)
        try:
            listed = rig.plane.call("GET", _path(rig, text))["items"]
        except ApiError:
            refused += 1
            continue
        theirs = {one["metadata"]["name"] for one in listed} - {"kube-root-ca.crt"}
        assert theirs == {name for name, found in held.items() if selector.matches(found)}, text
    assert refused == 0


def _requirement(chance: random.Random) -> str:
    key, value, space = chance.choice(KEYS), chance.choice(VALUES), " " * chance.randint(0, 2)
    some = ",".join(chance.choices(VALUES, k=chance.randint(1, 3)))
    return chance.choice(
        (
            f"{key}{space}={space}{value}",
            f"{key}{space}=={space}{value}",
            f"{key}{space}!={space}{value}",
            f"{key} {space}in {space}({some})",
            f"{key} notin ({space}{some}{space})",
            key,
            f"!{space}{key}",
        )
    )


def _path(rig: Rig, text: str) -> str:
    return f"/api/v1/namespaces/{rig.namespace}/configmaps?labelSelector={quote(text, safe='')}"
