"""Surveys a project: everything that may carry the agent's label or use its accounts, service by service.

A service whose API is not enabled holds nothing (Service Usage documentation, "Enabling and disabling
services"; ErrorInfo reason SERVICE_DISABLED). A listing that fails, or a region that does not answer it, is
said: what lies there may be the agent's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from breakglass.errors import ProviderError
from breakglass_gcp.calls import Listing
from breakglass_gcp.discover.things import KINDS, Kind, Thing, engine, instances
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import SERVICE_DISABLED, reason_of

ENGINES = "aiplatform.reasoningEngines.list"
DISCOVERY: tuple[str, ...] = (
    "cloudfunctions.functions.get",
    "iam.roles.get",
    "iam.serviceAccounts.get",
    "iam.serviceAccounts.list",
    "compute.instances.list",
    "container.clusters.get",
    "logging.logEntries.list",
    "orgpolicy.policy.get",
    "resourcemanager.projects.getIamPolicy",
    ENGINES,
    *(kind.permission for kind in KINDS),
)
"""What planning reads beside what the actions observe."""
UNREACHABLE = "UNREACHABLE"
_NO_REGIONS = frozenset({"global", "us", "eu", "asia"})
_NO_HOST = ("NameResolutionError", "Name or service not known", "getaddrinfo")


@dataclass(slots=True)
class Survey:
    """What was seen, and what was not."""

    things: list[Thing] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)

    def note(
        self, what: str, listing: Callable[[], Listing], matters: Callable[[str], bool]
    ) -> Sequence[object]:
        """Return the items of a listing; of a service that is not enabled there are none."""
        try:
            found = listing()
        except ProviderError as error:
            # Also where a stop denied the service: what the agent made there since the plan goes on.
            if reason_of(error) != SERVICE_DISABLED:
                self.incomplete.append(f"{what}: {error.what}"[:500])
            return ()
        self.incomplete += [
            f"{what}: {one} did not answer"[:500] for one in found.unreachable if matters(one)
        ]
        return found.items


def survey(project: Project) -> Survey:
    """List everything in the regions of the reach; what fails is noted and the rest goes on."""
    seen = Survey()
    places = regions(project)
    for kind in KINDS:
        for place in places if kind.placed else ("",):
            seen.things += [kind.read(one) for one in _listed(project, seen, kind, place)]
    for scoped in _zones(project, seen, places):
        seen.things += instances(scoped)
    for place in places:
        seen.things += _engines(project, seen, place)
    return seen


def regions(project: Project) -> tuple[str, ...]:
    """Return the regions that are looked at."""
    return tuple(place for place in project.settings.locations if place not in _NO_REGIONS)


def _listed(project: Project, seen: Survey, kind: Kind, place: str) -> Sequence[object]:
    request = {"parent": f"{project.name}/locations/{place}"} if place else {"project": project.name}
    what = f"listing of {kind.words}s" + (f" in {place}" if place else "")
    return seen.note(what, lambda: project.every(kind.service, kind.method, request), lambda _: True)


def _zones(project: Project, seen: Survey, places: Sequence[str]) -> Sequence[object]:
    """Return (zone, instances) pairs; a zone of another region that is down hides nothing of the agent's."""
    request = {"project": project.id}

    def listing() -> Listing:
        found = project.every("instances", "aggregated_list", request)
        # Compute reference, instances.aggregatedList: a zone that did not answer has a warning of its own.
        silent = (str(zone) for zone, held in found.items if held.warning.code == UNREACHABLE)
        return Listing(found.items, (*found.unreachable, *silent))

    return seen.note(
        "listing of instances",
        listing,
        lambda zone: not places or any(place in zone for place in places),
    )


def _engines(project: Project, seen: Survey, place: str) -> Iterator[Thing]:
    path = f"v1/{project.name}/locations/{place}/reasoningEngines"

    def listing() -> Listing:
        try:
            return project.rest_pages("aiplatform", path, "reasoningEngines", location=place)
        except ProviderError as error:
            if any(one in str(error.__cause__) for one in _NO_HOST):
                return Listing(())  # this region has no Vertex AI
            raise

    for one in seen.note(f"listing of Agent Engines in {place}", listing, lambda _: True):
        yield engine(one)
