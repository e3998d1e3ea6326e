"""Proposes the steps of Cloud Run services: no instance, no way in, and the requests that run already."""

from __future__ import annotations

from breakglass.canon import Json, JsonObject
from breakglass.errors import Gone, ProviderError
from breakglass.model.action import Grade
from breakglass.model.plan import NotTouched
from breakglass.provider import Notes, Proposal, Proposed, WaitFor
from breakglass_gcp.actions import run_ingress, run_reading, run_requests, run_scaling
from breakglass_gcp.actions.run_reading import SERVICE
from breakglass_gcp.found import Found
from breakglass_gcp.messages import text
from breakglass_gcp.project import Project

SCALE_S = 60.0


def propose(project: Project, found: Found) -> Proposed:
    """Propose to stop each service that is the agent's; one that cannot be read hides no other."""
    notes, proposed = Notes(), Proposed()
    for named in found.of("run_services"):
        shown = f"Cloud Run service {named}"
        proposed = proposed.plus(
            notes.attempt(lambda named=named, shown=shown: of_service(project, named, shown), Proposed())  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        )
    return proposed.plus(Proposed(incomplete=tuple(notes.incomplete)))


def of_service(project: Project, named: str, shown: str) -> Proposed:
    """Propose to stop one service, LOCATION/NAME. Raises ProviderError: it cannot be read."""
    name = run_reading.full_name(project, SERVICE.folder, named)
    try:
        live = run_reading.read(project, SERVICE, name)
    except Gone:
        return Proposed(not_touched=(NotTouched(shown, "there is none of this name"),))
    try:
        facts = run_requests.facts_of(project, live)
        needed_s = run_requests.wait_s(project, live, facts)
    except ProviderError:
        facts, needed_s = {}, run_requests.LONGEST_S
    return Proposed(_steps(project, named, shown, live, facts, needed_s))


def _steps(
    project: Project, named: str, shown: str, live: JsonObject, facts: JsonObject, needed_s: int
) -> tuple[Proposal, ...]:
    short = needed_s <= run_requests.PATIENCE_S
    name = text(live, "name")
    params: dict[str, Json] = {
        "name": name,
        "service": named,
        "account": text(live, "template", "service_account"),
    }
    waited = {"wait_s": needed_s, "uid": facts["uid"], "latest": facts["latest"]} if short else {}
    scale = Proposal(
        key=f"scale_service:{named}",
        action=run_scaling.SPEC.name,
        target=project.target("gcp-run-service", f"run/{named}", shown, **params),
        settle_s=project.settle_s(run_scaling.SPEC),
    )
    close = Proposal(
        key=f"close_ingress:{named}",
        action=run_ingress.SPEC.name,
        target=project.target("gcp-run-service", f"ingress/{named}", f"requests to {shown}", **params),
        settle_s=project.settle_s(run_ingress.SPEC),
        moot_by=(scale.key,),
    )
    label = f"requests in flight of {shown}, with or without its account"
    outlast = Proposal(
        key=f"outlast_requests:{named}",
        action=run_requests.SPEC.name,
        target=project.target("gcp-run-service", f"requests/{named}", label, **params, **waited),
        after=(WaitFor(scale.key, SCALE_S),),
        best_grade=Grade.READ_BACK if short else Grade.NONE,
        # The last request may begin as long as the change is not in force, and lasts from then on.
        settle_s=project.settle_s(run_requests.SPEC) + (needed_s if short else 0),
        window_s=None if short else run_requests.LONGEST_S,
    )
    return scale, close, outlast


ACTION_CLASSES = (run_scaling.ScaleServiceToZero, run_ingress.CloseIngress, run_requests.OutlastRequests)
SPECS = (run_scaling.SPEC, run_ingress.SPEC, run_requests.SPEC)
