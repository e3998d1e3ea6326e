"""Ends the sessions of AgentCore browsers and code interpreters that are active, those included that appear.

A new one is refused to the agent by the deny of its role. A browser of AWS's own (``aws.browser.v1``) is
shared by the whole account: its sessions do not say whose they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from breakglass.errors import Gone, ProviderError
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
from breakglass_aws.actions.agentcore_sessions import DATA, client_token
from breakglass_aws.found import Found

ACTIVE = "READY"
_MAX_PAGES = 10_000


def _spec(verb: str, kind: str, thing: str) -> ActionSpec:
    return ActionSpec(
        name=f"aws.agentcore.{verb}",
        capability=Capability.STOP_WORKLOADS,
        summary=f"ends every active session of the {thing}",
        permissions=(f"bedrock-agentcore:List{kind}Sessions", f"bedrock-agentcore:Stop{kind}Session"),
        undo_permissions=(f"bedrock-agentcore:List{kind}Sessions",),
        blast_radius=f"every session of this {thing}, whoever started it; what it held is lost",
        reversibility=Reversibility.NONE,
        undo="nothing: whoever needs a session starts a new one",
        settle_s=10,
        best_grade=Grade.READ_BACK,
        example=f"aws.agentcore.{verb} {thing.replace(' ', '-')}/research-AbCdEf1234",
        sources=(
            Source("effect", Authority.VENDOR_TEXT, f"AgentCore API reference, Stop{kind}Session"),
            Source("settle", Authority.UNVERIFIED, "no time is published; sessions are read until ended"),
            tiers.source("request shapes and errors are held against the service's model"),
        ),
        destroys_evidence="what the session held: its memory, its files, its pages",
        service=DATA,
    )


@dataclass(frozen=True, slots=True)
class _Tool:
    """How one kind of tool is called and listed."""

    spec: ActionSpec
    inventory: str
    list: str
    stop: str
    parameter: str
    thing: str


_BROWSERS = _Tool(
    _spec("stop_browser_sessions", "Browser", "browser"),
    "agent_browsers",
    "list_browser_sessions",
    "stop_browser_session",
    "browserIdentifier",
    "browser",
)
_INTERPRETERS = _Tool(
    _spec("stop_code_interpreter_sessions", "CodeInterpreter", "code interpreter"),
    "agent_code_interpreters",
    "list_code_interpreter_sessions",
    "stop_code_interpreter_session",
    "codeInterpreterIdentifier",
    "code interpreter",
)
_TOOLS = (_BROWSERS, _INTERPRETERS)


class StopToolSessions:
    """The active sessions of one browser or code interpreter."""

    def __init__(self, account: Account, tool: _Tool) -> None:
        """Call as the executor of this account."""
        self._account = account
        self._tool = tool

    @property
    def spec(self) -> ActionSpec:
        """Return what it declares."""
        return self._tool.spec

    def observe(self, resource: Resource) -> State:
        """List the active sessions, to the last page; a tool that is gone has none."""
        try:
            return State(dict.fromkeys(_active(self._account, self._tool, _tool_id(resource)), ACTIVE))
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Stop each; one that has ended meanwhile is no failure."""
        for session in before.objects:
            whose = {self._tool.parameter: _tool_id(resource)}
            try:
                once = client_token(token, session)
                self._account.call(DATA, self._tool.stop, sessionId=session, clientToken=once, **whose)
            except Gone:
                continue

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether a session is left."""
        if state.objects:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(state.objects)} sessions are active")
        return Judgement(Verdict.CONTAINED, "no session is active")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing comes back
        """Say that they have ended."""
        return Reversal(
            dict.fromkeys(before.objects, Outcome.ENDED), "whoever needs a session starts a new one"
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: the listing is the proof."""
        return None


def stop_browser_sessions(account: Account) -> StopToolSessions:
    """Make the action for browsers."""
    return StopToolSessions(account, _BROWSERS)


def stop_interpreter_sessions(account: Account) -> StopToolSessions:
    """Make the action for code interpreters."""
    return StopToolSessions(account, _INTERPRETERS)


def _tool_id(resource: Resource) -> str:
    return str(resource.params["tool"])


def _active(account: Account, tool: _Tool, name: str) -> tuple[str, ...]:
    """Return the active sessions of every page: botocore has no paginator for these two listings.

    Raises:
        ProviderError: a page failed, or the listing does not end.
    """
    found: list[str] = []
    more: dict[str, str] = {}
    for _ in range(_MAX_PAGES):
        page = account.call(DATA, tool.list, **{tool.parameter: name}, status=ACTIVE, **more)
        found += [str(one["sessionId"]) for one in page["items"]]
        if not page.get("nextToken"):
            return tuple(dict.fromkeys(found))
        more = {"nextToken": page["nextToken"]}
    raise ProviderError("the listing does not end", where=f"{DATA}:{tool.list}")


def propose(account: Account, found: Found) -> Proposed:
    """Propose to end the sessions of each browser and code interpreter."""
    proposed = Proposed()
    for tool in _TOOLS:
        for name in found.of(tool.inventory):
            proposed = proposed.plus(_propose_one(account, tool, name))
    return proposed


def _propose_one(account: Account, tool: _Tool, name: str) -> Proposed:
    try:
        _active(account, tool, name)
    except Gone:
        return Proposed(
            not_touched=(NotTouched(f"AgentCore {tool.thing} {name}", "there is none of this id"),)
        )
    step = Proposal(
        key=f"{tool.stop}s:{name}",
        action=tool.spec.name,
        target=Resource(
            "aws-agent-tool",
            f"{tool.thing.replace(' ', '-')}/{name}",
            tiers.label(f"sessions of AgentCore {tool.thing} {name}"),
            {"tool": name},
        ),
        settle_s=account.settle_s(tool.spec),
        affects=(f"every user of the account's shared {tool.thing} {name}",)
        if name.startswith("aws.")
        else (),
    )
    return Proposed((step,))


ACTION_CLASSES = (stop_browser_sessions, stop_interpreter_sessions)
SPECS = tuple(tool.spec for tool in _TOOLS)
