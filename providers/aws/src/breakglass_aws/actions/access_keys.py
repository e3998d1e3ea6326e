"""``aws.iam.deactivate_access_keys``: every access key of a user, those included that appear later.

A key is set inactive, never deleted: its secret could not come back. One that was made since the harm began,
or since the plan where nobody said when that was, stays inactive at a restore.

Sessions that were made from a key live on (12 h, at most 36 h: STS API reference, GetSessionToken); the
user's deny is what ends those.
"""

from __future__ import annotations

from typing import Any

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
from breakglass.provider import Outcome, Reversal
from breakglass_aws.account import Account
from breakglass_aws.probe import judge_dead_key
from breakglass_aws.renamed import Names
from breakglass_aws.since_harm import INACTIVE, kept, left_off, status, told

SPEC = ActionSpec(
    name="aws.iam.deactivate_access_keys",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="sets every access key of the user inactive, also one that is made while the stop runs",
    permissions=("iam:ListAccessKeys", "iam:ListUsers", "iam:UpdateAccessKey"),
    blast_radius="every program that uses a key of this user",
    reversibility=Reversibility.FULL,
    undo="sets those keys active again that were active, and made before the harm began; no secret changes",
    settle_s=10,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="aws.iam.deactivate_access_keys user/support-bot-legacy",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "IAM User Guide: changes are not always immediately visible"),
        Source("undo", Authority.VENDOR_TEXT, "IAM API reference, UpdateAccessKey: Active, Inactive"),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_access_keys.py"),
    ),
    service="iam",
)


class DeactivateAccessKeys:
    """Every access key of one user."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account
        self._names = Names(account)

    def observe(self, resource: Resource) -> State:
        """Read status and date of each key; a user that is gone has none, one that was renamed has them."""
        if self._account.bulk.spares():
            return State({}, complete=False, note="read when the step runs")
        keys = self._names.read(resource, self._keys)
        return State({str(key["AccessKeyId"]): kept(key) for key in keys or ()})

    def _keys(self, user: str) -> list[Any]:
        return list(self._account.pages("iam", "list_access_keys", "AccessKeyMetadata", UserName=user))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Set every key inactive that is not."""
        for key, value in before.objects.items():
            if status(value) != INACTIVE:
                self._set(resource, key, INACTIVE)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether a key is left that works."""
        alive = sorted(key for key, value in state.objects.items() if status(value) != INACTIVE)
        if alive:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(alive)} keys are active: {', '.join(alive)}")
        return Judgement(Verdict.CONTAINED, f"all {len(state.objects)} keys are inactive")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Set those active again that were active before the stop, and of peacetime."""
        off = left_off(resource, before, now)
        outcomes: dict[str, Outcome] = {**off}
        for key, value in before.objects.items():
            if key in off:
                continue
            if key not in now.objects:
                outcomes[key] = Outcome.DRIFTED
            elif status(value) == status(now.objects[key]):
                outcomes[key] = Outcome.ALREADY
            elif status(now.objects[key]) != INACTIVE:
                outcomes[key] = Outcome.DRIFTED
            else:
                self._set(resource, key, status(value))
                outcomes[key] = Outcome.RESTORED
        reason = "keys are as they were; one that is gone was deleted by somebody else"
        return Reversal(outcomes, told(resource, reason, off))

    def probe(self, resource: Resource) -> Judgement | None:
        """Try a key of the user's that is held for proof; None: none is."""
        if resource.params["held"] is not True:
            return None
        user = str(resource.params["user"]).rpartition("/")[2]
        keys = self._account.agent_keys(f"user/{user}")
        return None if keys is None else judge_dead_key(self._account, keys)

    def _set(self, resource: Resource, key: str, wanted: str) -> None:
        user = self._names.of(resource)
        self._account.call("iam", "update_access_key", UserName=user, AccessKeyId=key, Status=wanted)


ACTION_CLASSES = (DeactivateAccessKeys,)
SPECS = (SPEC,)
