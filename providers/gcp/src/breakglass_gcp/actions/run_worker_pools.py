"""``gcp.run.scale_pool_to_zero``: a worker pool has no worker any more.

Workers take no requests: each is sent SIGTERM and has ten seconds ("Container runtime contract").
"""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json, JsonObject
from breakglass.errors import Gone
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Notes, Outcome, Proposal, Proposed, Reversal
from breakglass_gcp.actions import run_reading as reading
from breakglass_gcp.actions.run_reading import POOL, STATUS, name_of
from breakglass_gcp.found import Found
from breakglass_gcp.messages import fields, text
from breakglass_gcp.project import Project

SPEC = ActionSpec(
    name="gcp.run.scale_pool_to_zero",
    capability=Capability.STOP_WORKLOADS,
    summary="sets the number of the worker pool's instances to 0",
    permissions=(
        "iam.serviceAccounts.actAs",
        "run.operations.get",
        "run.workerpools.get",
        "run.workerpools.update",
    ),
    blast_radius="what the workers take from queues waits there",
    reversibility=Reversibility.FULL,
    undo="sets the number back, unless it was deployed again since",
    settle_s=30,
    best_grade=Grade.READ_BACK,
    example="gcp.run.scale_pool_to_zero pool/europe-west1/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "google.cloud.run.v2 proto, WorkerPoolScaling, reconciling"),
        Source("settle", Authority.VENDOR_TEXT, "Container runtime contract: SIGTERM, then 10 s to the end"),
        Source("settle", Authority.UNVERIFIED, "no time to the signal is published; 30 s is our margin"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_pools_run.py"),
    ),
    destroys_evidence="memory and disks of the workers",
    service="run",
)
SCALING = "scaling"
COUNT = "manual_instance_count"


class ScalePoolToZero:
    """The number of workers of one pool."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read it, and whether it is in force; a pool that is gone has none."""
        try:
            live = reading.read(self._project, POOL, name_of(resource))
        except Gone:
            return State({})
        seen: JsonObject = {**reading.whose(live), "value": fields(live.get("scaling"))}
        return State({SCALING: seen, STATUS: reading.status(live)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Set it to 0 unless it is."""
        if before.objects:
            try:
                reading.write(self._project, POOL, name_of(resource), _stopped)
            except Gone:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether a worker can be left."""
        if not state.objects:
            return Judgement(Verdict.CONTAINED, f"worker pool {resource.params['pool']} is gone")
        scaling = fields(fields(state.objects[SCALING]).get("value"))
        if scaling.get(COUNT) != 0:
            count = scaling.get(COUNT, "the usual number of")
            return Judgement(Verdict.NOT_CONTAINED, f"the pool has {count} workers")
        return reading.not_in_force(state.objects) or Judgement(
            Verdict.CONTAINED, "0 workers, and that is in force"
        )

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Set it back, where it is still 0."""
        outcomes = dict.fromkeys(before.objects, Outcome.ALREADY)
        if SCALING in before.objects:
            outcomes[SCALING] = self._back(resource, before.objects[SCALING], now.objects.get(SCALING))
        return Reversal(
            outcomes, "the pool has as many workers as before; what others changed or deployed is left"
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a worker cannot be asked."""
        return None

    def _back(self, resource: Resource, was: Json, now: Json) -> Outcome:
        wanted, current = fields(fields(was).get("value")), fields(fields(now).get("value"))
        if reading.uid_of(was) != reading.uid_of(now):
            return Outcome.DRIFTED
        if wanted == current:
            return Outcome.ALREADY
        if current.get(COUNT) != 0 or not reading.same_code(was, now):
            return Outcome.DRIFTED

        def decide(live: JsonObject) -> Mapping[str, Json]:
            mine = reading.same_code(was, reading.whose(live)) and fields(live.get("scaling")) == current
            return {"scaling": wanted} if mine else {}

        reading.put_back(self._project, POOL, name_of(resource), decide)
        return Outcome.RESTORED


def _stopped(live: JsonObject) -> Mapping[str, Json]:
    scaling = fields(live.get("scaling"))
    return {} if scaling.get(COUNT) == 0 else {"scaling": {**scaling, COUNT: 0}}


def propose(project: Project, found: Found) -> Proposed:
    """Propose to stop each worker pool that is the agent's."""
    notes, proposed = Notes(), Proposed()
    for named in found.of("worker_pools"):
        proposed = proposed.plus(notes.attempt(lambda named=named: _of_pool(project, named), Proposed()))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    return proposed.plus(Proposed(incomplete=tuple(notes.incomplete)))


def _of_pool(project: Project, named: str) -> Proposed:
    name, shown = reading.full_name(project, POOL.folder, named), f"Cloud Run worker pool {named}"
    try:
        live = reading.read(project, POOL, name)
    except Gone:
        return Proposed(not_touched=(NotTouched(shown, "there is none of this name"),))
    account = text(live, "template", "service_account")
    params: dict[str, Json] = {"name": name, "pool": named, "account": account}
    step = Proposal(
        key=f"scale_pool:{named}",
        action=SPEC.name,
        target=project.target("gcp-run-worker-pool", f"pool/{named}", shown, **params),
        settle_s=project.settle_s(SPEC),
    )
    return Proposed((step,))


ACTION_CLASSES = (ScalePoolToZero,)
SPECS = (SPEC,)
