"""``aws.agentcore.deny_gateway``: nobody can call the tools behind an AgentCore gateway.

The agent's own identity at AgentCore (workload access tokens, tokens and keys of third parties) is denied
with its role. What was handed out already stays valid at the third party: a door for each provider.
"""

from __future__ import annotations

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
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Proposal, Proposed, ProposedDoor, Reversal
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.actions.agentcore_runtime import CONTROL, read_policy, resource_policies
from breakglass_aws.found import Found
from breakglass_aws.policy_deny import close_policies, judge_policies, revert_policies

INVOKE = "bedrock-agentcore:InvokeGateway"
SPEC = ActionSpec(
    name="aws.agentcore.deny_gateway",
    capability=Capability.CUT_EGRESS,
    summary="denies everybody to call the tools behind the AgentCore gateway, in the gateway's policy",
    permissions=(
        "bedrock-agentcore:GetGateway",
        "bedrock-agentcore:GetResourcePolicy",
        "bedrock-agentcore:PutResourcePolicy",
        "bedrock-agentcore:ListOauth2CredentialProviders",
        "bedrock-agentcore:ListApiKeyCredentialProviders",
    ),
    undo_permissions=(
        "bedrock-agentcore:GetGateway",
        "bedrock-agentcore:GetResourcePolicy",
        "bedrock-agentcore:PutResourcePolicy",
        "bedrock-agentcore:DeleteResourcePolicy",
    ),
    blast_radius="every agent that calls tools through this gateway",
    reversibility=Reversibility.FULL,
    undo="puts the policy back byte for byte, or removes it where there was none",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.agentcore.deny_gateway gateway/tools-abcdefghij",
    sources=(
        Source("undo", Authority.VENDOR_TEXT, "AgentCore Control API reference, DeleteResourcePolicy"),
        Source("settle", Authority.UNVERIFIED, "no time is published; that of IAM is taken"),
        tiers.source("request shapes and errors are held against the service's model"),
    ),
    service=CONTROL,
)


class DenyGateway:
    """The resource policy of one gateway."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the policy; a gateway that is gone has none."""
        arn = str(resource.params["gateway"])
        try:
            self._account.call(CONTROL, "get_gateway", gatewayIdentifier=arn.rpartition("/")[2])
        except Gone:
            return State({})
        return State({arn: read_policy(self._account, arn)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Add the Deny."""
        close_policies(resource_policies(self._account, INVOKE), before)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether the Deny is there."""
        return judge_policies(resource_policies(self._account, INVOKE), state, "calls")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - ARNs are in the states
        """Take the Deny out."""
        return revert_policies(resource_policies(self._account, INVOKE), before, now)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a call that was let in would use a tool."""
        return None


def propose(account: Account, found: Found) -> Proposed:
    """Propose to deny each gateway; what third parties gave out are doors."""
    proposed = Proposed()
    for arn in found.of("agent_gateways"):
        name = arn.rpartition("/")[2]
        try:
            account.call(CONTROL, "get_gateway", gatewayIdentifier=name)
        except Gone:
            gone = NotTouched(f"AgentCore gateway {arn}", "there is none of this ARN")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        label = tiers.label(f"tools behind AgentCore gateway {name}")
        step = Proposal(
            key=f"deny_gateway:{arn}",
            action=SPEC.name,
            target=Resource("aws-agent-gateway", f"gateway/{name}", label, {"gateway": arn}),
            settle_s=account.settle_s(SPEC),
        )
        proposed = proposed.plus(Proposed((step,)))
    if found.of("agent_gateways") or found.of("agent_runtimes"):
        proposed = proposed.plus(Proposed(doors=_third_parties(account)))
    return proposed


def _third_parties(account: Account) -> tuple[ProposedDoor, ...]:
    """Return a door for each provider of tokens and keys of this account and region."""
    oauth = account.pages(CONTROL, "list_oauth2_credential_providers", "credentialProviders")
    keys = account.pages(CONTROL, "list_api_key_credential_providers", "credentialProviders")
    return (
        *(_door(f"tokens of {one['name']} ({one['credentialProviderVendor']})") for one in oauth),
        *(_door(f"the API key of {one['name']}") for one in keys),
    )


def _door(name: str) -> ProposedDoor:
    return ProposedDoor(
        Door(
            kind=DoorKind.CREDENTIAL_WITHHELD,
            name=name,
            reason="what AgentCore handed out before the role was denied stays valid at the third party",
            remedy="revoke it there; the credential provider here keeps its secret and is left alone",
            owner="",
            closed_by=(),
            verdict=Verdict.UNKNOWN,
        )
    )


ACTION_CLASSES = (DenyGateway,)
SPECS = (SPEC,)
