"""``aws.events.disable_rule``: an EventBridge rule matches no event and fires by no schedule any more.

Events that pass meanwhile are lost unless their bus has an archive. A rule that an AWS service manages
cannot be disabled: it is a door.
"""

from __future__ import annotations

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
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_aws.account import Account
from breakglass_aws.found import Found
from breakglass_aws.recorded import fields, recorded

SPEC = ActionSpec(
    name="aws.events.disable_rule",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="disables the rule: it matches no event and fires by no schedule",
    permissions=("events:DescribeRule", "events:DisableRule", "events:ListTargetsByRule"),
    undo_permissions=("events:DescribeRule", "events:EnableRule", "events:PutRule", "iam:PassRole"),
    blast_radius="every target of the rule; events that pass meanwhile are lost unless the bus archives them",
    reversibility=Reversibility.FULL,
    undo="gives the rule the state that it had; what passed meanwhile does not come back",
    settle_s=60,
    best_grade=Grade.READ_BACK,
    example="aws.events.disable_rule rule/default/support-bot-hourly",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "EventBridge API reference, DisableRule"),
        Source("settle", Authority.VENDOR_TEXT, "EventBridge API reference, DisableRule: a short period"),
        Source("settle", Authority.UNVERIFIED, "the period is not published; 60 s is our margin"),
        Source("undo", Authority.VENDOR_TEXT, "EventBridge API reference, PutRule: replaces the whole rule"),
    ),
    service="events",
)
RULE = "rule"
DISABLED = "DISABLED"
_ENABLED = "ENABLED"
_KINDS = {"lambda": "functions", "sqs": "queues", "sns": "topics", "states": "state_machines"}
_SENT = ("ScheduleExpression", "EventPattern", "Description", "RoleArn")


class DisableRule:
    """One rule of one bus."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the whole rule; one that is gone has no state."""
        try:
            return State({RULE: recorded(self._account.call("events", "describe_rule", **_named(resource)))})
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Disable it unless it is."""
        if RULE in before.objects and _state(before) != DISABLED:
            try:
                self._account.call("events", "disable_rule", **_named(resource))
            except Gone:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether it can match."""
        if RULE not in state.objects:
            return Judgement(Verdict.CONTAINED, f"rule {resource.params['rule']} is gone")
        if _state(state) != DISABLED:
            return Judgement(Verdict.NOT_CONTAINED, f"the rule is {_state(state)}")
        return Judgement(Verdict.CONTAINED, "the rule is DISABLED")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Give it the state that it had, where nothing else of it changed."""
        return Reversal(
            {key: self._restore(resource, before, now) for key in before.objects},
            "the rule is as it was; one that others changed or removed is left alone",
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: an event that matched would start the agent."""
        return None

    def _restore(self, resource: Resource, before: State, now: State) -> Outcome:
        was, current = fields(before.objects[RULE]), fields(now.objects.get(RULE))
        if was == current or was["State"] == DISABLED:
            return Outcome.ALREADY
        if {**was, "State": DISABLED} != current:
            return Outcome.DRIFTED
        if was["State"] == _ENABLED:
            self._account.call("events", "enable_rule", **_named(resource))
        else:
            # EnableRule would make it plain ENABLED; PutRule replaces all that it is not given.
            sent = {key: was[key] for key in _SENT if key in was}
            self._account.call("events", "put_rule", **_named(resource), State=was["State"], **sent)
        return Outcome.RESTORED


def _named(resource: Resource) -> dict[str, str]:
    return {"Name": str(resource.params["rule"]), "EventBusName": str(resource.params["bus"])}


def _state(state: State) -> str:
    return str(fields(state.objects[RULE])["State"])


def propose(account: Account, found: Found) -> Proposed:
    """Propose to disable each rule; one that AWS manages is a door."""
    proposed = Proposed()
    for name in found.of("rules"):
        bus, _, rule = name.rpartition("/")
        proposed = proposed.plus(_propose(account, found, bus or "default", rule))
    return proposed


def _propose(account: Account, found: Found, bus: str, rule: str) -> Proposed:
    target = Resource(
        "aws-rule", f"rule/{bus}/{rule}", f"EventBridge rule {bus}/{rule}", {"bus": bus, "rule": rule}
    )
    try:
        seen = account.call("events", "describe_rule", **_named(target))
    except Gone:
        return Proposed(not_touched=(NotTouched(target.label, f"there is none in {account.region}"),))
    if managed := seen.get("ManagedBy"):
        return Proposed(doors=(_managed(target, str(managed)),))
    step = Proposal(
        key=f"disable_rule:{bus}/{rule}",
        action=SPEC.name,
        target=target,
        settle_s=account.settle_s(SPEC),
        affects=_others(account, found, target),
    )
    return Proposed((step,))


def _managed(target: Resource, by: str) -> ProposedDoor:
    return ProposedDoor(
        Door(
            kind=DoorKind.NO_STEP,
            name=target.label,
            reason=f"{by} manages it: it cannot be disabled",
            remedy=f"change what {by} made it for",
            owner=by,
            closed_by=(),
            verdict=Verdict.NOT_CONTAINED,
        )
    )


def _others(account: Account, found: Found, target: Resource) -> tuple[str, ...]:
    """Return the rule's targets that are not the agent's own."""
    named = {"Rule": str(target.params["rule"]), "EventBusName": str(target.params["bus"])}
    listed = account.pages("events", "list_targets_by_rule", "Targets", **named)
    arns = (str(one["Arn"]) for one in listed)
    return tuple(dict.fromkeys(f"target {arn}" for arn in arns if not _is_agents(found, arn)))


def _is_agents(found: Found, arn: str) -> bool:
    _, _, service, *rest = arn.split(":")
    return bool(set(found.of(_KINDS.get(service, ""))) & set(rest[2:]))


ACTION_CLASSES = (DisableRule,)
SPECS = (SPEC,)
