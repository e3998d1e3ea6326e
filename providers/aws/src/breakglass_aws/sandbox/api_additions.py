"""What moto lacks of API Gateway: removing a stage's limits, and changing the stage of an HTTP API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.call import Call, Handler, Refusal

_NAMES = {
    "DefaultRouteSettings": "default_route_settings",
    "RouteSettings": "route_settings",
    "StageVariables": "stage_variables",
    "Description": "description",
    "AutoDeploy": "auto_deploy",
}


def update_rest_stage(call: Call) -> Mapping[str, Any]:
    """Change a stage of a REST API; a removed ``/PATH/METHOD`` loses its settings."""
    from moto.apigateway.models import apigateway_backends

    api, name = str(call.params["restApiId"]), str(call.params["stageName"])
    apis = apigateway_backends[call.account][call.region].apis
    stage = apis[api].stages.get(name) if api in apis else None
    if stage is None:
        raise Refusal("NotFoundException", "Invalid stage identifier specified", 404)
    patch = list(call.params.get("patchOperations") or ())
    kept = []
    for one in patch:
        key = one["path"].removeprefix("/")
        if one["op"] == "remove" and key in stage.method_settings:
            del stage.method_settings[key]
        else:
            kept.append(one)
    stage.apply_operations(kept)
    told: Mapping[str, Any] = stage.to_json()
    return told


def update_http_stage(call: Call) -> Mapping[str, Any]:
    """Change a stage of an HTTP or WebSocket API: what is given replaces what was."""
    from moto.apigatewayv2.models import apigatewayv2_backends

    api, name = str(call.params["ApiId"]), str(call.params["StageName"])
    apis = apigatewayv2_backends[call.account][call.region].apis
    stage = apis[api].stages.get(name) if api in apis else None
    if stage is None:
        raise Refusal("NotFoundException", "Invalid stage identifier specified", 404)
    for given, held in _NAMES.items():
        if given in call.params:
            value = call.params[given]
            setattr(
                stage,
                held,
                _spelt(value, deep=given == "RouteSettings") if given.endswith("Settings") else value,
            )
    return {"StageName": name, **{given: call.params[given] for given in _NAMES if given in call.params}}


def _spelt(settings: Mapping[str, Any], *, deep: bool) -> dict[str, Any]:
    """Return settings in the spelling of the wire, as moto keeps them."""
    if deep:
        return {route: _spelt(one, deep=False) for route, one in settings.items()}
    return {f"{key[0].lower()}{key[1:]}": value for key, value in settings.items()}


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("apigateway", "UpdateStage"): update_rest_stage,
    ("apigatewayv2", "UpdateStage"): update_http_stage,
}
RESETS: tuple[Callable[[], None], ...] = ()
STATES: Mapping[str, Callable[[], Any]] = {}
