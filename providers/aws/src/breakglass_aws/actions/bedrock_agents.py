"""``aws.bedrock.reject_invocations``: an alias of a Bedrock agent takes no invocation any more.

Name, description and routing are resent, since nothing says that an update keeps what it omits (Bedrock API
reference, UpdateAgentAlias). The draft has a built-in alias that cannot be changed.
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
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.found import Found

DRAFT = "TSTALIASID"
"""The alias of every agent's draft (Bedrock User Guide, "Test and troubleshoot agent behavior")."""
ACCEPT, REJECT = "ACCEPT_INVOCATIONS", "REJECT_INVOCATIONS"
READY = "PREPARED"
SPEC = ActionSpec(
    name="aws.bedrock.reject_invocations",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="lets the alias of the Bedrock agent reject every invocation",
    permissions=("bedrock:ListAgentAliases", "bedrock:GetAgentAlias", "bedrock:UpdateAgentAlias"),
    undo_permissions=("bedrock:GetAgentAlias", "bedrock:UpdateAgentAlias"),
    blast_radius="every caller of this alias; an invocation that runs already goes on to its end",
    reversibility=Reversibility.FULL,
    undo="lets the alias accept invocations again, if it did before; its name and routing stay",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.bedrock.reject_invocations agent/ABCDEFGHIJ/KLMNOPQRST",
    sources=(
        Source("undo", Authority.VENDOR_TEXT, "Bedrock API reference, UpdateAgentAlias"),
        Source("settle", Authority.UNVERIFIED, "no time is published; the alias is read until PREPARED"),
        tiers.source("request shapes and errors are held against the service's model"),
    ),
    service="bedrock-agent",
)


class RejectInvocations:
    """One alias of one Bedrock agent."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read all that an update must resend; an alias that is gone takes no invocation."""
        agent, alias = str(resource.params["agent"]), str(resource.params["alias"])
        try:
            read = self._account.call("bedrock-agent", "get_agent_alias", agentId=agent, agentAliasId=alias)[
                "agentAlias"
            ]
        except Gone:
            return State({})
        kept: dict[str, Json] = {
            "name": read["agentAliasName"],
            "description": read.get("description"),
            "routing": [dict(one) for one in read["routingConfiguration"]],
            "status": read["agentAliasStatus"],
            "invocations": read.get("aliasInvocationState", ACCEPT),
        }
        return State({alias: kept})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Let it reject."""
        for alias, value in before.objects.items():
            if isinstance(value, Mapping) and value["invocations"] != REJECT:
                self._set(resource, alias, value, REJECT)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether the alias rejects, and has done with changing."""
        for alias, value in state.objects.items():
            if not isinstance(value, Mapping) or value["invocations"] != REJECT:
                return Judgement(Verdict.NOT_CONTAINED, f"alias {alias} accepts invocations")
            if value["status"] != READY:
                return Judgement(
                    Verdict.NOT_CONTAINED, f"alias {alias} is {value['status']}, not {READY} yet"
                )
        if not state.objects:
            return Judgement(Verdict.CONTAINED, "the alias is not there any more")
        return Judgement(Verdict.CONTAINED, "the alias rejects invocations")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Let it accept again if it did; name and routing stay as they are now."""
        outcomes: dict[str, Outcome] = {}
        for alias, was in before.objects.items():
            current = now.objects.get(alias)
            if not isinstance(current, Mapping) or not isinstance(was, Mapping):
                outcomes[alias] = Outcome.DRIFTED
            elif current["invocations"] == was["invocations"]:
                outcomes[alias] = Outcome.ALREADY
            else:
                self._set(resource, alias, current, str(was["invocations"]))
                outcomes[alias] = Outcome.RESTORED
        return Reversal(outcomes, "invocations are as they were; an alias that is gone was deleted by others")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: an invocation that was let in would be the harm."""
        return None

    def _set(self, resource: Resource, alias: str, value: Mapping[str, Any], state: str) -> None:
        described = {"description": value["description"]} if value["description"] is not None else {}
        self._account.call(
            "bedrock-agent",
            "update_agent_alias",
            agentId=str(resource.params["agent"]),
            agentAliasId=alias,
            agentAliasName=value["name"],
            routingConfiguration=value["routing"],
            aliasInvocationState=state,
            **described,
        )


def propose(account: Account, found: Found) -> Proposed:
    """Propose each named alias; the draft and aliases that nobody named are doors."""
    named = [one.partition("/")[::2] for one in found.of("bedrock_agents")]
    proposed = Proposed()
    for agent in dict.fromkeys(agent for agent, _ in named):
        wanted = {alias for one, alias in named if one == agent}
        try:
            aliases = {
                one["agentAliasId"]: one
                for one in account.pages(
                    "bedrock-agent", "list_agent_aliases", "agentAliasSummaries", agentId=agent
                )
            }
        except Gone:
            gone = NotTouched(f"Bedrock agent {agent}", "there is none of this id")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        proposed = proposed.plus(_of_agent(account, agent, wanted, aliases))
    return proposed


def _of_agent(account: Account, agent: str, wanted: set[str], aliases: Mapping[str, Any]) -> Proposed:
    absent = sorted(wanted - aliases.keys() - {DRAFT})
    others = sorted(
        alias
        for alias in aliases.keys() - wanted - {DRAFT}
        if aliases[alias].get("aliasInvocationState", ACCEPT) != REJECT
    )
    return Proposed(
        proposals=tuple(
            Proposal(
                key=f"reject_invocations:{agent}/{alias}",
                action=SPEC.name,
                target=Resource(
                    "aws-agent-alias",
                    f"agent/{agent}/{alias}",
                    tiers.label(f"alias {alias} of Bedrock agent {agent}"),
                    {"agent": agent, "alias": alias},
                ),
                settle_s=account.settle_s(SPEC),
            )
            for alias in sorted(wanted & aliases.keys() - {DRAFT})
        ),
        doors=(
            _door(f"draft alias {DRAFT} of Bedrock agent {agent}", "the alias of a draft cannot be changed"),
            *(
                _door(f"alias {alias} of Bedrock agent {agent}", "the inventory does not name it")
                for alias in others
            ),
        ),
        not_touched=tuple(
            NotTouched(f"alias {alias} of Bedrock agent {agent}", "there is none of this id")
            for alias in absent
        ),
    )


def _door(name: str, why: str) -> ProposedDoor:
    return ProposedDoor(
        Door(
            kind=DoorKind.NO_STEP,
            name=name,
            reason=f"{why}: whoever may invoke it starts the agent again",
            remedy="deny the agent's service role, and bedrock:InvokeAgent to its callers",
            owner="",
            closed_by=(),
            verdict=Verdict.UNKNOWN,
        )
    )


ACTION_CLASSES = (RejectInvocations,)
SPECS = (SPEC,)
