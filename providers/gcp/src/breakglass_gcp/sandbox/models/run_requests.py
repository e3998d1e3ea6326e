"""Requests to Cloud Run services: who is let in, and which revision serves.

Cloud Run documentation, "Restrict network ingress", "Allow public access", "Disable the default URL",
google/cloud/run/v2/service.proto: ``ingress``, ``invoker_iam_disabled``, ``default_uri_disabled``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import authorise, roles, tokens
from breakglass_gcp.sandbox.call import Caller, Refusal
from breakglass_gcp.sandbox.delivery import Delivery, serve
from breakglass_gcp.sandbox.models import run, run_desired, run_instances
from breakglass_gcp.sandbox.models.run_workload import caller_named

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

INVOKE = "run.routes.invoke"
OK = 200
SOURCES = ("internet", "internal", "load_balancer")


def request(  # noqa: PLR0913 - a request's parts
    world: World,
    name: str,
    caller: Caller | None,
    *,
    tag: str = "",
    source: str = "internet",
    default_uri: bool = True,
    lasts_s: float = 0.1,
) -> tuple[int, str]:
    """Send a request to a service; return the HTTP status and, when it is served, the request's id."""
    service = world.table(run.IN_FORCE).get(name)
    if service is None or not _enters(service, source) or (default_uri and service.default_uri_disabled):
        return 404, ""
    if not service.invoker_iam_disabled and not _may(world, caller, name):
        return 403, ""
    split, tagged = run_instances.targets(service)
    if tag and tag not in tagged:
        return 404, ""
    for revision in [tagged[tag]] if tag else sorted(split, key=lambda one: -split[one]):
        if served := run_instances.serve(world, service, revision, lasts_s):
            return OK, served
    return 503, ""


@serve
def delivered(world: World, one: Delivery) -> bool | None:
    """Answer the URLs of services and of their tags.

    Pub/Sub, Scheduler, Tasks and Eventarc count as internal (Cloud Run documentation, "Restrict network
    ingress").
    """
    host = one.url.partition("://")[2].partition("/")[0]
    tag, mark, rest = host.partition("---")
    wanted = f"https://{rest if mark else host}"
    caller = caller_named(world, one.account) if one.account else None
    for name, service in world.table(run.SERVICES).items():
        if service.uri == wanted:
            told = request(world, name, caller, tag=tag if mark else "", source="internal")
            return told[0] == OK
    return None


def _enters(service: Any, source: str) -> bool:  # noqa: ANN401 - Service
    from google.cloud import run_v2

    kind = run_v2.IngressTraffic
    allowed = {
        kind.INGRESS_TRAFFIC_ALL: SOURCES,
        kind.INGRESS_TRAFFIC_INTERNAL_ONLY: ("internal",),
        kind.INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER: ("internal", "load_balancer"),
    }
    return source in allowed.get(service.ingress, ())


def _may(world: World, caller: Caller | None, name: str) -> bool:
    if caller is not None:
        return authorise.allowed(world, caller, INVOKE, name)
    return any(
        "allUsers" in binding.members and roles.holds(world, binding.role, INVOKE)
        for above in authorise.above(world, name)
        for binding in getattr(world.config.seen(("policy", above)), "bindings", ())
    )


def _request(world: World, asked: Mapping[str, Any]) -> object:
    """Control verb: ``service`` LOCATION/NAME, ``token`` or nobody, ``tag``, ``source``, ``lasts_s``."""
    caller = None
    if asked.get("token"):
        try:
            caller = tokens.caller_of(world, f"Bearer {asked['token']}")
        except Refusal as refusal:
            return {"status": 401, "accepted": False, "why": str(refusal), "request": ""}
    status, served = request(
        world,
        run_desired.full(asked, "services", "service"),
        caller,
        tag=str(asked.get("tag") or ""),
        source=str(asked.get("source") or "internet"),
        default_uri=bool(asked.get("default_uri", True)),
        lasts_s=float(asked.get("lasts_s") or 0.1),
    )
    return {"status": status, "accepted": bool(served), "request": served}


CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"run.request": _request}
