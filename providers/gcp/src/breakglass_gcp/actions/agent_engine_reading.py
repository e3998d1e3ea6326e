"""Reads engines of Agent Engine over REST: there is no stop, only their parts can be closed one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.clock import Clock
from breakglass.errors import Gone, ProviderError, Transient
from breakglass.model.resource import Resource
from breakglass_gcp.messages import field, text
from breakglass_gcp.project import Project

SERVICE = "aiplatform"
OPERATION_S = 8.0
_POLL_S = 0.1
_LONGEST_POLL_S = 1.0


def path_of(project: Project, entry: str) -> str:
    """Return the resource name of LOCATION/ID."""
    location, _, engine = entry.partition("/")
    return f"{project.name}/locations/{location}/reasoningEngines/{engine}"


def engine_of(resource: Resource) -> str:
    """Return the resource name that a target carries."""
    return str(resource.params["engine"])


def place(resource: Resource) -> str:
    """Return the region of a target."""
    return str(resource.params["location"])


def read_engine(project: Project, name: str, location: str) -> dict[str, Any]:
    """Return an engine. Raises Gone: there is none."""
    return project.rest(SERVICE, "GET", f"v1/{name}", location=location)


def is_another(resource: Resource, engine: Mapping[str, Any]) -> bool:
    """Return whether an engine was made after the one that was signed; ids are Google's, so that is rare."""
    signed = resource.params.get("created")
    return bool(signed) and text(dict(engine), "createTime") not in ("", signed)


def least_instances(engine: Mapping[str, Any]) -> Json:
    """Return minInstances as it is set; None: it is not, and then it is 1 (ReasoningEngineSpec)."""
    found = field(dict(engine), "spec", "deploymentSpec", "minInstances")
    return int(found) if isinstance(found, int | float | str) else None


def wait_for(project: Project, begun: Mapping[str, Any], location: str, wait_s: float = OPERATION_S) -> bool:
    """Wait for a long-running operation; return whether it is done, else it goes on.

    Raises:
        ProviderError: it failed.
    """
    clock: Clock = project.connection.clock
    end_s, pause_s, told = clock.monotonic_s() + wait_s, _POLL_S, dict(begun)
    while told.get("done") is not True:
        if clock.monotonic_s() + pause_s > end_s:
            return False
        clock.sleep(pause_s)
        pause_s = min(_LONGEST_POLL_S, pause_s * 1.5)
        try:
            told = project.rest(SERVICE, "GET", f"v1/{begun.get('name')}", location=location)
        except (Transient, Gone):
            continue
        except ProviderError:
            return False  # it goes on whether or not it may be looked at: what is read back counts
    if isinstance(told.get("error"), Mapping):
        raise ProviderError(f"failed: {text(told, 'error', 'message')}"[:300], where=str(begun.get("name")))
    return True
