"""What a plan must satisfy beside its signatures: roster, rule, window, clock, executor, mode, actions.

Plain Python with positive conditions: unknown is no. Each refusal has words of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from breakglass.authorise.activation import SignedActivation
from breakglass.authorise.roster_chain import TrustedRoster
from breakglass.clock import Instant
from breakglass.errors import NotAuthorised
from breakglass.model.plan import Activation, Mode, Plan, Verb
from breakglass.model.roster import Roster, Rule, RuleVerb

SKEW_S: Final = 120.0
_RULE_OF: Final = {Verb.CONTAIN: RuleVerb.CONTAIN, Verb.RESTORE: RuleVerb.RESTORE}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the executor knows, and no plan may choose."""

    executor: str
    mode: Mode
    known_actions: frozenset[str]
    drill: bool
    """Whether the kit is a drill's."""
    last_record_at: Instant | None
    """The newest instant in any journal or checkpoint of this executor; its clock may not lie behind it."""
    started_at: Instant | None = None
    """When this very plan was claimed, from our own journal: a resume. It judges the windows as of then."""
    activation: SignedActivation | None = None
    """What starts a standing plan."""

    def moment(self, now: Instant) -> Instant:
        """Return the moment at which signatures and windows are judged."""
        return now if self.started_at is None else self.started_at


def rule_for(plan: Plan, trusted: TrustedRoster) -> Rule:
    """Return the rule that governs the plan.

    Raises:
        NotAuthorised: another organisation, another roster, or no rule for the verb.
    """
    roster = trusted.roster
    if plan.org != roster.org:
        raise NotAuthorised(f"the plan is for {plan.org}, the roster of {roster.org}")
    if (plan.roster.version, plan.roster.sha256) != (roster.version, trusted.sha256):
        raise NotAuthorised(
            f"the plan was made for roster version {plan.roster.version} ({plan.roster.sha256[:8]}),"
            f" trusted is version {roster.version} ({trusted.sha256[:8]})",
            remedy="make the plan again",
        )
    rule = roster.rule(_RULE_OF[plan.verb])
    if rule is None:
        raise NotAuthorised(f"the roster has no rule for {plan.verb}")
    return rule


def check_limits(plan: Plan, rule: Rule, roster: Roster, limits: Limits, now: Instant) -> None:
    """Hold the plan against the world in which it would run.

    Raises:
        NotAuthorised: with the first reason found.
    """
    if not plan.drill == roster.drill == limits.drill:
        raise NotAuthorised(
            "a drill and the real thing do not mix:"
            f" plan {_kind(plan.drill)}, roster {_kind(roster.drill)}, kit {_kind(limits.drill)}"
        )
    if not plan.drill and (fakes := [end for reach in plan.reaches for end in reach.endpoints]):
        raise NotAuthorised(f"a real plan names an endpoint of a sandbox: {fakes[0]}")
    _check_mode(plan, limits)
    _check_window(plan, rule, limits, now)
    _check_executor(plan, roster, limits)
    for step in plan.steps:
        if step.action not in limits.known_actions:
            raise NotAuthorised(f"step {step.n} wants {step.action}, which this build does not know")


def _kind(drill: bool) -> str:  # noqa: FBT001 - the flag is the subject
    return "drill" if drill else "real"


def _check_mode(plan: Plan, limits: Limits) -> None:
    if plan.mode is not limits.mode:
        raise NotAuthorised(f"the plan is of mode {plan.mode}, the command of mode {limits.mode}")
    if plan.mode is Mode.EXECUTE and plan.activation is not Activation.PERSON:
        raise NotAuthorised("only a standing plan may be activated by the executor")
    if plan.mode is Mode.STANDING and plan.verb is not Verb.CONTAIN:
        raise NotAuthorised("only a stop may be signed ahead")


def _check_window(plan: Plan, rule: Rule, limits: Limits, now: Instant) -> None:
    if limits.last_record_at is not None and limits.last_record_at.seconds_since(now) > SKEW_S:
        raise NotAuthorised(
            f"the clock says {now}, which is before the last record of {limits.last_record_at}",
            remedy="set the clock of this machine",
        )
    ttl_s = rule.standing_max_ttl_s if plan.mode is Mode.STANDING else rule.max_ttl_s
    life_s = plan.expires.seconds_since(plan.not_before)
    if not 0 < life_s <= ttl_s:
        raise NotAuthorised(f"the plan would hold for {life_s:g} s, the rule allows {ttl_s} s")
    start = limits.moment(now)
    if plan.not_before.seconds_since(start) > SKEW_S:
        raise NotAuthorised(f"the plan does not hold before {plan.not_before}; it is {start}")
    if start >= plan.expires:
        raise NotAuthorised(
            f"the plan expired at {plan.expires}; it is {start}", remedy="make the plan again"
        )
    if limits.started_at is not None and now.seconds_since(limits.started_at) > plan.max_run_s:
        raise NotAuthorised(
            f"the plan started at {limits.started_at} and may run for {plan.max_run_s} s; it is {now}",
            remedy="make a new plan for what is still open",
        )


def _check_executor(plan: Plan, roster: Roster, limits: Limits) -> None:
    if not plan.executors:
        raise NotAuthorised("the plan names no executor")
    if plan.executors[0] != limits.executor:
        raise NotAuthorised(f"the plan may only be started by {plan.executors[0]}; this is {limits.executor}")
    if all(executor.name != limits.executor for executor in roster.executors):
        raise NotAuthorised(f"executor {limits.executor} is not in the roster")
