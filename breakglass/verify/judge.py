"""Decides the verdict of a run from its plan, its steps' histories and what was found unsigned: pure.

The order is DESIGN 1: *not contained* when a step is proven open, a credential was only withheld, a tool of
effect write, external, money or irreversible has no step, or an unsigned principal still has access; else
*unknown* when a step is unproven, a window still runs or a provider was not planned; else *contained*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from breakglass.journal.history import Moment, StepHistory
from breakglass.model.action import Grade, Phase, Verdict
from breakglass.model.plan import Door, Plan, Step, Verb
from breakglass.shape import Line, Name


@dataclass(frozen=True, slots=True)
class Found:
    """A principal that was not in the signed plan; it was not touched."""

    provider: Name
    scope: Line
    kind: Name
    id: Line
    reason: Line


@dataclass(frozen=True, slots=True)
class OpenItem:
    """One thing that is still open, or not known to be closed; the first thing that an operator reads."""

    kind: str
    name: str
    reason: str
    remedy: str
    owner: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict, and everything that keeps it from being better."""

    verdict: Verdict
    open: tuple[OpenItem, ...]
    moot: frozenset[int]
    """Steps whose own outcome does not matter any more, since others are proven."""


def proven(history: StepHistory | None) -> bool:
    """Return whether a step ended contained, with proof."""
    return (
        history is not None
        and history.closed
        and history.verdict is Verdict.CONTAINED
        and history.grade is not Grade.NONE
    )


def assess(
    plan: Plan,
    histories: Mapping[int, StepHistory],
    found: Sequence[Found] = (),
    *,
    now: Moment | None = None,
) -> Assessment:
    """Judge a run. `now` lets a stated window be seen as ended; without it every window still runs."""
    moot = frozenset(step.n for step in plan.steps if _is_moot(step, histories))
    items = [
        *(_door_item(door, histories) for door in plan.doors),
        *(_step_item(step, histories.get(step.n), now) for step in plan.steps if step.n not in moot),
        *(_found_item(item) for item in found),
        _nothing_item(plan),
        *(
            OpenItem(
                "not_planned", f"{item.provider} {item.scope}", item.reason, _PLAN_AGAIN, "", Verdict.UNKNOWN
            )
            for item in plan.not_planned
        ),
    ]
    still_open = tuple(item for item in items if item is not None)
    order = {Verdict.NOT_CONTAINED: 0, Verdict.UNKNOWN: 1, Verdict.CONTAINED: 2}
    still_open = tuple(sorted(still_open, key=lambda item: order[item.verdict]))
    return Assessment(worst(item.verdict for item in still_open), still_open, moot)


UNREAD = "reach"
"""The kind of a `Found` that is no principal: a reach that could not be looked at again."""
_PLAN_AGAIN = "plan again when it answers: breakglass plan AGENT"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of some verdicts; contained when there is none."""
    seen = set(verdicts)
    for verdict in (Verdict.NOT_CONTAINED, Verdict.UNKNOWN):
        if verdict in seen:
            return verdict
    return Verdict.CONTAINED


def _nothing_item(plan: Plan) -> OpenItem | None:
    """Keep a plan that stops nothing from being contained, whatever else is in it."""
    stops = any(step.capability.phase is not Phase.PRESERVE for step in plan.steps)
    if stops or plan.verb is not Verb.CONTAIN:
        return None
    reason = "no step of the plan stops anything"
    return OpenItem(
        "no_step", plan.agent, reason, "correct the inventory, then stop it again", "", Verdict.UNKNOWN
    )


def _is_moot(step: Step, histories: Mapping[int, StepHistory]) -> bool:
    """Return whether other proven steps make this one's outcome irrelevant."""
    if not step.moot_by or proven(histories.get(step.n)):
        return False
    return all(proven(histories.get(other)) for other in step.moot_by)


def _door_item(door: Door, histories: Mapping[int, StepHistory]) -> OpenItem | None:
    if door.closed_by and all(proven(histories.get(n)) for n in door.closed_by):
        return None
    return OpenItem(door.kind.value, door.name, door.reason, door.remedy, door.owner, door.verdict)


def _step_item(step: Step, history: StepHistory | None, now: Moment | None) -> OpenItem | None:
    if proven(history):
        return None
    name = f"{step.action} {step.target.label}"
    if history is None:
        return OpenItem("step", name, "was not started", _RESUME, "", Verdict.UNKNOWN)
    if history.verdict is Verdict.NOT_CONTAINED and history.closed:
        return OpenItem("step", name, history.reason, _RESUME, "", Verdict.NOT_CONTAINED)
    if step.best_grade is Grade.NONE and step.window_s is not None:
        return _window_item(step, history, name, now)
    return OpenItem("step", name, history.reason, _RESUME, "", Verdict.UNKNOWN)


_RESUME = "find out why, then stop it again: breakglass stop AGENT"


def _window_item(step: Step, history: StepHistory, name: str, now: Moment | None) -> OpenItem | None:
    """Hold a step that nothing can prove open until its stated window has ended.

    The window counts from the read that followed the last change, and only once a settle time later the
    same was read again. Of the two clocks the one that went less far decides: a wall clock can step, and a
    monotonic one begins anew at each boot.
    """
    left_s = float(step.window_s or 0)
    if history.settled and history.read_back is not None and now is not None:
        wall_s = now.at.seconds_since(history.read_back.at)
        monotonic_s = (now.monotonic_us - history.read_back.monotonic_us) / 1e6
        left_s -= max(0.0, min(wall_s, monotonic_s))
        if left_s <= 0:
            return None
    return OpenItem(
        "window",
        name,
        f"may live {left_s:.0f} s more",
        "wait until it has ended, then stop it again",
        "",
        Verdict.UNKNOWN,
    )


def _found_item(found: Found) -> OpenItem:
    if found.kind == UNREAD:
        return OpenItem(
            "not_looked_again",
            f"{found.provider} {found.scope}",
            found.reason,
            _PLAN_AGAIN,
            "",
            Verdict.UNKNOWN,
        )
    return OpenItem(
        "found_not_signed",
        f"{found.provider} {found.scope} {found.kind} {found.id}",
        found.reason,
        "add it to the inventory, then stop it: breakglass stop AGENT",
        "",
        Verdict.NOT_CONTAINED,
    )
