"""``aws.agentcore.stop_sessions``: ends the runtime's sessions whose ids are known.

No operation lists or describes the sessions of a runtime (botocore, bedrock-agentcore: ListSessions is
Memory's), so none can be read back: what the service answered to the stop is all that is ever known, and
sessions that nobody named live until their idle time or their longest life is over. The step says so: it
has no proof, and a window.
"""

from __future__ import annotations

from breakglass.canon import Json, sha256
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
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.actions.agentcore_runtime import CONTROL
from breakglass_aws.found import Found

DATA = "bedrock-agentcore"
IDLE_S = 900
LIFE_S = 28_800
DENY_S = 5.0
"""A caller could start a session again as long as the deny is not there."""
ASKED, UNKNOWN = "asked to stop", "not known"
SPEC = ActionSpec(
    name="aws.agentcore.stop_sessions",
    capability=Capability.STOP_WORKLOADS,
    summary="stops the named sessions of the AgentCore runtime; sessions that nobody named cannot be listed",
    permissions=(
        "bedrock-agentcore:GetAgentRuntime",
        "bedrock-agentcore:ListAgentRuntimeEndpoints",
        "bedrock-agentcore:StopRuntimeSession",
    ),
    undo_permissions=("bedrock-agentcore:GetAgentRuntime", "bedrock-agentcore:ListAgentRuntimeEndpoints"),
    blast_radius="what those sessions held in memory is lost",
    reversibility=Reversibility.NONE,
    undo="nothing: an ended session is started again by its caller",
    settle_s=15,
    best_grade=Grade.NONE,
    example="aws.agentcore.stop_sessions runtime-sessions/support_bot-AbCdEf1234",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "AgentCore Developer Guide, 'Stop a running session'"),
        Source("window", Authority.VENDOR_TEXT, "AgentCore Control API reference, LifecycleConfiguration"),
        tiers.source("request shapes and errors are held against the service's model"),
    ),
    destroys_evidence="what the sessions held in memory",
    service=DATA,
)


class StopSessions:
    """The known sessions of one runtime, on each of its endpoints."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account
        self._answered: dict[tuple[str, str], str] = {}
        # Not the state of anything: the answers of the service, which cannot be asked for a second time.

    def observe(self, resource: Resource) -> State:
        """Tell what was answered for each session and endpoint; the service cannot be asked."""
        runtime = str(resource.params["runtime"])
        listed = resource.params["sessions"]
        sessions = [str(one) for one in listed] if isinstance(listed, list) else []
        try:
            endpoints = _endpoints(self._account, runtime) if sessions else ()
        except Gone:
            return State({})
        keys = [f"{session}@{endpoint}" for session in sessions for endpoint in endpoints]
        return State({key: self._answered.get((runtime, key), UNKNOWN) for key in keys})

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Stop each session on each endpoint; one that is not there has ended."""
        runtime = str(resource.params["runtime"])
        for key, known in before.objects.items():
            if known != UNKNOWN:
                continue
            session, _, endpoint = key.rpartition("@")
            try:
                self._account.call(
                    DATA,
                    "stop_runtime_session",
                    agentRuntimeArn=runtime,
                    runtimeSessionId=session,
                    qualifier=endpoint,
                    clientToken=client_token(token, key),
                )
            except Gone:
                self._answered[runtime, key] = "not there"
            else:
                self._answered[runtime, key] = ASKED

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether every stop was answered; nothing here is proof that none runs."""
        window_s = resource.params["window_s"]
        left = sorted(key for key, known in state.objects.items() if known == UNKNOWN)
        if left:
            # Not "not contained": a later run that never asked does not know whether they run.
            return Judgement(Verdict.UNKNOWN, f"no answer yet for {', '.join(left)}", Grade.NONE)
        rest = f"sessions cannot be listed: one that nobody named may live {window_s} s more"
        return Judgement(Verdict.CONTAINED, f"{len(state.objects)} stops were answered; {rest}", Grade.NONE)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing comes back
        """Say that the sessions have ended."""
        outcomes = dict.fromkeys(before.objects, Outcome.ENDED)
        return Reversal(outcomes, "the sessions have ended; their callers start new ones")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: to ask a session for its state would be to use it."""
        return None


def client_token(token: str, what: str) -> str:
    """Return a token for one call: a second call with the same one gets the first one's answer."""
    return sha256(f"{token}:{what}".encode())


def _endpoints(account: Account, runtime: str) -> tuple[str, ...]:
    """Return the names of the runtime's endpoints, the built-in one first."""
    name = runtime.rpartition("/")[2]
    account.call(CONTROL, "get_agent_runtime", agentRuntimeId=name)
    listed = account.pages(CONTROL, "list_agent_runtime_endpoints", "runtimeEndpoints", agentRuntimeId=name)
    return tuple(dict.fromkeys(("DEFAULT", *(str(one["name"]) for one in listed))))


def propose(account: Account, found: Found) -> Proposed:
    """Propose one step for each runtime that is named, or of which a session is."""
    known = [one.partition("#")[::2] for one in found.of("runtime_sessions")]
    runtimes = dict.fromkeys([*found.of("agent_runtimes"), *(runtime for runtime, _ in known)])
    steps: list[Proposal] = []
    for runtime in runtimes:
        name = runtime.rpartition("/")[2]
        try:
            read = account.call(CONTROL, "get_agent_runtime", agentRuntimeId=name)
        except Gone:
            continue
        life = read.get("lifecycleConfiguration") or {}
        idle_s, life_s = life.get("idleRuntimeSessionTimeout", IDLE_S), life.get("maxLifetime", LIFE_S)
        sessions: list[Json] = [session for one, session in known if one == runtime]
        label = f"{len(sessions)} known sessions of AgentCore runtime {name}, idle for at most {idle_s} s"
        steps.append(
            Proposal(
                key=f"stop_sessions:{runtime}",
                action=SPEC.name,
                target=Resource(
                    "aws-agent-sessions",
                    f"runtime-sessions/{name}",
                    tiers.label(label),
                    {
                        "runtime": runtime,
                        "sessions": sessions,
                        "window_s": life_s,
                        "role_arn": read["roleArn"],
                    },
                ),
                after=(WaitFor(f"deny_runtime:{runtime}", DENY_S),)
                if runtime in found.of("agent_runtimes")
                else (),
                best_grade=Grade.NONE,
                settle_s=account.settle_s(SPEC),
                window_s=life_s,
            )
        )
    return Proposed(tuple(steps))


ACTION_CLASSES = (StopSessions,)
SPECS = (SPEC,)
