"""EventBridge rules: what they deliver, when, and which may not be touched."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from breakglass_aws.sandbox.call import Call, Refusal
from breakglass_aws.sandbox.platform import backends, functions, queues
from breakglass_aws.sandbox.platform.acting import ACTING
from breakglass_aws.sandbox.platform.expressions import Dues
from breakglass_aws.sandbox.platform.targets import deliver_as_role, send_to_topic

SERVICE = "events.amazonaws.com"
OWN_RIGHT = frozenset({"lambda", "sqs", "sns"})
"""Targets that let EventBridge in by their own policy; the others need the target's role."""
DUES = Dues()


def correct() -> None:
    """Make moto's rules deliver as the service does."""
    from moto.events.models import Rule

    told = Rule.send_to_targets

    def send_to_targets(self: Any, original_event: Any, transform_input: bool = True) -> None:  # noqa: ANN401, FBT001, FBT002 - moto's own signature
        if self.state == "DISABLED" or self.event_pattern.dump() is None:
            return
        if not self.event_pattern.matches_event(original_event):
            return
        ours, theirs = _shared_out(self.targets)
        deliver(self, ours, original_event)
        if theirs:
            part = copy.copy(self)
            part.targets = theirs
            told(part, original_event, transform_input)

    Rule.send_to_targets = send_to_targets


def _shared_out(targets: list[Any]) -> tuple[list[Any], list[Any]]:
    moto = [one for one in targets if one["Arn"].split(":")[2] in ("logs", "events")]
    return [one for one in targets if one not in moto], moto


def deliver(rule: Any, targets: list[Any], event: Mapping[str, Any]) -> None:  # noqa: ANN401 - moto's
    """Hand an event to targets, each on its own."""
    for target in targets:
        ACTING.submit(
            f"rule {rule.arn} {target['Id']} {event.get('id')}",
            lambda t=target: _to_target(rule, t, event),  # type: ignore[misc]
        )


def _to_target(rule: Any, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:  # noqa: ANN401 - moto's
    """Deliver by the target's policy, or with its role.

    EventBridge User Guide, "Using resource-based policies".
    """
    arn = str(target["Arn"])
    parts = arn.split(":")
    service, body = parts[2], str(target.get("Input") or json.dumps(event, default=str))
    if service not in OWN_RIGHT or target.get("RoleArn"):
        deliver_as_role(f"rule/{rule.name}", target, body)
    elif service == "lambda":
        if functions.admits(parts[4], parts[3], arn, SERVICE, rule.arn):
            functions.invoke(parts[4], parts[3], arn)
    elif service == "sqs":
        group = (target.get("SqsParameters") or {}).get("MessageGroupId")
        queues.send(arn, body, SERVICE, rule.arn, group)
    else:
        send_to_topic(arn, body, SERVICE, rule.arn)


def tick(now: float) -> None:
    """Fire the rules whose schedule is due."""
    from moto.events.models import events_backends

    for _account, _region, backend in backends.existing(events_backends):
        for bus in list(backend.event_buses.values()):
            for rule in list(bus.rules.values()):
                if not rule.scheduled_expression:
                    continue
                enabled = rule.state != "DISABLED"
                if DUES.due(rule.arn, rule.scheduled_expression, "UTC", enabled=enabled, now=now):
                    deliver(rule, list(rule.targets), _scheduled(rule, now))


def _scheduled(rule: Any, now: float) -> dict[str, Any]:  # noqa: ANN401 - moto's
    return {
        "id": f"{now:.3f}",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": rule.account_id,
        "region": rule.region_name,
        "resources": [rule.arn],
        "detail": {},
    }


def guard_managed(call: Call) -> None:
    """Refuse to change a rule that a service made (EventBridge API reference, ManagedRuleException)."""
    rule = _find(call.account, call.region, call.params)
    if rule is None or not rule.managed_by or call.params.get("Force"):
        return
    raise Refusal("ManagedRuleException", f"Rule {rule.name} is managed by {rule.managed_by}.")


def make_managed(body: Mapping[str, Any]) -> None:
    """Mark a rule as made by a service, as no caller can."""
    from moto.events.models import events_backends

    for account, region, _ in list(backends.existing(events_backends)):
        rule = _find(account, region, {"Name": body["name"]})
        if rule is not None:
            rule.managed_by = str(body["by"])


def _find(account: str, region: str, params: Mapping[str, Any]) -> Any:  # noqa: ANN401 - moto's
    from moto.events.models import events_backends

    bus = backends.name_of(str(params.get("EventBusName") or "default"))
    buses = events_backends[account][region].event_buses
    name = params.get("Name") or params.get("Rule")
    return buses[bus].rules.get(name) if bus in buses else None


MANAGED = ("DisableRule", "EnableRule", "DeleteRule", "PutRule", "PutTargets", "RemoveTargets")
GUARDS = {("events", operation): (guard_managed,) for operation in MANAGED}
