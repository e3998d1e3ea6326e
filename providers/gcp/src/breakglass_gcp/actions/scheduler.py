"""``gcp.scheduler.pause_job``: a job of Cloud Scheduler fires no more by itself.

Only a job that is ENABLED can be paused, and only what was ENABLED before the stop is resumed. The state
carries the whole job, so that a change of somebody else's is seen; headers, bodies and attributes are sealed.
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
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_gcp.actions.sealed_parts import plain_url, seal
from breakglass_gcp.found import Found
from breakglass_gcp.messages import as_json, fields, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of

SPEC = ActionSpec(
    name="gcp.scheduler.pause_job",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="pauses the job: it fires no more by itself",
    permissions=("cloudscheduler.jobs.get", "cloudscheduler.jobs.pause", "cloudscheduler.jobs.update"),
    undo_permissions=("cloudscheduler.jobs.enable",),
    blast_radius=(
        "what the job calls; a run that has begun goes on there, and who may call RunJob can still force one"
    ),
    reversibility=Reversibility.FULL,
    undo="resumes the job where nothing else of it changed; runs that were missed are not made up for",
    settle_s=60,
    best_grade=Grade.READ_BACK,
    example="gcp.scheduler.pause_job job/europe-west1/support-bot-hourly",
    sources=(
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "google/cloud/scheduler/v1/cloudscheduler.proto, PauseJob: the system stops executing the job; "
            "a job must be ENABLED to be paused",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_scheduler.py"),
        Source("settle", Authority.UNVERIFIED, "one turn of cron: a run that was due may still begin"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_scheduler.py"),
    ),
    service="scheduler",
)
JOB = "job"
ENABLED, PAUSED, UPDATE_FAILED = "ENABLED", "PAUSED", "UPDATE_FAILED"
_OFF = frozenset({PAUSED, "DISABLED"})
_MOVES = ("status", "schedule_time", "last_attempt_time", "user_update_time")
_SECRET = (
    "http_target.headers",
    "http_target.body",
    "pubsub_target.attributes",
    "pubsub_target.data",
    "app_engine_http_target.headers",
    "app_engine_http_target.body",
)
_URLS = ("http_target.uri", "app_engine_http_target.relative_uri")


class PauseJob:
    """One job of one location."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read the whole job; one that is gone has no state."""
        try:
            return State({JOB: self._read(resource)})
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Pause it unless it is off; one whose last update failed is updated with what it has first."""
        state = text(before.objects.get(JOB), "state")
        if JOB not in before.objects or state in _OFF:
            return
        try:
            if state == UPDATE_FAILED:
                self._recover(resource)
            self._project.call("scheduler", "pause_job", {"name": _name(self._project, resource)})
        except Gone:
            return
        except ProviderError as error:
            # It is not ENABLED any more, or not yet: what is read next tells.
            if code_of(error) != "FAILED_PRECONDITION":
                raise

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether it can fire by itself."""
        if JOB not in state.objects:
            return Judgement(Verdict.CONTAINED, f"job {resource.params['job']} is gone")
        is_now = text(state.objects[JOB], "state") or "of no state that is told"
        if is_now in _OFF:
            return Judgement(Verdict.CONTAINED, f"the job is {is_now}")
        if is_now == ENABLED:
            return Judgement(Verdict.NOT_CONTAINED, "the job is ENABLED")
        return Judgement(Verdict.UNKNOWN, f"the job is {is_now}: whether it fires is not known", Grade.NONE)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Resume it, where it was ENABLED and nothing else of it changed."""
        was, current = fields(before.objects.get(JOB)), fields(now.objects.get(JOB))
        state, outcome = text(was, "state"), Outcome.DRIFTED
        reason = "the job is as it was; one that others changed, removed or made again is left alone"
        if was == current or (state in _OFF and text(current, "state") in _OFF):
            outcome = Outcome.ALREADY
        elif {**was, "state": PAUSED} == current and state == ENABLED:
            live = self._read(resource)
            if live == current:
                self._project.call("scheduler", "resume_job", {"name": _name(self._project, resource)})
                outcome = Outcome.RESTORED
            elif live == was:  # resumed by a call whose answer was lost
                outcome = Outcome.ALREADY
        elif {**was, "state": PAUSED} == current:
            outcome = Outcome.CANNOT
            reason = f"the job was {state}, which nothing puts back: it stays paused; resume it by hand"
        return Reversal(dict.fromkeys(before.objects, outcome), reason)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: only time makes it fire."""
        return None

    def _recover(self, resource: Resource) -> None:
        """Update it with what it has (Job.State, UPDATE_FAILED: "retry ... until a successful response")."""
        live = self._project.call("scheduler", "get_job", {"name": _name(self._project, resource)})
        self._project.call(
            "scheduler", "update_job", {"job": live, "update_mask": {"paths": ["description"]}}
        )

    def _read(self, resource: Resource) -> JsonObject:
        name = _name(self._project, resource)
        live = as_json(self._project.call("scheduler", "get_job", {"name": name}))
        kept = {key: value for key, value in live.items() if key not in _MOVES}
        return seal(self._project, f"job {resource.params['job']}", kept, _SECRET, _URLS)


def _name(project: Project, resource: Resource) -> str:
    return f"{project.name}/locations/{resource.params['location']}/jobs/{resource.params['job']}"


def propose(project: Project, found: Found) -> Proposed:
    """Propose to pause each job; one that cannot be read now is read when its step runs."""
    proposed = Proposed()
    for entry in found.of("scheduler_jobs"):
        location, _, job = entry.partition("/")
        name = f"{project.name}/locations/{location}/jobs/{job}"
        told: tuple[str, ...] = ()
        missed: tuple[str, ...] = ()
        try:
            told = _told(as_json(project.call("scheduler", "get_job", {"name": name})))
        except Gone:
            gone = NotTouched(f"scheduler job {entry}", f"there is none in {location}")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        except ProviderError as error:
            missed = (f"scheduler job {entry}: {error}"[:500],)
        params: dict[str, Json] = {"location": location, "job": job}
        step = Proposal(
            key=f"pause_job:{entry}",
            action=SPEC.name,
            target=project.target("gcp-scheduler-job", f"job/{entry}", f"scheduler job {entry}", **params),
            settle_s=project.settle_s(SPEC),
            affects=told,
        )
        proposed = proposed.plus(Proposed((step,), incomplete=missed))
    return proposed


def _told(job: JsonObject) -> tuple[str, ...]:
    """Return what the job calls, in words."""
    if topic := text(job, "pubsub_target", "topic_name"):
        return (f"publishes to {topic}",)
    target = fields(job.get("http_target"))
    account = text(target, "oidc_token", "service_account_email") or text(
        target, "oauth_token", "service_account_email"
    )
    called = plain_url(text(target, "uri")) or "an App Engine service"
    return (f"calls {called}{f' as {account}' if account else ''}"[:300],)


ACTION_CLASSES = (PauseJob,)
SPECS = (SPEC,)
