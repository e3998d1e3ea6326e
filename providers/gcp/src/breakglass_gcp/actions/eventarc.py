"""``gcp.eventarc.cut_trigger``: the events of a trigger wait in its subscription, which pushes to nobody.

A trigger has no pause; what brings its events is a Pub/Sub subscription of its own (trigger.proto,
Transport.pubsub). A trigger that is made anew has another one, and an update of it may set it again: the
trigger is read every time. What waits when a trigger is deleted is lost with its subscription.
"""

from __future__ import annotations

from breakglass.canon import Json
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
from breakglass_gcp.actions import subscriptions
from breakglass_gcp.actions.pubsub_push import pushes, put_back
from breakglass_gcp.actions.sealed_parts import plain_url
from breakglass_gcp.found import Found
from breakglass_gcp.messages import as_json, field, fields, text
from breakglass_gcp.project import Project

SPEC = ActionSpec(
    name="gcp.eventarc.cut_trigger",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="empties the push configuration of the trigger's own subscription: its events wait there",
    permissions=("eventarc.triggers.get", "pubsub.subscriptions.get", "pubsub.subscriptions.update"),
    undo_permissions=("pubsub.subscriptions.update", "iam.serviceAccounts.actAs"),
    blast_radius="what the trigger calls; a call that is under way ends there",
    reversibility=Reversibility.FULL,
    undo=(
        "puts the push configuration back; events that are older than the retention of the subscription (24 "
        "hours unless set) are lost; a trigger that was made anew is left as it is"
    ),
    settle_s=60,
    best_grade=Grade.READ_BACK,
    example="gcp.eventarc.cut_trigger trigger/europe-west1/support-bot-uploads",
    sources=(
        Source(
            "effect",
            Authority.UNVERIFIED,
            "that Eventarc leaves the push configuration of its subscription as it is set, is our judgement",
        ),
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "google/cloud/eventarc/v1/trigger.proto, Pubsub.subscription: the transport of its events",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_eventarc.py"),
        Source("settle", Authority.UNVERIFIED, "as of a push subscription"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_eventarc.py"),
    ),
    service="eventarc",
)
TRIGGER = "trigger"


class CutTrigger:
    """One trigger of one location."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read the trigger and where its subscription of now pushes; a trigger that is gone has no state."""
        try:
            seen = as_json(self._project.call("eventarc", "get_trigger", {"name": resource.params["name"]}))
        except Gone:
            return State({})
        name = text(seen, "transport", "pubsub", "subscription")
        objects: dict[str, Json] = {TRIGGER: {"uid": text(seen, "uid"), "subscription": name}}
        if name:
            try:
                live = subscriptions.read(self._project, name)
                held = subscriptions.record(self._project, name, live)
                objects[name] = {**held, "uid": text(seen, "uid")}
            except Gone:
                return State(objects)
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Empty the push configuration of its subscription."""
        name = text(before.objects.get(TRIGGER), "subscription")
        if subscriptions.endpoint(before.objects.get(name)):
            try:
                subscriptions.set_push(self._project, name, {})
            except Gone:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether its events are delivered."""
        if TRIGGER not in state.objects:
            return Judgement(Verdict.CONTAINED, f"trigger {resource.params['trigger']} is gone")
        name = text(state.objects[TRIGGER], "subscription")
        if not name:
            return Judgement(Verdict.NOT_CONTAINED, "the trigger names no subscription that could be cut")
        if name not in state.objects:
            return Judgement(Verdict.CONTAINED, "the subscription of the trigger is gone: nothing delivers")
        said = pushes(state.objects[name])
        return Judgement(
            said.verdict, f"its subscription {name.rpartition('/')[2]}: {said.reason}", said.grade
        )

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Push again where it did, for the trigger that the plan means."""
        is_now, signed = fields(now.objects.get(TRIGGER)), resource.params["uid"]
        outcomes: dict[str, Outcome] = {}
        for key, was in before.objects.items():
            if key == TRIGGER:
                outcomes[key] = Outcome.ALREADY if was == is_now else Outcome.DRIFTED
            elif key not in now.objects or (signed and field(was, "uid") != signed):
                outcomes[key] = Outcome.DRIFTED
            else:
                outcomes[key] = put_back(self._project, key, _push(was), _push(now.objects[key]))
        return Reversal(
            outcomes, "its events are delivered as they were; a trigger that was removed or made anew is left"
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - see `EmptyPushConfig.probe`
        """Return None: an event that were made to see whether it comes would be work."""
        return None


def _push(recorded: Json) -> Json:
    """Return what is of the subscription in what was recorded of it."""
    return {key: value for key, value in fields(recorded).items() if key != "uid"}


def full_name(project: Project, entry: str) -> str:
    """Return the name of a trigger, of LOCATION/TRIGGER."""
    location, _, trigger = entry.partition("/")
    return f"{project.name}/locations/{location}/triggers/{trigger}"


def step_key(entry: str) -> str:
    """Return the key of the step of a trigger."""
    return f"cut_trigger:{entry}"


def propose(project: Project, found: Found) -> Proposed:
    """Propose to cut each trigger; one that cannot be read now is read when its step runs."""
    proposed = Proposed()
    for entry in found.of("eventarc_triggers"):
        location, _, trigger = entry.partition("/")
        name = full_name(project, entry)
        uid = ""
        missed: tuple[str, ...] = ()
        told: tuple[str, ...] = ()
        try:
            seen = as_json(project.call("eventarc", "get_trigger", {"name": name}))
            uid, told = text(seen, "uid"), _told(seen)
        except Gone:
            gone = NotTouched(f"eventarc trigger {entry}", f"there is none in {location}")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        except ProviderError as error:
            missed = (f"eventarc trigger {entry}: {error}"[:500],)
        params: dict[str, Json] = {"name": name, "trigger": trigger, "uid": uid}
        step = Proposal(
            key=step_key(entry),
            action=SPEC.name,
            target=project.target("gcp-trigger", f"trigger/{entry}", f"eventarc trigger {entry}", **params),
            settle_s=project.settle_s(SPEC),
            affects=told,
        )
        proposed = proposed.plus(Proposed((step,), incomplete=missed))
    return proposed


def _told(trigger: dict[str, Json]) -> tuple[str, ...]:
    """Return what the trigger calls, in words."""
    where = fields(trigger.get("destination"))
    called = (
        text(where, "cloud_run", "service")
        or plain_url(text(where, "http_endpoint", "uri"))
        or text(where, "workflow")
        or text(where, "cloud_function")
        or text(where, "gke", "service")
    )
    account = text(trigger, "service_account")
    return (f"brings events to {called or 'its destination'}{f' as {account}' if account else ''}"[:300],)


ACTION_CLASSES = (CutTrigger,)
SPECS = (SPEC,)
