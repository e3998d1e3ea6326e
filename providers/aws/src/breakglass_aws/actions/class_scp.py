"""``aws.organizations.extend_scp``: names the agent's principals in an SCP that denies them all.

Nobody inside the account can undo it. An SCP holds at most 5,120 characters, and never reaches the management
account (Organizations User Guide, "Quotas", "Service control policies"). The calls belong to the
management account or its delegate: where the executor may not make them, the switch is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.errors import Denied as Refused
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
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws.account import Account
from breakglass_aws.actions.armed import Denied, arns, left_alone, texts
from breakglass_aws.actions.denial import same_document
from breakglass_aws.refusals import code_of

SPEC = ActionSpec(
    name="aws.organizations.extend_scp",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="denies the agent's principals everything by a service control policy: one call for all",
    permissions=(
        "organizations:DescribeOrganization",
        "organizations:DescribePolicy",
        "organizations:ListParents",
        "organizations:ListTargetsForPolicy",
        "organizations:UpdatePolicy",
    ),
    undo_permissions=("organizations:DescribePolicy", "organizations:UpdatePolicy"),
    blast_radius="the named principals alone; never the executor, never the management account",
    reversibility=Reversibility.FULL,
    undo="puts the SCP's text back, byte for byte",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.organizations.extend_scp p-examplepolicyid111",
    sources=(
        Source(
            "settle", Authority.UNVERIFIED, "Organizations documents no time; 10 s is IAM's, as our margin"
        ),
        Source("effect", Authority.VENDOR_TEXT, "Organizations User Guide, SCP evaluation"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_class_scp.py"),
    ),
    service="organizations",
)
SID = "BreakglassQuarantine"
CONTENT = "content"
MOST_CHARACTERS = 5120
NOT_HERE = frozenset({"AWSOrganizationsNotInUseException"})


def extended(content: str, principals: list[str], executor: str) -> str:
    """Return the SCP with these principals in our own deny, which spares the executor.

    Raises:
        ProviderError: it is no policy, or it would be too long.
    """
    try:
        document = json.loads(content)
        found = document["Statement"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProviderError("the SCP is no policy that can be extended") from error
    statements = found if isinstance(found, list) else [found]
    named: list[Json] = [*sorted({*_listed(statements), *principals})]
    condition: dict[str, Json] = {"ArnLike": {"aws:PrincipalArn": named}}
    if executor:
        condition["ArnNotLike"] = {"aws:PrincipalArn": [executor]}
    ours = {"Sid": SID, "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    others = [one for one in statements if one.get("Sid") != SID]
    text = json.dumps({**document, "Statement": [*others, ours]}, separators=(",", ":"))
    if len(text) > MOST_CHARACTERS:
        raise ProviderError(f"the SCP would have {len(text)} characters, and {MOST_CHARACTERS} is the most")
    return text


def _listed(statements: list[dict[str, object]]) -> list[str]:
    """Return the principals that our deny names already: those of another incident stay denied."""
    for one in statements:
        condition = one.get("Condition")
        if one.get("Sid") == SID and isinstance(condition, dict):
            named = condition.get("ArnLike", {}).get("aws:PrincipalArn", [])
            return [named] if isinstance(named, str) else [str(item) for item in named]
    return []


class ExtendScp:
    """The content of one service control policy."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the SCP's text."""
        return State({CONTENT: _content(self._account, str(resource.params["scp"]))})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Name the principals in it.

        Raises:
            ProviderError: it would be too long.
        """
        self._set(resource, _wanted(resource, before))

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the SCP denies all of them."""
        try:
            done = same_document(_wanted(resource, state), state.objects[CONTENT])
        except ProviderError as error:
            return Judgement(Verdict.NOT_CONTAINED, error.what)
        if not done:
            return Judgement(Verdict.NOT_CONTAINED, "the SCP does not deny all of the agent's principals")
        count = len(texts(resource.params["principals"]))
        return Judgement(Verdict.CONTAINED, f"the SCP denies {count} principals everything")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put the text back if it is as the stop left it."""
        if before.objects[CONTENT] == now.objects[CONTENT]:
            outcome = Outcome.ALREADY
        elif not same_document(_wanted(resource, before), now.objects[CONTENT]):
            outcome = Outcome.DRIFTED
        else:
            self._set(resource, str(before.objects[CONTENT]))
            outcome = Outcome.RESTORED
        return Reversal({CONTENT: outcome}, "the SCP is as it was; one that others changed is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to ask
        """Return None: the simulator leaves out SCPs that have a condition, and this one has."""
        return None

    def _set(self, resource: Resource, content: str) -> None:
        scp = str(resource.params["scp"])
        self._account.call("organizations", "update_policy", PolicyId=scp, Content=content)


def _wanted(resource: Resource, state: State) -> str:
    principals = texts(resource.params["principals"])
    return extended(str(state.objects[CONTENT]), principals, str(resource.params["executor"]))


def _content(account: Account, scp: str) -> str:
    return str(account.call("organizations", "describe_policy", PolicyId=scp)["Policy"]["Content"])


def propose(account: Account, denied: Mapping[str, Denied], caller: str) -> Proposed:
    """Propose to extend the SCP where the executor may, and where it reaches this account."""
    scp = account.settings.text("class_scp")
    if not scp:
        return Proposed()
    try:
        why = _why_not(account, scp)
        if not why:
            extended(_content(account, scp), [one.arn for one in denied.values()], caller)
    except Refused as error:
        why = f"its calls belong to the organization's management account: {error.what}"
    except Gone as error:
        why = f"there is no such SCP: {error.what}"
    except ProviderError as error:
        if code_of(error) and code_of(error) not in NOT_HERE:
            raise
        why = error.what
    if why:
        return left_alone(f"SCP {scp}", why[:500])
    target = Resource(
        "aws-scp",
        scp,
        f"service control policy {scp}, for {len(denied)} principals",
        {"scp": scp, "principals": arns(denied), "executor": caller},
    )
    keys = tuple(one.key for one in denied.values())
    return Proposed(
        (Proposal("extend_scp", SPEC.name, target, settle_s=account.settle_s(SPEC), moot_by=keys),)
    )


def _why_not(account: Account, scp: str) -> str:
    """Return why this SCP does not reach the account's principals; empty: it does."""
    organization = account.call("organizations", "describe_organization")["Organization"]
    if organization.get("MasterAccountId") == account.id:
        return "this is the organization's management account: no SCP reaches it"
    targets = {
        str(one["TargetId"])
        for one in account.pages("organizations", "list_targets_for_policy", "Targets", PolicyId=scp)
    }
    here: str | None = account.id
    while here is not None:
        if here in targets:
            return ""
        if here.startswith("r-"):
            break
        above = list(account.pages("organizations", "list_parents", "Parents", ChildId=here))
        here = str(above[0]["Id"]) if above else None
    return "it is attached to nothing above this account"


ACTION_CLASSES = (ExtendScp,)
SPECS = (SPEC,)
