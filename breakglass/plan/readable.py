"""Makes what a provider found fit to be read and signed: an agent may have chosen some of the names in it.

A name that people could not read is spelt out; a step whose exact target cannot be written down is left out
and stays an open door. Neither keeps the other steps from being planned.
"""

from __future__ import annotations

from dataclasses import replace

from breakglass.canon import Json, canonical, parse, spelt_out
from breakglass.errors import MalformedInput
from breakglass.model.action import Verdict
from breakglass.model.plan import MAX_PLAN_BYTES, Door, DoorKind, NotTouched
from breakglass.model.resource import Resource
from breakglass.provider import Discovery, Proposal, ProposedDoor
from breakglass.shape import decode, encode

MAX_LINE = 1000
"""Half of what a plan allows: the core puts words of its own before some of them."""


def line(text: str) -> str:
    """Return the text as one line of visible characters, cut where it is too long for a plan."""
    shown = spelt_out(text[: MAX_LINE + 1])  # megabytes would take seconds that others wait for
    return shown if len(shown) <= MAX_LINE else f"{shown[: MAX_LINE - 8]} ... cut"


def readable(discovery: Discovery) -> Discovery:
    """Return the same, with every word of it such that a plan can hold it."""
    proposals: list[Proposal] = []
    doors = [_door(proposed) for proposed in discovery.doors]
    for proposal in discovery.proposals:
        target = replace(proposal.target, label=line(proposal.target.label))
        problem = _problem(proposal, target)
        if problem:
            doors.append(_left_out(proposal, problem))
        else:
            affects = tuple(line(item) for item in proposal.affects)
            proposals.append(replace(proposal, target=target, affects=affects))
    return replace(
        discovery,
        scope=line(discovery.scope),
        principals=tuple(
            replace(item, kind=line(item.kind), id=line(item.id)) for item in discovery.principals
        ),
        proposals=tuple(proposals),
        doors=tuple(doors),
        not_touched=tuple(
            NotTouched(line(item.resource), line(item.reason)) for item in discovery.not_touched
        ),
        endpoints=tuple(line(item) for item in discovery.endpoints),
        incomplete=tuple(line(item) for item in discovery.incomplete),
    )


def _problem(proposal: Proposal, target: Resource) -> str:
    """Return why the exact target cannot be written into a plan; empty: it can."""
    try:
        data: Json = parse(canonical(encode(target)), where=proposal.action, max_bytes=MAX_PLAN_BYTES)
        decode(Resource, data, where=proposal.action)
    except (MalformedInput, TypeError, ValueError, RecursionError) as error:
        return line(str(error))
    return ""


def _left_out(proposal: Proposal, problem: str) -> ProposedDoor:
    return ProposedDoor(
        Door(
            DoorKind.NO_STEP,
            line(f"{proposal.action} {proposal.target.id}"),
            line(f"its name cannot be read safely by people who sign: {problem}"),
            "look at it and stop it by hand",
            "",
            (),
            Verdict.NOT_CONTAINED,
        )
    )


def _door(proposed: ProposedDoor) -> ProposedDoor:
    door = proposed.door
    return replace(
        proposed,
        door=replace(
            door,
            name=line(door.name),
            reason=line(door.reason),
            remedy=line(door.remedy),
            owner=line(door.owner),
        ),
    )
