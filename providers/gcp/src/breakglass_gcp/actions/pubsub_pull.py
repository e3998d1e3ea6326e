"""``gcp.pubsub.remove_subscribers``, ``remove_publishers``: no policy of theirs lets the agent take or write.

The agent's members leave the allow policy of each subscription and topic that is the agent's. What a role of
the project gives it as well is judged by asking as the agent, where a token of it is held for proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError
from breakglass.model.action import ActionSpec, Grade, Judgement, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_gcp.actions.pubsub_members import PUBLISHERS, SUBSCRIBERS, Kind, members_of
from breakglass_gcp.found import Found
from breakglass_gcp.messages import text
from breakglass_gcp.policies import Grant, grants, with_back, without
from breakglass_gcp.policy_writes import change_policy, read_policy
from breakglass_gcp.probe import judge_account
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Unauthenticated

UNPROVEN_SETTLE_S = 420
"""IAM documentation, "Access change propagation": 7 minutes or longer; for what is not tried as it."""
_ANYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})


class RemoveMembers:
    """The allow policy of one subscription or topic."""

    def __init__(self, kind: Kind, project: Project) -> None:
        """Call as the executor of this project."""
        self._kind = kind
        self._project = project

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        return self._kind.spec

    def observe(self, resource: Resource) -> State:
        """Read what the agent's members are granted in it; what is gone grants nothing."""
        agents = set(_texts(resource, "members"))
        try:
            policy = read_policy(self._project, self._kind.service, str(resource.params["name"]))
        except Gone:
            return State({})
        return State({one.key: one.as_json() for one in grants(policy, lambda one: one in agents)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Take away exactly what was read and recorded; what came since is the next round's."""
        gone = [Grant.of(one) for one in before.objects.values()]
        if not gone:
            return
        name = str(resource.params["name"])
        try:
            change_policy(self._project, self._kind.service, name, lambda now: without(now, gone))
        except Gone:
            return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether its policy names the agent."""
        if state.objects:
            held = ", ".join(sorted(state.objects)[:5])
            return Judgement(Verdict.NOT_CONTAINED, f"the policy of {resource.label} has {held}"[:500])
        return Judgement(Verdict.CONTAINED, f"the policy of {resource.label} names no account of the agent's")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put back the members that the plan names, each where it stood; what came later stays away."""
        planned, late = resource.params.get("granted"), _texts(resource, "stays_away")
        outcomes: dict[str, Outcome] = {}
        back: list[Grant] = []
        for key, value in before.objects.items():
            if key in now.objects:
                outcomes[key] = Outcome.ALREADY
            elif key in late or (isinstance(planned, list) and key not in planned):
                outcomes[key] = Outcome.ENDED
            else:
                back.append(Grant.of(value))
                outcomes[key] = Outcome.RESTORED
        if back:
            name = str(resource.params["name"])
            try:
                change_policy(self._project, self._kind.service, name, lambda now: _again(now, back))
            except Gone:
                gone = dict.fromkeys((one.key for one in back), Outcome.DRIFTED)
                return Reversal({**outcomes, **gone}, "it was deleted since the stop")
        return Reversal(outcomes, "who was let in since the harm began, or the plan, does not get it back")

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask as each of the agent's accounts whether it may: roles of the project count, too."""
        refused: list[str] = []
        for email in _texts(resource, "emails"):
            try:
                allowed = self._allowed_as(email, str(resource.params["name"]))
            except Unauthenticated:
                # What is held may have ended, or the agent may have disabled that very key.
                dead = judge_account(self._project, email, tries=1)
                if dead.verdict is not Verdict.CONTAINED:
                    return Judgement(dead.verdict, dead.reason, Grade.NONE)
                refused.append(email)
                continue
            except Gone:
                return Judgement(Verdict.CONTAINED, "it is gone", Grade.PLATFORM_EVALUATOR)
            if allowed is None:
                return None
            if allowed:
                said = f"{email} still has {self._kind.permission}, by a role of the project or above"
                return Judgement(Verdict.NOT_CONTAINED, said, Grade.PLATFORM_EVALUATOR)
        said = (
            f"no token of theirs is taken any more: {', '.join(refused)}" if refused else "none of them may"
        )
        return Judgement(Verdict.CONTAINED, f"asked as the agent: {said}"[:500], Grade.PLATFORM_EVALUATOR)

    def _allowed_as(self, email: str, name: str) -> bool | None:
        token = self._project.agent_token(email)
        if token is None:
            return None
        asked = {"resource": name, "permissions": [self._kind.permission]}
        calls = self._project.as_agent(token)
        return (
            self._kind.permission in calls.call(self._kind.service, "test_iam_permissions", asked).permissions
        )


def _again(policy: Json, back: Sequence[Grant]) -> dict[str, Json]:
    there = {one.key for one in grants(policy, lambda _: True)}
    return dict(with_back(policy, [one for one in back if one.key not in there]))


def _texts(resource: Resource, key: str) -> list[str]:
    held = resource.params.get(key)
    return [str(one) for one in held] if isinstance(held, list) else []


def propose(project: Project, found: Found) -> Proposed:
    """Propose each subscription and topic that is named."""
    proposed = Proposed()
    for kind in (SUBSCRIBERS, PUBLISHERS):
        for entry in found.of(kind.key):
            proposed = proposed.plus(_step(project, found, kind, entry))
    return proposed


def _step(project: Project, found: Found, kind: Kind, entry: str) -> Proposed:
    label, name = f"{kind.noun} {entry}", f"{project.name}/{kind.key}/{entry}"
    emails, members = members_of(project, found)
    if not members:
        why = "no account or principal of the agent is known that its policy could name"
        return Proposed(not_touched=(NotTouched(f"policy of {label}", why),))
    granted: Json = None
    doors: tuple[ProposedDoor, ...] = ()
    missed: tuple[str, ...] = ()
    try:
        policy = read_policy(project, kind.service, name)
        granted = [one.key for one in grants(policy, lambda one: one in members)]
        doors = tuple(_open(label, one) for one in grants(policy, lambda one: one in _ANYBODY))
    except Gone:
        return Proposed(not_touched=(NotTouched(f"policy of {label}", "there is none of this id"),))
    except ProviderError as error:
        missed = (f"policy of {label}: {error}"[:500],)
    proven = bool(emails) and len(emails) == len(members) and all(project.holds(one) for one in emails)
    params: dict[str, Json] = {
        "name": name,
        "members": [*members],
        "emails": [*emails],
        "granted": granted,
    }
    step = Proposal(
        key=f"{kind.verb}:{entry}",
        action=kind.spec.name,
        target=project.target(f"gcp-{kind.noun}-policy", f"{kind.noun}-policy/{entry}", label, **params),
        settle_s=project.settle_s(kind.spec, None if proven else UNPROVEN_SETTLE_S),
        best_grade=Grade.PLATFORM_EVALUATOR if proven else Grade.READ_BACK,
    )
    return Proposed((step,), doors=doors, incomplete=missed)


def _open(label: str, grant: Grant) -> ProposedDoor:
    """Return a door that no step of the plan closes."""
    return ProposedDoor(
        Door(
            kind=DoorKind.NO_STEP,
            name=f"{label}: {grant.role} of {grant.member}",
            reason="its policy lets anybody in, and so the agent without any credential",
            remedy=f"take {text(grant.as_json(), 'member')} out of its policy",
            owner="",
            closed_by=(),
            verdict=Verdict.NOT_CONTAINED,
        )
    )


ACTION_CLASSES = (partial(RemoveMembers, SUBSCRIBERS), partial(RemoveMembers, PUBLISHERS))
SPECS = (SUBSCRIBERS.spec, PUBLISHERS.spec)
