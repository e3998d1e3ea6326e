"""Keeps a step from running in another cluster than the one that was signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError, Transient
from breakglass.model.action import ActionSpec, Judgement
from breakglass.model.resource import Resource, State
from breakglass.provider import Action, Proposal, Reversal
from breakglass_kubernetes.recordable import without_odd
from breakglass_kubernetes.refusals import failure_of

PIN = "cluster"


class Pinned:
    """An action that refuses a target of another cluster; `pin` says which one is connected."""

    def __init__(self, action: Action, pin: Mapping[str, Json]) -> None:
        """Wrap an action."""
        self._action = action
        self._pin = dict(pin)

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        return self._action.spec

    def observe(self, resource: Resource) -> State:
        """Read live state. Raises Denied: the plan means another cluster."""
        self._check(resource)
        return without_odd(self._action.observe(resource))

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Make the change.

        Raises:
            Denied: the plan means another cluster.
            ProviderError: the world moved, or was not read whole: it must be read again before the next try.
        """
        self._check(resource)
        try:
            self._action.apply(resource, before, token)
        except (Transient, Denied) as error:
            failure = failure_of(error)
            # Tried again with what was read before, a conflict would be refused until the deadline; and a
            # webhook that refuses now need not later: others of the plan disarm those of the agent's.
            if failure.status == HTTPStatus.CONFLICT or failure.by_admission:
                raise ProviderError(error.what, where=error.where) from error.__cause__
            raise
        if not before.complete:
            raise ProviderError(f"not all could be read: {before.note}", where=resource.label)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide, purely."""
        return self._action.judge(resource, state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put it back. Raises Denied: the plan means another cluster."""
        self._check(resource)
        return self._action.revert(resource, before, now)

    def probe(self, resource: Resource) -> Judgement | None:
        """Try it as the agent. Raises Denied: the plan means another cluster."""
        self._check(resource)
        return self._action.probe(resource)

    def _check(self, resource: Resource) -> None:
        signed = resource.params.get(PIN)
        if signed != self._pin:
            raise Denied(
                f"the plan was made for another cluster: {_words(signed)}, and this is {_words(self._pin)}",
                where=resource.label,
                remedy="look at server, certificate authority and kube-system's uid; make a new plan",
            )


def pin_proposal(proposal: Proposal, pin: Mapping[str, Json]) -> Proposal:
    """Return a proposal whose target names the cluster."""
    target = proposal.target
    return replace(proposal, target=replace(target, params={**target.params, PIN: dict(pin)}))


def _words(pin: Json) -> str:
    found = pin if isinstance(pin, Mapping) else {}
    return f"{found.get('server')} (kube-system {found.get('uid')}, CA {str(found.get('ca'))[:16]})"
