"""What the tests of restricted services share: policies as somebody sets them, and the agent's calls."""

from __future__ import annotations

from typing import Any

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.provider import Proposal
from breakglass_gcp.actions import restrict_services
from breakglass_gcp.connect import GcpProvider
from breakglass_gcp.refusals import reason_of
from providers.gcp.tests.rig_gcp import LOCATION, Rig

ACTION = restrict_services.SPEC.name
MODELS = "aiplatform.googleapis.com"
SECRETS = "secretmanager.googleapis.com"
RESTRICTED = "RESOURCE_USAGE_RESTRICTION_VIOLATED"
"""google/api/error_reason.proto: an organisation policy denies the service to the project."""
ACCEPTED: dict[str, Json] = {
    "class_services": [MODELS],
    "accept_blast_radius": [f"service:{MODELS}"],
    "locations": [],
}


def place(rig: Rig) -> str:
    """Return the path of the project's own policy."""
    return f"v2/projects/{rig.project}/policies/gcp.restrictServiceUsage"


def policy(rig: Rig) -> Any:  # noqa: ANN401 - JSON
    """Return the project's own policy; None: there is none."""
    try:
        return rig.admin.rest("orgpolicy", "GET", place(rig))
    except ProviderError:
        return None


def set_policy(rig: Rig, spec: dict[str, Any], **more: Any) -> None:  # noqa: ANN401 - JSON
    """Set the project's own policy, as an administrator does without an etag."""
    body = {"name": place(rig).removeprefix("v2/"), "spec": spec, **more}
    if policy(rig) is None:
        rig.admin.rest("orgpolicy", "POST", f"v2/projects/{rig.project}/policies", body=body)
    else:
        rig.admin.rest("orgpolicy", "PATCH", place(rig), body=body)


def denied(*services: str, inherits: bool = True) -> dict[str, Any]:
    """Return a spec that denies these."""
    return {"inheritFromParent": inherits, "rules": [{"values": {"deniedValues": [*services]}}]}


def allowed(*services: str) -> dict[str, Any]:
    """Return a spec that allows these and nothing else."""
    return {"rules": [{"values": {"allowedValues": [*services]}}]}


def refused(rig: Rig, token: str) -> str:
    """Return what a call of Vertex AI with a token is refused with; empty: it is answered."""
    calls = rig.calls_as(token)
    path = f"v1/projects/{rig.project}/locations/{LOCATION}/reasoningEngines"
    try:
        calls.rest("aiplatform", "GET", path, location=LOCATION)
    except ProviderError as error:
        return error.what if reason_of(error) == RESTRICTED else f"another refusal: {error}"
    finally:
        calls.close()
    return ""


def steps(provider: GcpProvider) -> list[Proposal]:
    """Return the steps of this action."""
    return [one for one in provider.discover().proposals if one.action == ACTION]


def left(provider: GcpProvider, service: str = MODELS) -> str:
    """Return why a service is not denied, as the plan says it."""
    found = [one.reason for one in provider.discover().not_touched if one.resource == f"service {service}"]
    return " | ".join(found)
