"""``aws.iam.tag_class``: puts a principal under a standing SCP that denies whoever carries a tag.

What the tag does is the SCP's, which an agent inside the account cannot change. A session tag of the same
key wins over the role's (IAM User Guide, "Pass session tags in AWS STS"): the SCP must deny
``sts:TagSession`` on it. Nothing here shows that the SCP denies: the principal has its own deny as well,
and its proof is that step's.
"""

from __future__ import annotations

from collections.abc import Mapping

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
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws.account import Account
from breakglass_aws.actions.armed import Denied

SPEC = ActionSpec(
    name="aws.iam.tag_class",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="tags the principal, so that the standing SCP of its organization denies it everything",
    permissions=(
        "iam:GetRole",
        "iam:GetUser",
        "iam:ListRoleTags",
        "iam:ListUserTags",
        "iam:TagRole",
        "iam:TagUser",
    ),
    undo_permissions=(
        "iam:GetRole",
        "iam:GetUser",
        "iam:ListRoleTags",
        "iam:ListUserTags",
        "iam:TagRole",
        "iam:TagUser",
        "iam:UntagRole",
        "iam:UntagUser",
    ),
    blast_radius="everything that acts as this principal",
    reversibility=Reversibility.FULL,
    undo="removes the tag, or puts its old value back",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.iam.tag_class role/support-bot",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "IAM User Guide: changes are not always immediately visible"),
        Source("effect", Authority.VENDOR_TEXT, "Organizations User Guide, SCP evaluation; aws:PrincipalTag"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_class_scp.py"),
    ),
    service="iam",
)


class TagClass:
    """The class tag of one principal."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the tag's value; a principal that is gone has none."""
        word, name, key = (str(resource.params[part]) for part in ("word", "name", "tag_key"))
        try:
            found = self._account.call("iam", f"get_{word}", **_named(word, name))[word.title()]
            pages = self._account.pages("iam", f"list_{word}_tags", "Tags", **_named(word, name))
            tags = {str(tag["Key"]): str(tag["Value"]) for tag in pages}
        except Gone:
            return State({})
        return State({f"{found[f'{word.title()}Id']} tag": tags.get(key)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Set the tag."""
        wanted = str(resource.params["tag_value"])
        if any(value != wanted for value in before.objects.values()):
            self._tag(resource, wanted)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the tag is there; that it denies is the SCP's to say."""
        wanted = resource.params["tag_value"]
        if any(value != wanted for value in state.objects.values()):
            return Judgement(Verdict.NOT_CONTAINED, "the class tag is not there")
        if not state.objects:
            return Judgement(Verdict.CONTAINED, f"{resource.label} does not exist any more")
        return Judgement(Verdict.CONTAINED, f"tagged {resource.params['tag_key']}={wanted}")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put the tag back as it was."""
        outcomes: dict[str, Outcome] = {}
        for key, was in before.objects.items():
            if key.partition(" ")[0] != resource.params["unique_id"] or key not in now.objects:
                outcomes[key] = Outcome.DRIFTED
            elif was == now.objects[key]:
                outcomes[key] = Outcome.ALREADY
            elif now.objects[key] != resource.params["tag_value"]:
                outcomes[key] = Outcome.DRIFTED
            else:
                self._tag(resource, None if was is None else str(was))
                outcomes[key] = Outcome.RESTORED
        return Reversal(outcomes, "the tag is as it was")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to ask
        """Return None: the simulator leaves out SCPs that have a condition, and this one has."""
        return None

    def _tag(self, resource: Resource, value: str | None) -> None:
        word, name, key = (str(resource.params[part]) for part in ("word", "name", "tag_key"))
        if value is None:
            self._account.call("iam", f"untag_{word}", **_named(word, name), TagKeys=[key])
        else:
            tags = [{"Key": key, "Value": value}]
            self._account.call("iam", f"tag_{word}", **_named(word, name), Tags=tags)


def _named(word: str, name: str) -> dict[str, str]:
    return {f"{word.title()}Name": name}


def propose(account: Account, denied: Mapping[str, Denied], caller: str) -> Proposed:  # noqa: ARG001 - never among them
    """Propose the tag for each principal that is denied, where a standing SCP is said to be armed."""
    key, _, value = account.settings.text("class_tag").partition("=")
    if not key:
        return Proposed()
    return Proposed(tuple(_step(account, one, key, value) for one in denied.values()))


def _step(account: Account, one: Denied, key: str, value: str) -> Proposal:
    word, _, name = one.short.partition("/")
    return Proposal(
        key=f"tag_class:{one.short}",
        action=SPEC.name,
        target=Resource(
            f"aws-{word}",
            one.short,
            f"class tag {key} of {one.arn}",
            {
                "word": word,
                "name": name,
                "principal": one.arn,
                "role_arn": one.arn,
                "unique_id": one.unique_id,
                "tag_key": key,
                "tag_value": value,
            },
        ),
        settle_s=account.settle_s(SPEC),
        moot_by=(one.key,),
    )


ACTION_CLASSES = (TagClass,)
SPECS = (SPEC,)
