"""Cloud Functions: one of the 2nd generation is a Cloud Run service, and is stopped as one.

``service_config.service`` names the service (google/cloud/functions/v2/functions.proto). A deploy of the
function writes the service again, scaling and ingress too: it is then seen as not contained. One of the 1st
generation has no service that could be scaled or closed: the plan says that it stays open.
"""

from __future__ import annotations

from collections.abc import Callable

from breakglass.errors import Gone
from breakglass.model.action import ActionSpec, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Action, Notes, Proposed, ProposedDoor
from breakglass_gcp.actions import run_reading, run_services
from breakglass_gcp.found import Found
from breakglass_gcp.messages import as_json, text
from breakglass_gcp.project import Project

READS = ("cloudfunctions.functions.get",)
"""What proposing needs."""
FIRST = "GEN_1"


def propose(project: Project, found: Found) -> Proposed:
    """Propose to stop the service of each function, unless it is named as a service already."""
    notes, proposed = Notes(), Proposed()
    planned = set(found.of("run_services"))
    for named in found.of("functions"):
        proposed = proposed.plus(
            notes.attempt(lambda named=named: _of_function(project, named, planned), Proposed())  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        )
    return proposed.plus(Proposed(incomplete=tuple(notes.incomplete)))


def _of_function(project: Project, named: str, planned: set[str]) -> Proposed:
    name, shown = run_reading.full_name(project, "functions", named), f"Cloud Function {named}"
    try:
        live = as_json(project.call("functions", "get_function", {"name": name}))
    except Gone:
        return Proposed(not_touched=(NotTouched(shown, "there is none of this name"),))
    service = text(live, "service_config", "service")
    if text(live, "environment") == FIRST or not service:
        return Proposed(doors=(_open(shown, first=text(live, "environment") == FIRST),))
    place = run_reading.place_of(service)
    if place in planned:
        why = f"it is Cloud Run service {place}, which has steps of its own"
        return Proposed(not_touched=(NotTouched(shown, why),))
    planned.add(place)
    return run_services.of_service(project, place, f"Cloud Run service {place} of function {named}")


def _open(shown: str, *, first: bool) -> ProposedDoor:
    why = "it is of the 1st generation" if first else "it names no Cloud Run service"
    return ProposedDoor(
        Door(
            kind=DoorKind.NO_STEP,
            name=shown,
            reason=f"{why}: no setting keeps it from running, and a run may last 540 s",
            remedy="cut its trigger and its invokers, or delete it when its source is kept elsewhere",
            owner="",
            closed_by=(),
            verdict=Verdict.NOT_CONTAINED,
        )
    )


ACTION_CLASSES: tuple[Callable[[Project], Action], ...] = ()
SPECS: tuple[ActionSpec, ...] = ()
