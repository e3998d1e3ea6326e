"""``host.systemd.pause_deployer``: a unit that would put the agent back, its triggers and what it starts."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.errors import MalformedInput
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
from breakglass.provider import Connection, Proposal, Reversal
from breakglass_host.actions.triggers import StopTriggers
from breakglass_host.actions.units_mask import MaskUnits
from breakglass_host.actions.units_stop import StopUnits, places
from breakglass_host.systemd import relations, systemctl, unit_name
from breakglass_host.systemd.relations import Units

SPEC = ActionSpec(
    name="host.systemd.pause_deployer",
    capability=Capability.FREEZE_CHANGE,
    summary="Masks and stops a unit that deploys the agent, what triggers it and what it starts.",
    permissions=("root: links in /etc/systemd/system.control, systemctl daemon-reload, kill, stop",),
    blast_radius="It deploys nothing at all meanwhile, for nobody; a run that was in the middle is ended."
    " All units are read again from the disk.",
    reversibility=Reversibility.FULL,
    undo="Removes its own links and starts what was active; a run that was in the middle stays ended, and one"
    " that a persistent timer missed is not made up for.",
    settle_s=0.0,
    best_grade=Grade.PLATFORM_EVALUATOR,
    example="host.systemd.pause_deployer unit:deploy-bot.timer",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "org.freedesktop.systemd1(5), LoadError and CanStart"),
        Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_s_deployers_units.py: systemd 252"),
        Source("undo", Authority.REAL_SYSTEM, "providers/host/tests/test_s_deployers_units.py: systemd 252"),
    ),
)
_DEADLINE_S = 60.0


class PauseUnit:
    """Triggers first, so that nothing starts it while it ends; then what they start."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Make the steps that the agent's own units are stopped by: a deployer's are stopped alike."""
        self._triggers = StopTriggers(connection)
        self._stop = StopUnits(connection)
        self._mask = MaskUnits(connection)

    def observe(self, resource: Resource) -> State:
        """Read the signed units, and every other trigger that starts them now."""
        objects: dict[str, Json] = {}
        if work := _part(resource, "work"):
            objects |= self._stop.observe(work).objects
        if triggers := _part(resource, "triggers"):
            objects |= self._triggers.observe(triggers).objects
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Mask and stop the triggers, then mask, kill and stop what they start."""
        if triggers := _part(resource, "triggers"):
            self._triggers.apply(triggers, _of(before, triggers=True), token)
        if work := _part(resource, "work"):
            self._stop.apply(work, _of(before, triggers=False), token)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: systemd says of each that it is masked, and none of them runs."""
        said = []
        for key, action in (("triggers", self._triggers), ("work", self._stop)):
            if part := _part(resource, key):
                judged = action.judge(part, _of(state, triggers=key == "triggers"))
                if judged.verdict is not Verdict.CONTAINED:
                    return judged
                said.append(judged.reason)
        return Judgement(Verdict.CONTAINED, "; ".join(said)[:500])

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Unmask what they start first, and start what was active."""
        done: list[Reversal] = []
        if work := _part(resource, "work"):
            done.append(self._mask.revert(work, _of(before, triggers=False), now))
        if triggers := _part(resource, "triggers"):
            done.append(self._triggers.revert(triggers, _of(before, triggers=True), now))
        outcomes = {key: value for one in done for key, value in one.objects.items()}
        return Reversal(outcomes, "; ".join(one.reason for one in done)[:500])

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask systemd for the refusal that a start of each would get."""
        answer = None
        for key, action in (("triggers", self._triggers), ("work", self._mask)):
            if part := _part(resource, key):
                answer = action.probe(part)
                if answer is not None and answer.verdict is not Verdict.CONTAINED:
                    return answer
        return answer


def starts(name: str) -> tuple[str, ...]:
    """Return what a timer, socket or path starts; empty for another unit."""
    if unit_name.suffix(name) not in unit_name.TRIGGERS:
        return ()
    (shown,) = systemctl.show((name,), ("Id", "Triggers"))
    return systemctl.names(shown.get("Triggers", ""))


def is_there(name: str) -> bool:
    """Return whether systemd finds a unit of this name, or any instance of a template."""
    asked = name.replace("@.", f"@{relations.MADE_UP}.") if unit_name.is_template(name) else name
    (shown,) = systemctl.show((asked,))
    return shown["LoadState"] != "not-found"


def proposal(name: str, found: Units) -> Proposal:
    """Propose to pause it; it waits for nothing."""
    cgroups = places(found.own)
    sockets: list[Json] = [one for one in found.on if unit_name.suffix(one) == "socket"]
    work: dict[str, Json] = {"units": [*found.own], "cgroups": cgroups, "cgroup": "", "sockets": sockets}
    triggers: dict[str, Json] = {"units": [*found.triggers], "of": [*found.own], "on": [*found.on]}
    target = Resource("deployer", f"unit:{name}", f"deployer {name}", {"work": work, "triggers": triggers})
    return Proposal(
        f"deployer:unit/{name}",
        SPEC.name,
        target,
        deadline_s=_DEADLINE_S,
        revokes=(f"deployer:unit/{name}",),
    )


def _part(resource: Resource, key: str) -> Resource | None:
    """Return the triggers, or what they start, as a target of its own; None: there are none.

    Raises:
        MalformedInput: the signed target has another form.
    """
    params = resource.params.get(key)
    if not isinstance(params, Mapping):
        raise MalformedInput(f"parameter {key!r} is not an object", where=resource.id)
    return Resource(resource.kind, resource.id, resource.label, params) if params.get("units") else None


def _of(state: State, *, triggers: bool) -> State:
    """Return one half of a state; what is no unit belongs to both."""
    objects = {
        key: value
        for key, value in state.objects.items()
        if not key.startswith("unit:") or (unit_name.suffix(key) in unit_name.TRIGGERS) is triggers
    }
    return State(objects, state.complete, state.note)


ACTION_CLASSES = (PauseUnit,)
