"""``gcp.compute.remove_external_address``: the instance has no external address; flows that used it end.

A reserved address comes back at a restore. An ephemeral one does not: once released it is anybody's, and the
restore gives the instance another (Compute Engine documentation, "Configure static external IP addresses").
Suspending or stopping the instance releases an ephemeral one as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from breakglass.provider import Outcome, Proposal, Proposed, Reversal, WaitFor
from breakglass_gcp.actions import compute_members
from breakglass_gcp.actions import compute_reading as reading
from breakglass_gcp.messages import as_json, fields, text
from breakglass_gcp.project import Project
from breakglass_gcp.tries import Tries

SPEC = ActionSpec(
    name="gcp.compute.remove_external_address",
    capability=Capability.CUT_EGRESS,
    summary="takes the external addresses of the instance away; connections that use them end",
    permissions=(
        *reading.INSTANCE_READS,
        *reading.ZONE_OPERATIONS,
        "compute.addresses.list",
        "compute.instances.deleteAccessConfig",
    ),
    blast_radius="everything that reaches the instance, or that it reaches, by its external addresses",
    reversibility=Reversibility.PARTIAL,
    undo="gives a reserved address back; an ephemeral one is gone for good, and another is given",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="gcp.compute.remove_external_address instance/europe-west1-b/support-bot",
    sources=(
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "Compute Engine v1 discovery document, instances.deleteAccessConfig",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_firewall.py"),
        Source("settle", Authority.UNVERIFIED, "no time is published"),
        Source("undo", Authority.VENDOR_TEXT, "Compute Engine v1 discovery document, AccessConfig.natIP"),
    ),
    service="compute",
    undo_permissions=(
        *reading.ZONE_OPERATIONS,
        "compute.addresses.list",
        "compute.addresses.use",
        "compute.instances.addAccessConfig",
        "compute.subnetworks.useExternalIp",
    ),
)
FACES: Mapping[str, str] = {"access_configs": "nat_i_p", "ipv6_access_configs": "external_ipv6"}


class RemoveExternalAddress:
    """One instance, or all instances of a group: every interface, IPv4 and IPv6."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read every external address of every interface."""
        objects: dict[str, Json] = {}
        for name, one in reading.live(self._project, resource).items():
            for face, config in _configs(one):
                key = f"{name} {face} {config['name']}"
                objects[key] = {"id": str(one.id), "face": face, "config": config}
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - addresses are compared
        """Take each away; one that fails keeps no other."""
        tries = Tries()
        for key, held in before.objects.items():
            seen = fields(held)
            asked = {
                **reading.request(self._project, key.partition(" ")[0]),
                "network_interface": seen["face"],
                "access_config": text(seen, "config", "name"),
            }
            tries.make(partial(self._delete, asked))
        tries.end()

    def _delete(self, asked: Mapping[str, object]) -> None:
        try:
            self._project.operate("instances", "delete_access_config", asked)
        except Gone:
            return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether an external address is left."""
        for key, held in sorted(state.objects.items()):
            address = _address(fields(fields(held)["config"]))
            return Judgement(Verdict.NOT_CONTAINED, f"{key.partition(' ')[0]} has {address or 'an address'}")
        return Judgement(Verdict.CONTAINED, f"{resource.label}: no external address")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - read again
        """Give each back where the interface has none now; an ephemeral one only as another."""
        outcomes = {key: self._put_back(key, fields(held)) for key, held in before.objects.items()}
        return Reversal(
            outcomes, "a reserved address is back; where one was ephemeral the instance has another one now"
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: nothing is on the instance."""
        return None

    def _put_back(self, key: str, was: Mapping[str, Json]) -> Outcome:
        name, config = key.partition(" ")[0], dict(fields(was["config"]))
        one = reading.instance(self._project, name)
        if one is None or str(one.id) != was["id"]:
            return Outcome.DRIFTED
        there = [
            held for face, held in _configs(one) if face == was["face"] and held["type_"] == config["type_"]
        ]
        reserved = self._is_reserved(name, config)
        if there:
            same = _address(there[0]) == _address(config)
            return Outcome.ALREADY if same else Outcome.DRIFTED if reserved else Outcome.CANNOT
        if not reserved:
            config.pop("nat_i_p", None)
        body = {field: value for field, value in config.items() if field != "kind"}
        asked = {
            **reading.request(self._project, name),
            "network_interface": was["face"],
            "access_config_resource": body,
        }
        self._project.operate("instances", "add_access_config", asked)
        return Outcome.RESTORED if reserved else Outcome.CANNOT

    def _is_reserved(self, name: str, config: Mapping[str, Json]) -> bool:
        """Return whether an address is a reserved one of the project; one of IPv6 is its subnet's."""
        region = name.partition("/")[0].rpartition("-")[0]
        listing = self._project.every("addresses", "list", {"project": self._project.id, "region": region})
        return "external_ipv6" in config or config.get("nat_i_p") in {
            str(one.address) for one in listing.items
        }


def _configs(one: Any) -> Iterator[tuple[str, dict[str, Json]]]:  # noqa: ANN401 - Google's messages have no types here
    for face in one.network_interfaces:
        for kind in FACES:
            for config in getattr(face, kind):
                yield str(face.name), as_json(config)


def _address(config: Mapping[str, Json]) -> str:
    return next((str(config[name]) for name in FACES.values() if config.get(name)), "")


def proposed(project: Project, targets: Sequence[reading.Target]) -> Proposed:
    """Propose it for each instance that has an external address, and for each group."""
    return Proposed(
        tuple(_step(project, one) for one in targets if one.group or not one.found or any(_configs_of(one)))
    )


def _configs_of(target: reading.Target) -> Iterator[tuple[str, dict[str, Json]]]:
    for one in target.found.values():
        yield from _configs(one)


def _step(project: Project, target: reading.Target) -> Proposal:
    shown = ", ".join(dict.fromkeys(_address(config) for _, config in _configs_of(target)))[:80]
    label = f"{target.shown}: {shown}; an ephemeral one is lost for good" if shown else target.shown
    return Proposal(
        key=f"remove_external_address:{target.key}",
        action=SPEC.name,
        target=target.resource(project, "address", label),
        # Waits for nothing in the stop; at a restore the addresses are back before the instances are.
        after=(WaitFor(compute_members.suspend_key(target), 0.0),),
        settle_s=project.settle_s(SPEC),
    )
