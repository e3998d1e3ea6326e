"""``aws.iam.switch_class``: one call denies a whole class, by the default version of a policy they carry.

In peacetime a neutral version is the default and another denies everything. SetDefaultPolicyVersion affects
every user, group and role that the policy is attached to (IAM API reference). No version is ever made here.
"""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json
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
from breakglass_aws.actions.armed import Denied, judge_all, left_alone, texts
from breakglass_aws.actions.denial import version_denies
from breakglass_aws.canary import short

SPEC = ActionSpec(
    name="aws.iam.switch_class",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="makes the version of the class policy that denies everything its default: one call for all",
    permissions=(
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:ListEntitiesForPolicy",
        "iam:ListPolicyVersions",
        "iam:SetDefaultPolicyVersion",
        "iam:SimulatePrincipalPolicy",
    ),
    blast_radius="every user, group and role that carries the class policy",
    reversibility=Reversibility.FULL,
    undo="makes the version the default again that was it before",
    settle_s=10,
    best_grade=Grade.PLATFORM_EVALUATOR,
    example="aws.iam.switch_class arn:aws:iam::123456789012:policy/agents-class",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "IAM User Guide: changes are not always immediately visible"),
        Source("effect", Authority.VENDOR_TEXT, "IAM API reference, SetDefaultPolicyVersion"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_class_switch.py"),
    ),
    service="iam",
)
KEY = "switch_class"
MOST_SIMULATED = 20
"""Of a larger class each principal's own step asks the evaluator; the switch itself is proven by what is read
back: the default version, and that every one of them is among the policy's attachments."""
DEFAULT, DENIES, DENYING, ATTACHED = "default", "default denies", "denying versions", "attached"


class SwitchClass:
    """The default version of the class policy."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the default version, which versions deny, and who carries the policy."""
        return State(_read(self._account, str(resource.params["policy"])))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Make the denying version the default.

        Raises:
            ProviderError: no version denies everything any more.
        """
        if before.objects[DENIES] is True:
            return
        versions = texts(before.objects[DENYING])
        if not versions:
            raise ProviderError("no version of the class policy denies everything any more")
        wanted = str(resource.params["version"])
        self._set(resource, wanted if wanted in versions else versions[0])

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the default denies, and whether all of the agent's principals still carry it."""
        if state.objects[DENIES] is not True:
            reason = f"the default version {state.objects[DEFAULT]} does not deny everything"
            return Judgement(Verdict.NOT_CONTAINED, reason)
        own = {short(arn) for arn in texts(resource.params["principals"])}
        if bare := sorted(own - set(texts(state.objects[ATTACHED]))):
            reason = f"{len(bare)} do not carry the class policy any more: {', '.join(bare)}"
            return Judgement(Verdict.NOT_CONTAINED, reason[:500])
        reason = f"version {state.objects[DEFAULT]} denies everything to all {len(own)} principals"
        return Judgement(Verdict.CONTAINED, reason)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Make the version the default again that it was."""
        outcomes = dict.fromkeys(before.objects, Outcome.ALREADY)
        was = str(before.objects[DEFAULT])
        if was != now.objects[DEFAULT]:
            if now.objects[DENIES] is True and before.objects[DENIES] is not True:
                self._set(resource, was)
                outcomes[DEFAULT] = Outcome.RESTORED
            else:
                outcomes[DEFAULT] = Outcome.DRIFTED
        return Reversal(outcomes, "the class policy has the default version that it had")

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask the evaluator about every principal of the agent's."""
        return judge_all(self._account, texts(resource.params["principals"]))

    def _set(self, resource: Resource, version: str) -> None:
        policy = str(resource.params["policy"])
        self._account.call("iam", "set_default_policy_version", PolicyArn=policy, VersionId=version)


def _read(account: Account, policy: str) -> dict[str, Json]:
    versions = list(account.pages("iam", "list_policy_versions", "Versions", PolicyArn=policy))
    ids = [str(one["VersionId"]) for one in versions]
    default = next((str(one["VersionId"]) for one in versions if one["IsDefaultVersion"]), "")
    denying = [version for version in ids if version_denies(account, policy, version)]
    attached = [
        f"{kind}/{one[f'{kind.title()}Name']}"
        for page in account.each_page("iam", "list_entities_for_policy", PolicyArn=policy)
        for kind in ("role", "user", "group")
        for one in page.get(f"Policy{kind.title()}s") or ()
    ]
    return {
        DEFAULT: default,
        DENIES: default in denying,
        DENYING: [*denying],
        ATTACHED: [*sorted(attached)],
    }


def propose(account: Account, denied: Mapping[str, Denied], caller: str) -> Proposed:
    """Propose the switch where it is armed and cuts off nobody who is not the agent's."""
    policy = account.settings.text("class_policy")
    if not policy:
        return Proposed()
    try:
        state = _read(account, policy)
    except Gone:
        return left_alone(policy, "there is no such policy: the class switch is not armed")
    attached = texts(state[ATTACHED])
    covered = [name for name in attached if name in denied]
    accepted = set(account.settings.texts("accept_blast_radius"))
    others = [name for name in attached if name not in denied]
    unaccepted = [name for name in others if name not in accepted]
    if caller and short(caller) in attached:
        return left_alone(policy, "the executor itself carries the class policy: the switch would cut it off")
    if not texts(state[DENYING]):
        return left_alone(policy, "no version of it denies everything: the class switch is not armed")
    if not covered:
        return left_alone(policy, "none of the agent's principals carries it")
    if unaccepted:
        names = ", ".join(unaccepted[:5]) + (" ..." if unaccepted[5:] else "")
        reason = (
            f"{len(unaccepted)} that are not the agent's carry it, and accept_blast_radius lacks: {names}"
        )
        return left_alone(policy, reason[:500])
    target = Resource(
        "aws-class-policy",
        policy,
        f"class policy {policy}, carried by {len(covered)} of the agent's principals",
        {
            "policy": policy,
            "version": texts(state[DENYING])[0],
            "principals": [denied[name].arn for name in covered],
        },
    )
    step = Proposal(
        key=KEY,
        action=SPEC.name,
        target=target,
        best_grade=SPEC.best_grade if len(covered) <= MOST_SIMULATED else Grade.READ_BACK,
        settle_s=account.settle_s(SPEC),
        moot_by=tuple(denied[name].key for name in covered),
        affects=tuple(others),
    )
    return Proposed((step,))


ACTION_CLASSES = (SwitchClass,)
SPECS = (SPEC,)
