"""A class deny stands for grants that nobody looked at only if it denies what matters."""

from __future__ import annotations

import pytest

from breakglass_gcp.actions.deny_baseline import BASELINE, not_denied
from breakglass_gcp.actions.deny_rules import Rule


def rules(*denied: str) -> tuple[Rule, ...]:
    """Return one armed rule that denies these permissions."""
    return (Rule({"deny_rule": {"denied_permissions": list(denied)}}, 0),)


def test_a_policy_that_denies_the_baseline_lacks_nothing() -> None:
    """Over several rules, too."""
    assert not_denied(rules(*BASELINE)) == ()
    assert not_denied((*rules(*BASELINE[:3]), *rules(*BASELINE[3:]))) == ()


@pytest.mark.parametrize("missing", BASELINE)
def test_each_permission_that_is_missing_is_named(missing: str) -> None:
    """Who has a role on the folder goes on with whatever the policy forgets."""
    assert not_denied(rules(*(one for one in BASELINE if one != missing))) == (missing,)


def test_a_kind_as_a_whole_counts_and_a_similar_name_does_not() -> None:
    """The permission group of objects covers both permissions of them."""
    others = [one for one in BASELINE if "objects" not in one]

    assert not_denied(rules(*others, "storage.googleapis.com/objects.*")) == ()
    assert not_denied(rules(*others, "storage.googleapis.com/objects.createX")) != ()


def test_what_a_rule_excepts_is_not_denied() -> None:
    """`exception_permissions` take away from what it denies."""
    one = Rule(
        {"deny_rule": {"denied_permissions": list(BASELINE), "exception_permissions": [BASELINE[0]]}}, 0
    )

    assert not_denied((one,)) == (BASELINE[0],)
