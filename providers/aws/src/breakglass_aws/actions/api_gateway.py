"""``aws.apigateway.throttle_stage`` and ``aws.apigateway.disable_key``: nobody gets through to the agent.

A stage is throttled to nothing, its overrides by method or route included: those beat the stage's own
limit (API Gateway Developer Guide, "Throttle requests"). Limits are kept as text: they may be fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.actions.stage_limits import (
    Limits,
    is_nothing,
    put_http,
    put_rest,
    read_http,
    read_rest,
)
from breakglass_aws.found import Found

_SOURCES = (
    Source("effect", Authority.UNVERIFIED, "that a limit of 0 refuses every request is not written down"),
    Source("settle", Authority.UNVERIFIED, "no time is published"),
    tiers.source("request shapes and errors are held against the service's model"),
)
THROTTLE = ActionSpec(
    name="aws.apigateway.throttle_stage",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="sets the stage's rate and burst to 0, and those of every method or route that has its own",
    permissions=("apigateway:GET", "apigateway:PATCH"),
    blast_radius="every caller of this stage; WebSocket connections that are open stay open",
    reversibility=Reversibility.FULL,
    undo="puts each limit back, or takes it away where there was none",
    settle_s=30,
    best_grade=Grade.READ_BACK,
    example="aws.apigateway.throttle_stage rest/a1b2c3d4e5/prod",
    sources=_SOURCES,
    service="apigateway",
)
DISABLE = ActionSpec(
    name="aws.apigateway.disable_key",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="disables the API key: methods that ask for a key refuse it",
    permissions=("apigateway:GET", "apigateway:PATCH"),
    blast_radius="every caller with this key; methods that ask for no key stay open",
    reversibility=Reversibility.FULL,
    undo="enables the key again, if it was enabled; its value does not change",
    settle_s=30,
    best_grade=Grade.READ_BACK,
    example="aws.apigateway.disable_key apikey/f6g7h8i9j0",
    sources=_SOURCES,
    service="apigateway",
)


class ThrottleStage:
    """The limits of one stage of a REST, HTTP or WebSocket API."""

    spec = THROTTLE

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the limits by method or route; a stage that is gone has none."""
        try:
            limits = _read(self._account, resource)
        except Gone:
            return State({})
        return State({key: value and dict(value) for key, value in limits.items()})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Set every limit to nothing."""
        open_ones = (key for key, limit in before.objects.items() if not is_nothing(limit))
        _put(self._account, resource, {key: {"rate": "0", "burst": "0"} for key in open_ones})

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether any limit lets something through."""
        left = sorted(key for key, limit in state.objects.items() if not is_nothing(limit))
        if left:
            return Judgement(Verdict.NOT_CONTAINED, f"requests get through: {', '.join(left)}")
        if not state.objects:
            return Judgement(Verdict.CONTAINED, "the stage is not there any more")
        return Judgement(Verdict.CONTAINED, "rate and burst are 0 everywhere")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put back what is still 0, and look whether it is back."""
        outcomes: dict[str, Outcome] = {}
        change: Limits = {}
        for key, was in before.objects.items():
            if key not in now.objects:
                outcomes[key] = Outcome.ALREADY if was is None and now.objects else Outcome.DRIFTED
            elif now.objects[key] == was:
                outcomes[key] = Outcome.ALREADY
            elif not is_nothing(now.objects[key]):
                outcomes[key] = Outcome.DRIFTED
            else:
                change[key] = was if isinstance(was, Mapping) else None
                outcomes[key] = Outcome.RESTORED
        if change:
            _put(self._account, resource, change)
            after = _read(self._account, resource)
            # An HTTP API has no call that takes the stage's own limit away.
            stuck = [key for key in change if is_nothing(after.get(key)) and not is_nothing(change[key])]
            outcomes |= dict.fromkeys(stuck, Outcome.CANNOT)
        return Reversal(outcomes, "limits are as they were; those that others changed are left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a request that was let in would start the agent."""
        return None


class DisableKey:
    """One API key."""

    spec = DISABLE

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read whether it is enabled, never its value; a key that is gone opens nothing."""
        key = str(resource.params["key"])
        try:
            read = self._account.call("apigateway", "get_api_key", apiKey=key, includeValue=False)
        except Gone:
            return State({})
        return State({key: bool(read.get("enabled", True))})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Disable it."""
        for key, enabled in before.objects.items():
            if enabled:
                self._set(key, enabled=False)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether it opens anything."""
        if any(state.objects.values()):
            return Judgement(Verdict.NOT_CONTAINED, "the key is enabled")
        return Judgement(Verdict.CONTAINED, f"the key is {'disabled' if state.objects else 'gone'}")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - ids are in the states
        """Enable it if it was."""
        outcomes: dict[str, Outcome] = {}
        for key, enabled in before.objects.items():
            if key not in now.objects:
                outcomes[key] = Outcome.DRIFTED
            elif now.objects[key] == enabled:
                outcomes[key] = Outcome.ALREADY
            else:
                self._set(key, enabled=bool(enabled))
                outcomes[key] = Outcome.RESTORED
        return Reversal(outcomes, "the key is as it was; one that is gone was deleted by somebody else")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: the key's value is not read."""
        return None

    def _set(self, key: str, *, enabled: bool) -> None:
        patch = [{"op": "replace", "path": "/enabled", "value": "true" if enabled else "false"}]
        self._account.call("apigateway", "update_api_key", apiKey=key, patchOperations=patch)


def _read(account: Account, resource: Resource) -> Limits:
    api, stage = str(resource.params["api"]), str(resource.params["stage"])
    return (read_rest if resource.params["kind"] == "rest" else read_http)(account, api, stage)


def _put(account: Account, resource: Resource, limits: Limits) -> None:
    api, stage = str(resource.params["api"]), str(resource.params["stage"])
    (put_rest if resource.params["kind"] == "rest" else put_http)(account, api, stage, limits)


def propose(account: Account, found: Found) -> Proposed:
    """Propose each stage and key."""
    proposed = Proposed()
    for entry in found.of("apis"):
        proposed = proposed.plus(_propose_one(account, entry))
    return proposed


def _propose_one(account: Account, entry: str) -> Proposed:
    kind, _, name = entry.partition(":")
    api, _, stage = name.partition("/")
    if kind not in {"rest", "http", "apikey"} or not api or bool(stage) == (kind == "apikey"):
        why = "it is none of rest:ID/STAGE, http:ID/STAGE, apikey:ID"
        return Proposed(not_touched=(NotTouched(f"API {entry}", why),))
    spec = DISABLE if kind == "apikey" else THROTTLE
    params: dict[str, Json] = {"key": api} if kind == "apikey" else {"kind": kind, "api": api, "stage": stage}
    shown = f"API key {api}" if kind == "apikey" else f"stage {stage} of {kind} API {api}"
    target = Resource("aws-api", f"{kind}/{name}", tiers.label(shown), params)
    action: Any = DisableKey(account) if kind == "apikey" else ThrottleStage(account)
    if not action.observe(target).objects:
        return Proposed(not_touched=(NotTouched(f"API {entry}", "there is none of this id"),))
    verb = spec.name.rpartition(".")[2]
    step = Proposal(key=f"{verb}:{entry}", action=spec.name, target=target, settle_s=account.settle_s(spec))
    return Proposed((step,))


ACTION_CLASSES = (ThrottleStage, DisableKey)
SPECS = (THROTTLE, DISABLE)
