"""API Gateway: a stage lets nothing through, its overrides included, and its limits come back."""

from __future__ import annotations

from typing import Any

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import api_gateway
from providers.aws.tests.rig_aws import Rig, close, proposal, undo


def _rest(rig: Rig) -> str:
    """Make a REST API with a stage `prod`."""
    gateway = rig.boto("apigateway")
    api = gateway.create_rest_api(name="agent")["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    gateway.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
    gateway.put_integration(restApiId=api, resourceId=root, httpMethod="GET", type="MOCK")
    gateway.create_deployment(restApiId=api, stageName="prod")
    return str(api)


def _settings(rig: Rig, api: str) -> Any:  # noqa: ANN401 - JSON
    return rig.boto("apigateway").get_stage(restApiId=api, stageName="prod").get("methodSettings")


def test_a_rest_stage_without_limits_has_none_again(rig: Rig) -> None:
    """What was absent is removed and not set to a default."""
    api = _rest(rig)
    before = _settings(rig, api)
    provider = rig.provider(apis=[f"rest:{api}/prod"])
    found = proposal(provider, api_gateway.THROTTLE.name)
    action = provider.actions[found.action]

    prior, state = close(action, found.target)

    assert state.objects == {"*/*": {"rate": "0.0", "burst": "0"}}
    assert undo(action, found.target, prior).objects == {"*/*": Outcome.RESTORED}
    assert _settings(rig, api) == before


def test_a_method_with_a_limit_of_its_own_is_closed_too(rig: Rig) -> None:
    """It beats the stage's limit; a path with a slash keeps its name."""
    api = _rest(rig)
    patch = [
        {"op": "replace", "path": "/*/*/throttling/rateLimit", "value": "12.5"},
        {"op": "replace", "path": "/~1orders/GET/throttling/rateLimit", "value": "7"},
        {"op": "replace", "path": "/~1orders/GET/logging/dataTrace", "value": "true"},
    ]
    rig.boto("apigateway").update_stage(restApiId=api, stageName="prod", patchOperations=patch)
    before = _settings(rig, api)
    provider = rig.provider(apis=[f"rest:{api}/prod"])
    found = proposal(provider, api_gateway.THROTTLE.name)
    action = provider.actions[found.action]

    prior, state = close(action, found.target)

    assert set(state.objects) == {"*/*", "~1orders/GET"}
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.RESTORED}
    assert _settings(rig, api) == before


def test_a_limit_that_is_raised_during_the_stop_is_closed_again_and_one_that_differs_later_is_left(
    rig: Rig,
) -> None:
    """Somebody fights back, then somebody else changes it for good."""
    api = _rest(rig)
    provider = rig.provider(apis=[f"rest:{api}/prod"])
    found = proposal(provider, api_gateway.THROTTLE.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    patch = [{"op": "replace", "path": "/*/*/throttling/rateLimit", "value": "5"}]
    rig.boto("apigateway").update_stage(restApiId=api, stageName="prod", patchOperations=patch)
    judged = action.judge(found.target, action.observe(found.target))
    close(action, found.target)
    rig.boto("apigateway").update_stage(restApiId=api, stageName="prod", patchOperations=patch)

    assert judged.verdict is Verdict.NOT_CONTAINED
    assert undo(action, found.target, prior).objects == {"*/*": Outcome.DRIFTED}


def test_an_http_stage_and_its_routes_are_throttled_and_come_back(rig: Rig) -> None:
    """What a route has set besides stays; the stage's own limit goes where there was none."""
    gateway = rig.boto("apigatewayv2")
    api = gateway.create_api(Name="agent", ProtocolType="HTTP")["ApiId"]
    gateway.create_stage(
        ApiId=api,
        StageName="prod",
        RouteSettings={"GET /orders": {"ThrottlingRateLimit": 2.5, "ThrottlingBurstLimit": 5}},
    )
    before = gateway.get_stage(ApiId=api, StageName="prod")
    provider = rig.provider(apis=[f"http:{api}/prod"])
    found = proposal(provider, api_gateway.THROTTLE.name)
    action = provider.actions[found.action]

    prior, state = close(action, found.target)

    assert set(state.objects) == {"$stage", "GET /orders"}
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.RESTORED}
    after = gateway.get_stage(ApiId=api, StageName="prod")
    assert after["RouteSettings"] == before["RouteSettings"]
    assert after["DefaultRouteSettings"] == before["DefaultRouteSettings"]


def test_a_key_is_disabled_and_enabled_again(rig: Rig) -> None:
    """Its value is never read; one that was disabled before stays so."""
    gateway = rig.boto("apigateway")
    on = gateway.create_api_key(name="on", enabled=True)["id"]
    off = gateway.create_api_key(name="off", enabled=False)["id"]
    provider = rig.provider(apis=[f"apikey:{on}", f"apikey:{off}"])
    steps = [one for one in provider.discover().proposals if one.action == api_gateway.DISABLE.name]
    action = provider.actions[api_gateway.DISABLE.name]

    priors = [close(action, one.target)[0] for one in steps]

    assert not gateway.get_api_key(apiKey=on)["enabled"]
    outcomes = [undo(action, one.target, prior).objects for one, prior in zip(steps, priors, strict=True)]
    assert outcomes == [{on: Outcome.RESTORED}, {off: Outcome.ALREADY}]
    assert gateway.get_api_key(apiKey=on)["enabled"]
    assert not gateway.get_api_key(apiKey=off)["enabled"]


def test_an_entry_that_is_no_api_or_is_not_there_is_said(rig: Rig) -> None:
    """Nothing is guessed."""
    provider = rig.provider(apis=["soap:x/y", "rest:gone/prod", "apikey:gone", "http:gone"])

    left = {one.resource for one in provider.discover().not_touched}

    assert {"API soap:x/y", "API rest:gone/prod", "API apikey:gone", "API http:gone"} <= left
