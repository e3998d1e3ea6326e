"""``aws.agentcore.deny_runtime``: nobody can invoke an AgentCore runtime, by any of its endpoints.

The Deny is for everybody, since the runtime is the agent: also for callers with a token of another issuer,
who have no principal of IAM (AgentCore Developer Guide, "Resource-based policies"). What runs already goes
on: see ``aws.agentcore.stop_sessions``.
"""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.canon import JsonObject
from breakglass.errors import Gone
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Proposal, Proposed, Reversal
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.found import Found
from breakglass_aws.policy_deny import Policies, close_policies, denial, judge_policies, revert_policies

CONTROL = "bedrock-agentcore-control"
INVOKE = "bedrock-agentcore:InvokeAgentRuntime*"
"""Also ...ForUser, ...Command and ...WithWebSocketStream (Service Authorization Reference, AgentCore)."""
SPEC = ActionSpec(
    name="aws.agentcore.deny_runtime",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="denies everybody to invoke the AgentCore runtime, in the policies of it and of each endpoint",
    permissions=(
        "bedrock-agentcore:GetAgentRuntime",
        "bedrock-agentcore:ListAgentRuntimeEndpoints",
        "bedrock-agentcore:GetResourcePolicy",
        "bedrock-agentcore:PutResourcePolicy",
    ),
    undo_permissions=(
        "bedrock-agentcore:GetAgentRuntime",
        "bedrock-agentcore:ListAgentRuntimeEndpoints",
        "bedrock-agentcore:GetResourcePolicy",
        "bedrock-agentcore:PutResourcePolicy",
        "bedrock-agentcore:DeleteResourcePolicy",
    ),
    blast_radius="every caller of this runtime; sessions that run go on until they are stopped or end",
    reversibility=Reversibility.FULL,
    undo="puts each policy back byte for byte, or removes it where there was none",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.agentcore.deny_runtime runtime/support_bot-AbCdEf1234",
    sources=(
        Source("undo", Authority.VENDOR_TEXT, "AgentCore Control API reference, DeleteResourcePolicy"),
        Source("settle", Authority.UNVERIFIED, "no time is published; that of IAM is taken"),
        tiers.source("request shapes and errors are held against the service's model"),
    ),
    service=CONTROL,
)


class DenyRuntime:
    """The resource policies of one runtime and all its endpoints, those included that appear later."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read each policy; a runtime that is gone has none."""
        runtime = str(resource.params["runtime"])
        arns = runtime_arns(self._account, runtime)
        return State({arn: read_policy(self._account, arn) for arn in arns})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Add the Deny wherever it is missing."""
        close_policies(resource_policies(self._account, INVOKE), before)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether every policy has the Deny."""
        return judge_policies(resource_policies(self._account, INVOKE), state, "invocations")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - ARNs are in the states
        """Take the Deny out."""
        return revert_policies(resource_policies(self._account, INVOKE), before, now)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: an invocation that was let in would start the agent."""
        return None


def runtime_arns(account: Account, runtime: str) -> tuple[str, ...]:
    """Return the ARN of the runtime and of each endpoint; none where it is gone."""
    name = runtime.rpartition("/")[2]
    try:
        account.call(CONTROL, "get_agent_runtime", agentRuntimeId=name)
    except Gone:
        return ()
    listed = account.pages(CONTROL, "list_agent_runtime_endpoints", "runtimeEndpoints", agentRuntimeId=name)
    return tuple(dict.fromkeys((runtime, *(str(one["agentRuntimeEndpointArn"]) for one in listed))))


def read_policy(account: Account, arn: str) -> str | None:
    """Return a resource's policy as the text that AWS gave; None where it has none."""
    try:
        answer = account.call(CONTROL, "get_resource_policy", resourceArn=arn)
    except Gone:
        return None
    return answer.get("policy") or None


def resource_policies(account: Account, action: str) -> Policies:
    """Return how AgentCore's resource policies are written, with a Deny of `action` for everybody."""

    def wanted(arn: str) -> Sequence[JsonObject]:
        return (denial({"Principal": "*", "Action": action, "Resource": arn}),)

    def put(arn: str, text: str) -> None:
        account.call(CONTROL, "put_resource_policy", resourceArn=arn, policy=text)

    def remove(arn: str) -> None:
        account.call(CONTROL, "delete_resource_policy", resourceArn=arn)

    return Policies(wanted, put, remove)


def propose(account: Account, found: Found) -> Proposed:
    """Propose to deny each runtime."""
    proposed = Proposed()
    for arn in found.of("agent_runtimes"):
        name = arn.rpartition("/")[2]
        if not runtime_arns(account, arn):
            gone = NotTouched(f"AgentCore runtime {arn}", "there is none of this ARN")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        label = tiers.label(f"invocation of AgentCore runtime {name}")
        step = Proposal(
            key=f"deny_runtime:{arn}",
            action=SPEC.name,
            target=Resource("aws-agent-runtime", f"runtime/{name}", label, {"runtime": arn}),
            settle_s=account.settle_s(SPEC),
        )
        proposed = proposed.plus(Proposed((step,)))
    return proposed


ACTION_CLASSES = (DenyRuntime,)
SPECS = (SPEC,)
