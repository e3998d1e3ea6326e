"""A function's public URL: only signed requests, and public again afterwards."""

from __future__ import annotations

from breakglass.provider import Outcome
from breakglass_aws.actions import lambda_url
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_triggers import NAME, agent_function, still

CORS = {"AllowOrigins": ["https://example.com"], "MaxAge": 60}


def test_a_public_url_takes_signed_requests_only_and_is_public_again(rig: Rig) -> None:
    """Host name and CORS stay."""
    agent_function(rig)
    client = rig.boto("lambda")
    client.create_function_url_config(FunctionName=NAME, AuthType="NONE", Cors=CORS)
    before = still(client.get_function_url_config(FunctionName=NAME))
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_url.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    assert client.get_function_url_config(FunctionName=NAME)["AuthType"] == "AWS_IAM"
    assert list(undo(action, found.target, prior).objects.values()) == [Outcome.RESTORED]
    assert still(client.get_function_url_config(FunctionName=NAME)) == before


def test_a_url_that_was_made_again_is_left_alone(rig: Rig) -> None:
    """It has another host name: it is not the one that was closed."""
    agent_function(rig)
    client = rig.boto("lambda")
    client.create_function_url_config(FunctionName=NAME, AuthType="NONE")
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_url.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    client.delete_function_url_config(FunctionName=NAME)
    client.create_function_url_config(FunctionName=NAME, AuthType="AWS_IAM")

    assert list(undo(action, found.target, prior).objects.values()) == [Outcome.DRIFTED]
    assert client.get_function_url_config(FunctionName=NAME)["AuthType"] == "AWS_IAM"


def test_a_url_that_wants_signed_requests_already_needs_no_step(rig: Rig) -> None:
    """Its callers are held by their own identities, and by the concurrency of 0."""
    agent_function(rig)
    rig.boto("lambda").create_function_url_config(FunctionName=NAME, AuthType="AWS_IAM")

    steps = {one.action for one in rig.provider(functions=[NAME]).discover().proposals}

    assert lambda_url.SPEC.name not in steps
