"""``gcp.pubsub.keep_subscription``: nobody uses a contained subscription, and it does not expire for that.

A subscription that nobody uses for the ttl of its expiration policy is deleted with all that waits in it; one
whose policy has no ttl never is (google/pubsub/v1/pubsub.proto, Subscription.expiration_policy). How long a
message is retained stays as it is. This contains nobody: it keeps what the other steps leave waiting, so it
is of the evidence's phase, and what becomes of it does not matter for the verdict of its subscription's step.
"""

from __future__ import annotations

from functools import partial

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
from breakglass.provider import Notes, Outcome, Proposal, Proposed, Reversal
from breakglass_gcp.actions import eventarc, pubsub_push, subscriptions
from breakglass_gcp.found import Found
from breakglass_gcp.messages import as_json, fields, text
from breakglass_gcp.project import Project

SPEC = ActionSpec(
    name="gcp.pubsub.keep_subscription",
    capability=Capability.SNAPSHOT_LOGS,
    summary="sets the subscription's expiration to never: nobody's use is needed to keep what waits in it",
    permissions=("pubsub.subscriptions.get", "pubsub.subscriptions.update"),
    blast_radius="none; messages are dropped after the subscription's own retention all the same",
    reversibility=Reversibility.FULL,
    undo="sets the expiration as it was; one that others changed, removed or detached is left alone",
    settle_s=0,
    best_grade=Grade.READ_BACK,
    example="gcp.pubsub.keep_subscription expiration/support-bot-work",
    sources=(
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "pubsub.proto, Subscription.expiration_policy: where it is set without a ttl, it never expires",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_pubsub_keep.py"),
        Source("settle", Authority.VENDOR_TEXT, "pubsub.proto, UpdateSubscription: answers what is set"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_pubsub_keep.py"),
    ),
    service="pubsub",
)
EXPIRATION = "expiration"
NEVER: JsonObject = {}


class KeepSubscription:
    """When one subscription expires."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read when it expires; one that is gone has no state."""
        try:
            return State({EXPIRATION: self._read(_name(resource))})
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Set it to never unless it is, or there is nothing to keep."""
        seen = fields(before.objects.get(EXPIRATION))
        if not seen or seen["detached"] or seen["policy"] == NEVER:
            return
        try:
            subscriptions.set_expiration(self._project, _name(resource), NEVER)
        except Gone:
            return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether it is kept. Where it is not that is unknown: the agent gets nothing by it."""
        entry = _name(resource).rpartition("/")[2]
        seen = fields(state.objects.get(EXPIRATION))
        if not seen:
            return Judgement(Verdict.CONTAINED, f"{entry} is gone, with the messages in it: nothing to keep")
        if seen["detached"]:
            return Judgement(Verdict.CONTAINED, f"{entry} is detached: it has no messages to keep any more")
        if seen["policy"] == NEVER:
            return Judgement(Verdict.CONTAINED, f"{entry} does not expire")
        after = subscriptions.expiry(_live(seen))
        said = f"Google deletes {entry} and what waits in it after {after} without any use"
        return Judgement(Verdict.UNKNOWN, said, Grade.NONE)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Set it as it was, if it is as the stop left it."""
        outcome = self._put_back(_name(resource), before.objects.get(EXPIRATION), now.objects.get(EXPIRATION))
        said = "it expires as it did; one that others changed, removed or detached is left alone"
        return Reversal(dict.fromkeys(before.objects, outcome), said)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: it would have to lie unused for a day."""
        return None

    def _read(self, name: str) -> JsonObject:
        live = subscriptions.read(self._project, name)
        return {
            "topic": text(live, "topic"),
            "policy": live.get("expiration_policy"),
            "detached": live.get("detached") is True,
        }

    def _put_back(self, name: str, before: Json, now: Json) -> Outcome:
        was, current = fields(before), fields(now)
        if was == current:
            return Outcome.ALREADY
        if current != {**was, "policy": NEVER}:
            return Outcome.DRIFTED
        try:
            if self._read(name) != current:
                return Outcome.DRIFTED
            subscriptions.set_expiration(self._project, name, was["policy"])
        except Gone:
            return Outcome.DRIFTED
        return Outcome.RESTORED


def _name(resource: Resource) -> str:
    return str(resource.params["subscription"])


def _live(seen: JsonObject) -> JsonObject:
    """Return what was recorded as `subscriptions.expiry` reads it."""
    return {} if seen["policy"] is None else {"expiration_policy": seen["policy"]}


def propose(project: Project, found: Found) -> Proposed:
    """Propose to keep every subscription whose messages a stop leaves waiting, those of triggers too."""
    notes, proposed = Notes(), Proposed()
    # Whether those of a topic can be listed is said by the step that empties them.
    for name, topic in pubsub_push.named(project, found, Notes()).items():
        entry = subscriptions.ours(project, name)
        if entry:
            made = partial(_step, project, name, entry, pubsub_push.step_key(entry), topic)
            proposed = proposed.plus(notes.attempt(made, Proposed()))
    for entry in found.of("eventarc_triggers"):
        proposed = proposed.plus(notes.attempt(partial(_of_trigger, project, entry), Proposed()))
    return proposed.plus(Proposed(incomplete=tuple(notes.incomplete)))


def _of_trigger(project: Project, entry: str) -> Proposed:
    """Propose to keep the subscription that brings a trigger its events now."""
    try:
        seen = as_json(project.call("eventarc", "get_trigger", {"name": eventarc.full_name(project, entry)}))
    except ProviderError:
        return Proposed()  # the step that cuts it says so
    name = text(seen, "transport", "pubsub", "subscription")
    if not subscriptions.ours(project, name):
        return Proposed()
    return _step(project, name, subscriptions.ours(project, name), eventarc.step_key(entry), "")


def _step(project: Project, name: str, entry: str, stops: str, topic: str) -> Proposed:
    """Propose one; `stops`: the key of the step after which its messages wait."""
    told: tuple[str, ...] = ()
    label = f"expiration of subscription {entry}"
    try:
        live = subscriptions.read(project, name)
    except Gone:
        return Proposed()
    except ProviderError:
        live = {}  # read when the step runs; the step that empties it says that it could not be
    else:
        if live.get("detached"):
            why = "it is detached: it has no messages any more, and Google deletes it when its time ends"
            return Proposed(not_touched=(NotTouched(label, why),))
        if subscriptions.exports(live) or (topic and not subscriptions.whose(live)):
            return Proposed()  # nothing of it is stopped
        told = _told(live)
    target = project.target("gcp-expiration", f"expiration/{entry}", label, subscription=name)
    step = Proposal(
        key=f"keep_subscription:{entry}",
        action=SPEC.name,
        target=target,
        settle_s=project.settle_s(SPEC),
        moot_by=(stops,),
        affects=told,
    )
    return Proposed((step,))


def _told(live: JsonObject) -> tuple[str, ...]:
    """Return until when what waits in it can be had, in words."""
    kept = f"what waits longer than {subscriptions.retention(live)} is lost: the retention stays as it is"
    if not (after := subscriptions.expiry(live)):
        return ("it never expires: nothing is to be changed", kept)
    return (
        f"expires after {after} without any use, and with it all that waits: never, until the restore",
        kept,
    )


ACTION_CLASSES = (KeepSubscription,)
SPECS = (SPEC,)
