"""One object that cannot be changed, or is fought over, keeps no other of its step from being cut off."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.errors import ProviderError
from breakglass.model.resource import Resource
from breakglass.provider import Action
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests import test_gcp_hmac as hmac
from providers.gcp.tests import test_gcp_keys as keys
from providers.gcp.tests.rig_gcp import Rig, proposal

DENY, ADDRESS = "gcp.compute.deny_egress", "gcp.compute.remove_external_address"


def _step(rig: Rig, name: str, **settings: Any) -> tuple[Action, Resource]:  # noqa: ANN401 - keys of a reach
    provider = rig.provider(**settings)
    return provider.actions[name], proposal(provider, name).target


def _applied(rig: Rig, action: Action, target: Resource, **fault: Any) -> None:  # noqa: ANN401 - fields of a fault
    """Apply it once, with some of its calls refused; it says so at the end."""
    before = action.observe(target)
    rig.control("faults", {"faults": [fault]})
    with pytest.raises(ProviderError):
        action.apply(target, before, "token")
    rig.control("faults", {"faults": []})


def test_a_machine_that_takes_no_tag_keeps_no_rule_from_the_others(rig: Rig) -> None:
    """An instance has 64 tags at most, and the agent may have set them all."""
    compute.network(rig)
    shared = rig.account("shared")
    full = compute.machine(rig, "full", shared)
    compute.machine(rig, "innocent", shared)
    other = compute.machine(rig, "other", rig.account("bot"))
    action, target = _step(rig, DENY, instances=[full, other])

    _applied(rig, action, target, method="compute.instances.setTags", code="INVALID_ARGUMENT")

    there = rig.admin.every("firewalls", "list", {"project": rig.project}).items
    assert {bool(one.target_service_accounts) for one in there} == {True, False}


def test_a_machine_that_keeps_its_address_keeps_no_other_one_on(rig: Rig) -> None:
    """What is on its way to being off takes no change for a while."""
    compute.network(rig)
    held = compute.group(rig, "bots", rig.account("bot"), size=2)
    action, target = _step(rig, ADDRESS, instance_groups=[held])

    _applied(
        rig,
        action,
        target,
        method="compute.instances.deleteAccessConfig",
        code="INVALID_ARGUMENT",
        times=1,
    )

    assert len(action.observe(target).objects) == 1


def test_an_hmac_key_that_is_fought_over_keeps_no_other_active(rig: Rig) -> None:
    """Whoever writes it all the time has one key, and not all of them."""
    email = rig.account("bot")
    made = sorted(hmac.made(rig, email) for _ in range(3))
    action, target = _step(rig, hmac.ACTION, service_accounts=[email])

    _applied(rig, action, target, method="*hmacKeys.update", code="ABORTED", times=5)

    assert sum(hmac.works(rig, one) for one in made) == 1


def test_a_key_of_an_account_that_is_refused_keeps_no_other_enabled(rig: Rig) -> None:
    """Each is a credential of its own."""
    email = rig.account("bot")
    for _ in range(3):
        keys.made(rig, email)
    action, target = _step(rig, keys.ACTION, service_accounts=[email])

    _applied(rig, action, target, method="*DisableServiceAccountKey", code="PERMISSION_DENIED", times=1)

    found = [one for one in action.observe(target).objects.values() if one == {"disabled": False}]
    assert len(found) == 1
