"""Reads and writes the limits of an API Gateway stage: its own, and those of a method or route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass_aws.account import Account

Limits = dict[str, Mapping[str, Json] | None]
"""Method or route -> ``{"rate": text, "burst": text}``; None where it has no limit of its own."""
REST_DEFAULT = "*/*"
HTTP_DEFAULT = "$stage"
"""Our name for the stage's own limits; the routes that begin so are $default, $connect and $disconnect."""
_PATHS = {"rate": "throttling/rateLimit", "burst": "throttling/burstLimit"}


def is_nothing(limit: object) -> bool:
    """Return whether a limit lets no request through."""
    if not isinstance(limit, Mapping):
        return False
    try:
        return float(str(limit["rate"])) == 0 and float(str(limit["burst"])) == 0
    except (KeyError, ValueError):
        return False


def read_rest(account: Account, api: str, stage: str) -> Limits:
    """Return the limits of a stage of a REST API."""
    read = account.call("apigateway", "get_stage", restApiId=api, stageName=stage)
    found: Limits = {REST_DEFAULT: None}
    for key, one in (read.get("methodSettings") or {}).items():
        # Settings that are there without a limit have -1, which is none (API Gateway API reference, Stage).
        found[key] = _limit(one.get("throttlingRateLimit", -1), one.get("throttlingBurstLimit", -1))
    return found


def put_rest(account: Account, api: str, stage: str, limits: Limits) -> None:
    """Write limits; one that was absent is removed (API Gateway API reference, "Patch operations")."""
    patch: list[dict[str, str]] = []
    for key, limit in limits.items():
        if limit is None:
            patch.append({"op": "remove", "path": f"/{_pointer(key)}"})
            continue
        patch += [
            {"op": "replace", "path": f"/{_pointer(key)}/{_PATHS[name]}", "value": str(limit[name])}
            for name in _PATHS
        ]
    account.call("apigateway", "update_stage", restApiId=api, stageName=stage, patchOperations=patch)


def read_http(account: Account, api: str, stage: str) -> Limits:
    """Return the limits of a stage of an HTTP or WebSocket API."""
    read = account.call("apigatewayv2", "get_stage", ApiId=api, StageName=stage)
    settings = {HTTP_DEFAULT: read.get("DefaultRouteSettings") or {}, **(read.get("RouteSettings") or {})}
    return {
        key: _limit(one.get("ThrottlingRateLimit"), one.get("ThrottlingBurstLimit"))
        for key, one in settings.items()
    }


def put_http(account: Account, api: str, stage: str, limits: Limits) -> None:
    """Write limits; what else a stage or route has set is resent as it is."""
    read = account.call("apigatewayv2", "get_stage", ApiId=api, StageName=stage)
    routes = dict(read.get("RouteSettings") or {})
    default = dict(read.get("DefaultRouteSettings") or {})
    for key, limit in limits.items():
        if key == HTTP_DEFAULT:
            default = _limited(default, limit)
        elif key in routes:
            routes[key] = _limited(routes[key], limit)
    changed: dict[str, Any] = {"RouteSettings": routes} if routes else {}
    account.call(
        "apigatewayv2", "update_stage", ApiId=api, StageName=stage, DefaultRouteSettings=default, **changed
    )


def _limit(rate: object, burst: object) -> Mapping[str, Json] | None:
    """Return a limit as text; None where neither is set."""
    if rate is None and burst is None:
        return None
    return {"rate": "-1" if rate is None else f"{rate}", "burst": "-1" if burst is None else f"{burst}"}


def _limited(settings: Mapping[str, Any], limit: Mapping[str, Json] | None) -> dict[str, Any]:
    rest = {
        key: value
        for key, value in settings.items()
        if key not in {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    }
    if limit is None:
        return rest
    if float(str(limit["rate"])) >= 0:
        rest["ThrottlingRateLimit"] = float(str(limit["rate"]))
    if float(str(limit["burst"])) >= 0:
        rest["ThrottlingBurstLimit"] = int(float(str(limit["burst"])))
    return rest


def _pointer(key: str) -> str:
    """Return ``path/METHOD`` as a JSON pointer: a slash inside of the path is ``~1`` (RFC 6901)."""
    path, _, method = key.rpartition("/")
    return f"{path.replace('/', '~1')}/{method}"
