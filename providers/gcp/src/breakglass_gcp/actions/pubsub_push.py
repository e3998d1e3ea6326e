"""``gcp.pubsub.empty_push_config``: a subscription pushes to nobody; its messages stay and wait.

An empty PushConfig pauses a push subscription (google/pubsub/v1/pubsub.proto, ModifyPushConfig). Then it can
be pulled: `pubsub_pull` takes the agent's right to. None is ever detached: that drops its messages.
Google's own emulator does as our sandbox here (providers/gcp/tests/test_gcp_pubsub_emulator.py).
"""

from __future__ import annotations

from collections.abc import Sequence
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
from breakglass_gcp.actions import subscriptions
from breakglass_gcp.found import Found
from breakglass_gcp.messages import fields
from breakglass_gcp.project import Project

SPEC = ActionSpec(
    name="gcp.pubsub.empty_push_config",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="empties the push configuration: nothing is pushed any more, and messages wait",
    permissions=("pubsub.subscriptions.get", "pubsub.subscriptions.update", "pubsub.topics.get"),
    undo_permissions=("pubsub.subscriptions.update", "iam.serviceAccounts.actAs"),
    blast_radius=(
        "what the subscription pushes to; a push that is under way ends there; whoever may pull it can now"
    ),
    reversibility=Reversibility.FULL,
    undo=(
        "puts the whole push configuration back; what waited is pushed then, but for what the retention "
        "dropped (7 days unless set)"
    ),
    settle_s=60,
    best_grade=Grade.READ_BACK,
    example="gcp.pubsub.empty_push_config subscription/support-bot-work",
    sources=(
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "google/pubsub/v1/pubsub.proto, ModifyPushConfigRequest: an empty one stops pushing, effectively "
            "pausing the subscription",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_pubsub_push.py"),
        Source("settle", Authority.UNVERIFIED, "a push under way has up to its acknowledgement deadline"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_pubsub_push.py"),
    ),
    service="pubsub",
)
PUSH = "push"


class EmptyPushConfig:
    """One subscription."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read where it pushes; one that is gone has no state."""
        name = str(resource.params["subscription"])
        try:
            live = subscriptions.read(self._project, name)
        except Gone:
            return State({})
        return State({PUSH: subscriptions.record(self._project, name, live)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Empty it unless it is."""
        if subscriptions.endpoint(before.objects.get(PUSH)):
            try:
                subscriptions.set_push(self._project, str(resource.params["subscription"]), {})
            except Gone:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether anything is pushed."""
        if PUSH not in state.objects:
            gone = f"{resource.params['subscription']} is gone, with the messages in it"
            return Judgement(Verdict.CONTAINED, gone)
        return pushes(state.objects[PUSH])

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Push again where it did, if nobody else changed that."""
        outcome = put_back(
            self._project,
            str(resource.params["subscription"]),
            before.objects.get(PUSH),
            now.objects.get(PUSH),
        )
        return Reversal(
            dict.fromkeys(before.objects, outcome),
            "it pushes as it did; a subscription that others changed, removed or detached is left alone",
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - see below
        """Return None: a message that were published to see whether it comes would be work."""
        return None


def pushes(recorded: Json) -> Judgement:
    """Judge what was recorded of one subscription."""
    held = fields(recorded)
    if held.get("detached"):
        return Judgement(Verdict.CONTAINED, "it is detached: it has no messages any more")
    if exported := held.get("exports"):
        return Judgement(Verdict.NOT_CONTAINED, f"it writes to {exported} since the plan was made")
    if where := subscriptions.endpoint(held):
        return Judgement(Verdict.NOT_CONTAINED, f"it pushes to {where}")
    return Judgement(Verdict.CONTAINED, "it pushes to nobody; its messages wait")


def put_back(project: Project, name: str, before: Json, now: Json) -> Outcome:
    """Push again where it did, if it is as the stop left it."""
    was, current = fields(before), fields(now)
    if was == current:
        return Outcome.ALREADY
    if not subscriptions.endpoint(was) or not _as_left(was, current):
        return Outcome.DRIFTED
    try:
        live = subscriptions.record(project, name, subscriptions.read(project, name))
    except Gone:
        return Outcome.DRIFTED
    if live != current:
        # Another step may have put the same subscription back (a trigger's, on a topic that is named).
        return Outcome.ALREADY if live == was else Outcome.DRIFTED
    subscriptions.set_push(project, name, was["push"])
    return Outcome.RESTORED


def _as_left(was: JsonObject, current: JsonObject) -> bool:
    """Return whether it differs in nothing but that it pushes to nobody."""
    same = all(was.get(key) == current.get(key) for key in ("topic", "exports", "detached"))
    return bool(current) and same and not subscriptions.endpoint(current)


def propose(project: Project, found: Found) -> Proposed:
    """Propose each subscription that is named, and each of the agent's topics that pushes."""
    notes, proposed = Notes(), Proposed()
    for name, topic in named(project, found, notes).items():
        proposed = proposed.plus(_step(project, name, topic))
    return proposed.plus(Proposed(incomplete=tuple(notes.incomplete)))


def named(project: Project, found: Found, notes: Notes) -> dict[str, str]:
    """Return every subscription that is looked at -> the topic that it is looked at for; empty: none."""
    names = {subscriptions.full_name(project, one): "" for one in found.of("subscriptions")}
    nothing: Sequence[str] = ()
    for topic in found.of("topics"):
        for name in notes.attempt(partial(_of, project, topic), nothing):
            names.setdefault(name, topic)
    return names


def step_key(entry: str) -> str:
    """Return the key of the step of a subscription."""
    return f"empty_push_config:{entry}"


def _of(project: Project, topic: str) -> Sequence[str]:
    """Return what is attached to a topic; nothing where there is no such topic."""
    try:
        return subscriptions.of_topic(project, topic)
    except Gone:
        return ()


def _step(project: Project, name: str, topic: str) -> Proposed:
    entry = subscriptions.ours(project, name)
    label = f"subscription {entry or name}"
    if not entry:
        other = NotTouched(label, f"it is another project's, on topic {topic}: a reach of that one stops it")
        return Proposed(not_touched=(other,))
    affects: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    try:
        live = subscriptions.read(project, name)
    except Gone:
        return Proposed(not_touched=(NotTouched(label, "there is none"),))
    except ProviderError as error:
        missed = (f"{label}: {error}"[:500],)
    else:
        if exported := subscriptions.exports(live):
            kept = NotTouched(
                label, f"Google writes its messages to {exported}: no push, and nobody pulls it"
            )
            return Proposed(not_touched=(kept,))
        pushed = subscriptions.whose(live)
        if topic and not pushed:
            return Proposed()
        affects = (*((pushed,) if pushed else ()), *subscriptions.costs(live))
    step = Proposal(
        key=step_key(entry),
        action=SPEC.name,
        target=project.target(
            "gcp-subscription",
            f"subscription/{entry}",
            f"{label}{f' on topic {topic}' if topic else ''}",
            subscription=name,
        ),
        settle_s=project.settle_s(SPEC),
        affects=affects,
    )
    return Proposed((step,), incomplete=missed)


ACTION_CLASSES = (EmptyPushConfig,)
SPECS = (SPEC,)
