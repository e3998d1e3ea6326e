"""``gcp.compute.deny_egress``: rules of priority 0 that deny all egress of the agent's instances.

Rules are stateful: a connection that is open goes on while a packet passes every 10 minutes, so the plan has
a door that only turning the instance off closes. Instances are met by their service account where nobody
else's instance has it, else by a network tag. The metadata server, DNS, DHCP and NTP are always reached
(VPC documentation, "VPC firewall rules"): an instance gets tokens of its account as long as it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from breakglass.canon import Json
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
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_gcp.actions import compute_egress_plan as planned
from breakglass_gcp.actions import compute_reading as reading
from breakglass_gcp.actions import compute_rules as rules
from breakglass_gcp.messages import as_json, fields
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict
from breakglass_gcp.tries import Tries

_DOCUMENT = "VPC documentation, VPC firewall rules"
SPEC = ActionSpec(
    name="gcp.compute.deny_egress",
    capability=Capability.CUT_EGRESS,
    summary=(
        "denies all new connections out of the agent's instances, in every network that they are in; open"
        " connections end when the instance is off"
    ),
    permissions=(
        *reading.INSTANCE_READS,
        "compute.firewalls.create",
        "compute.firewalls.delete",
        "compute.firewalls.get",
        "compute.globalOperations.get",
        "compute.instances.list",
        "compute.instances.setTags",
        "compute.networks.get",
        "compute.networks.getEffectiveFirewalls",
        "compute.networks.getRegionEffectiveFirewalls",
        "compute.networks.updatePolicy",
        *reading.ZONE_OPERATIONS,
    ),
    blast_radius="everything that runs on those instances; no other instance",
    reversibility=Reversibility.FULL,
    undo="deletes the rules and takes the tags away, where they are still as the stop left them",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="gcp.compute.deny_egress egress/support-prod",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Compute Engine v1 discovery document, Firewall.priority"),
        Source("effect", Authority.VENDOR_TEXT, _DOCUMENT),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_firewall.py"),
        Source("settle", Authority.UNVERIFIED, "Google publishes no time for a change of rules"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_firewall.py"),
    ),
    service="compute",
)
RULE, TAGS, ABOVE = "rule:", "tags:", "above:"
TRIES = 5


class DenyEgress:
    """All instances of the agent's in one project."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read where the instances are, the rules and tags that cut them off, and what goes before rules."""
        machines = planned.machines(self._project, resource)
        prefix = str(resource.params["rule"])
        accounts = reading.texts(resource.params.get("accounts"))
        objects: dict[str, Json] = {}
        for cut in planned.cuts(self._project, resource, machines.values()):
            seen: dict[str, Json] = {"network": cut.network, "family": cut.family, "selector": cut.selector}
            objects[f"{RULE}{cut.rule(prefix)}"] = {**seen, "there": self._rule(cut.rule(prefix))}
            ways: list[Json] = [*planned.earlier(self._project, cut, machines.values())]
            objects[f"{ABOVE}{cut.network} {cut.family}"] = {"ways": ways}
        for name, one in machines.items():
            if planned.selector(one, accounts) == rules.TAG:
                objects[f"{TAGS}{name}"] = {"id": str(one.id), "tags": sorted(one.tags.items)}
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - rules are compared
        """Tag what is met by its tag, then make each rule that is not there as it should be.

        One that fails keeps no other from being made: whoever may change an instance can refuse it a tag.
        """
        tag, tries = str(resource.params["rule"]), Tries()
        for key, seen in before.objects.items():
            if key.startswith(TAGS) and tag not in reading.texts(fields(seen)["tags"]):
                tries.make(partial(self._tag, key.removeprefix(TAGS), tag, on=True))
        for key, seen in before.objects.items():
            if key.startswith(RULE) and not _is_ours(resource, fields(seen)):
                tries.make(partial(self._make, resource, key.removeprefix(RULE), fields(seen)))
        tries.end()

    def _make(self, resource: Resource, name: str, seen: Mapping[str, Json]) -> None:
        if seen["there"] is not None:
            self._delete(name)
        self._insert(_wanted(resource, seen))

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether every network denies every instance, and nothing lets it out before."""
        count = 0
        for key, held in sorted(state.objects.items()):
            seen = fields(held)
            if key.startswith(RULE):
                count += 1
                if not _is_ours(resource, seen):
                    what = "is not there" if seen["there"] is None else "is not as it should be"
                    where = f"network {str(seen['network']).rpartition('/')[2]}"
                    return Judgement(Verdict.NOT_CONTAINED, f"the rule of {where} ({seen['family']}) {what}")
            elif key.startswith(TAGS) and str(resource.params["rule"]) not in reading.texts(seen["tags"]):
                return Judgement(Verdict.NOT_CONTAINED, f"instance {key.removeprefix(TAGS)} has no tag")
            elif key.startswith(ABOVE) and (ways := reading.texts(seen["ways"])):
                return Judgement(Verdict.NOT_CONTAINED, f"goes before the rule: {ways[0]}"[:300])
        if not count:
            return Judgement(Verdict.CONTAINED, "no instance of the agent's is in a network")
        return Judgement(
            Verdict.CONTAINED, f"{count} rules deny all new connections of the agent's instances"
        )

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - read again by name
        """Take away what the stop made, where it is still that; put back what was there under its name."""
        outcomes: dict[str, Outcome] = {}
        for key, was in before.objects.items():
            if key.startswith(RULE):
                outcomes[key] = self._rule_back(resource, key.removeprefix(RULE), fields(was))
            elif key.startswith(TAGS):
                outcomes[key] = self._tag_back(resource, key.removeprefix(TAGS), fields(was))
            else:
                outcomes[key] = Outcome.ALREADY
        return Reversal(outcomes, "rules that others changed meanwhile are left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: the executor is not on the instance."""
        return None

    def _rule_back(self, resource: Resource, name: str, was: Mapping[str, Json]) -> Outcome:
        there, former = self._rule(name), was["there"]
        if there is None and former is None:
            return Outcome.ALREADY
        if former is not None and there is not None and fields(former) == fields(there):
            return Outcome.ALREADY
        if there is None or not _is_ours(resource, {**was, "there": there}):
            return Outcome.DRIFTED
        self._delete(name)
        if former is not None:
            kept = {
                key: value for key, value in fields(former).items() if key not in ("id", "self_link", "kind")
            }
            self._insert(dict(kept))
        return Outcome.RESTORED

    def _tag_back(self, resource: Resource, name: str, was: Mapping[str, Json]) -> Outcome:
        one, tag = reading.instance(self._project, name), str(resource.params["rule"])
        if one is None or str(one.id) != was["id"]:
            return Outcome.DRIFTED
        if tag in reading.texts(was["tags"]) or tag not in one.tags.items:
            return Outcome.ALREADY
        self._tag(name, tag, on=False)
        return Outcome.RESTORED

    def _rule(self, name: str) -> dict[str, Json] | None:
        try:
            held = self._project.call("firewalls", "get", {"project": self._project.id, "firewall": name})
        except Gone:
            return None
        found = as_json(held)
        found.pop("creation_timestamp", None)
        return found

    def _insert(self, rule: Mapping[str, object]) -> None:
        from google.cloud import compute_v1

        body = compute_v1.Firewall(rule)
        asked = {"project": self._project.id, "firewall_resource": body}
        self._project.operate("firewalls", "insert", asked)

    def _delete(self, name: str) -> None:
        try:
            self._project.operate("firewalls", "delete", {"project": self._project.id, "firewall": name})
        except Gone:
            return

    def _tag(self, name: str, tag: str, *, on: bool) -> None:
        for left in reversed(range(TRIES)):
            one: Any = reading.instance(self._project, name)
            if one is None:
                return
            items = [held for held in one.tags.items if held != tag] + ([tag] if on else [])
            body = {"items": items, "fingerprint": one.tags.fingerprint}
            asked = {**reading.request(self._project, name), "tags_resource": body}
            try:
                self._project.operate("instances", "set_tags", asked)
            except Conflict:
                if not left:
                    raise
            else:
                return


def _wanted(resource: Resource, seen: Mapping[str, Json]) -> dict[str, object]:
    cut = rules.Cut(str(seen["network"]), str(seen["family"]), str(seen["selector"]))
    accounts = reading.texts(resource.params.get("accounts"))
    return rules.wanted(cut, str(resource.params["rule"]), accounts)


def _is_ours(resource: Resource, seen: Mapping[str, Json]) -> bool:
    there = seen["there"]
    want: dict[str, Any] = _wanted(resource, seen)
    return isinstance(there, Mapping) and rules.shape(there) == rules.shape(want)
