"""``gcp.tasks.pause_queue``: a queue of Cloud Tasks dispatches nothing more by itself; its tasks wait.

Tasks are never purged, and more may be added. An attempt that was dispatched before runs on in what it calls;
who may call RunTask can force one even now: those rights end with the agent's accounts.
"""

from __future__ import annotations

from breakglass.canon import Json, JsonObject
from breakglass.errors import Gone, ProviderError
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
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_gcp.actions.sealed_parts import seal
from breakglass_gcp.found import Found
from breakglass_gcp.messages import as_json, fields, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of

SPEC = ActionSpec(
    name="gcp.tasks.pause_queue",
    capability=Capability.PAUSE_QUEUES,
    summary="pauses the queue: tasks accumulate and none is dispatched by itself; nothing is purged",
    permissions=("cloudtasks.queues.get", "cloudtasks.queues.pause"),
    undo_permissions=("cloudtasks.queues.resume",),
    blast_radius=(
        "whoever else waits for its tasks; a task that is 31 days old is deleted; attempts that were "
        "dispatched before run on for up to 30 minutes, those of App Engine for up to a day"
    ),
    reversibility=Reversibility.FULL,
    undo=(
        "resumes the queue at its own rate, all at once: set a high rate down before, and raise it again at "
        "500/50/5; a queue that was off before stays off"
    ),
    settle_s=60,
    best_grade=Grade.READ_BACK,
    example="gcp.tasks.pause_queue queue/europe-west1/support-bot-work",
    sources=(
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "google/cloud/tasks/v2/cloudtasks.proto, PauseQueue: the system stops dispatching until it "
            "is resumed; tasks can still be added",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_tasks.py"),
        Source(
            "settle",
            Authority.UNVERIFIED,
            "taken to be no slower than PurgeQueue (cloudtasks.proto: up to one minute)",
        ),
        Source("undo", Authority.VENDOR_TEXT, "cloudtasks.proto, ResumeQueue: the 500/50/5 pattern"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_tasks.py"),
    ),
    service="tasks",
)
QUEUE = "queue"
RUNNING, PAUSED = "RUNNING", "PAUSED"
_OFF = frozenset({PAUSED, "DISABLED"})
_SECRET = ("http_target.header_overrides",)


class PauseQueue:
    """One queue of one location."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read the queue; one that is gone has no state."""
        try:
            return State({QUEUE: self._read(resource)})
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Pause it unless it is off."""
        if QUEUE not in before.objects or text(before.objects[QUEUE], "state") in _OFF:
            return
        try:
            self._project.call("tasks", "pause_queue", {"name": _name(self._project, resource)})
        except Gone:
            return
        except ProviderError as error:
            # It is not RUNNING any more: what is read next tells.
            if code_of(error) != "FAILED_PRECONDITION":
                raise

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether it dispatches by itself."""
        if QUEUE not in state.objects:
            return Judgement(Verdict.CONTAINED, f"queue {resource.params['queue']} is gone, with its tasks")
        is_now = text(state.objects[QUEUE], "state") or "of no state that is told"
        if is_now in _OFF:
            return Judgement(Verdict.CONTAINED, f"the queue is {is_now}: its tasks wait")
        if is_now == RUNNING:
            return Judgement(Verdict.NOT_CONTAINED, "the queue is RUNNING")
        return Judgement(Verdict.UNKNOWN, f"the queue is {is_now}", Grade.NONE)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Resume it, where it was RUNNING and nothing else of it changed."""
        was, current = fields(before.objects.get(QUEUE)), fields(now.objects.get(QUEUE))
        outcome = Outcome.DRIFTED
        if was == current or (text(was, "state") in _OFF and text(current, "state") in _OFF):
            outcome = Outcome.ALREADY
        elif text(was, "state") == RUNNING and {**was, "state": PAUSED} == current:
            live = self._read(resource)
            if live == current:
                self._project.call("tasks", "resume_queue", {"name": _name(self._project, resource)})
                outcome = Outcome.RESTORED
            elif live == was:  # resumed by a call whose answer was lost
                outcome = Outcome.ALREADY
        return Reversal(
            dict.fromkeys(before.objects, outcome),
            "the queue is as it was; one that others changed, removed or made again is left alone",
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - see below
        """Return None: a task that were added to see whether it runs would be work."""
        return None

    def _read(self, resource: Resource) -> JsonObject:
        name = _name(self._project, resource)
        live = as_json(self._project.call("tasks", "get_queue", {"name": name}))
        # Google moves the burst by itself (RateLimits.max_burst_size: "dynamically optimized").
        limits = {key: one for key, one in fields(live.get("rate_limits")).items() if key != "max_burst_size"}
        kept: JsonObject = {**live, "rate_limits": limits}
        return seal(self._project, f"queue {resource.params['queue']}", kept, _SECRET, ())


def _name(project: Project, resource: Resource) -> str:
    return f"{project.name}/locations/{resource.params['location']}/queues/{resource.params['queue']}"


def propose(project: Project, found: Found) -> Proposed:
    """Propose to pause each queue; one that cannot be read now is read when its step runs."""
    proposed = Proposed()
    for entry in found.of("task_queues"):
        location, _, queue = entry.partition("/")
        told: tuple[str, ...] = ()
        missed: tuple[str, ...] = ()
        try:
            seen = as_json(
                project.call(
                    "tasks", "get_queue", {"name": f"{project.name}/locations/{location}/queues/{queue}"}
                )
            )
            told = (_rate(seen),)
        except Gone:
            gone = NotTouched(f"task queue {entry}", f"there is none in {location}")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        except ProviderError as error:
            missed = (f"task queue {entry}: {error}"[:500],)
        params: dict[str, Json] = {"location": location, "queue": queue}
        step = Proposal(
            key=f"pause_queue:{entry}",
            action=SPEC.name,
            target=project.target("gcp-task-queue", f"queue/{entry}", f"task queue {entry}", **params),
            settle_s=project.settle_s(SPEC),
            affects=told,
        )
        proposed = proposed.plus(Proposed((step,), doors=(_dispatched(entry),), incomplete=missed))
    return proposed


def _rate(queue: JsonObject) -> str:
    """Return how fast it is, in words; a record has numbers with a point as texts."""
    rate = text(queue, "rate_limits", "max_dispatches_per_second").removesuffix(".0")
    return f"dispatches {f'up to {rate} tasks a second ' if rate else ''}again once it is resumed"


def _dispatched(entry: str) -> ProposedDoor:
    """Return what is only listed: what the queue started is stopped, or not, in what it calls."""
    return ProposedDoor(
        Door(
            kind=DoorKind.NO_STEP,
            name=f"attempts that task queue {entry} dispatched before",
            reason=(
                "they run on in what they call, for up to 30 minutes, in App Engine for up to a day"
                " (Task.dispatch_deadline)"
            ),
            remedy="stop what they call: name it in this reach",
            owner="",
            closed_by=(),
            verdict=Verdict.CONTAINED,
        )
    )


ACTION_CLASSES = (PauseQueue,)
SPECS = (SPEC,)
