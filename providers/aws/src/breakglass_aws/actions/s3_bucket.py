"""``aws.s3.deny_bucket``: one statement in the bucket's policy denies the agent's principals everything.

The statement names them by the condition key ``aws:PrincipalArn``, not as its principal: so it holds for
every session of a role, for one that is deleted and made again, and needs nobody to exist (IAM User Guide,
"AWS global condition context keys"). Other statements stay as they are, and the document's own text
comes back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Drifted, Gone, ProviderError
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
from breakglass_aws.account import Account
from breakglass_aws.agent_principals import patterns
from breakglass_aws.found import Found
from breakglass_aws.refusals import code_of

SPEC = ActionSpec(
    name="aws.s3.deny_bucket",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="denies the agent's users and roles everything in the bucket, by one statement of its policy",
    permissions=("s3:GetBucketPolicy", "s3:PutBucketPolicy"),
    blast_radius="other programs that use the same roles",
    reversibility=Reversibility.FULL,
    undo="puts the text of the bucket's policy back, or takes our statement out where others changed it",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.s3.deny_bucket bucket/support-bot-exports",
    sources=(
        Source("settle", Authority.UNVERIFIED, "S3 publishes no time for a change of a bucket's policy"),
        Source("undo", Authority.VENDOR_TEXT, "Amazon S3 API reference, PutBucketPolicy, DeleteBucketPolicy"),
        Source(
            "effect", Authority.VENDOR_TEXT, "IAM User Guide, Policy evaluation logic: an explicit deny wins"
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_s3_bucket.py"),
    ),
    service="s3",
    undo_permissions=("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"),
)
SID = "BreakglassDeny"
LIMIT = 20_480
"""Bytes of a bucket's policy (Amazon S3 User Guide, "Bucket policies")."""
POLICY = "policy"
NO_POLICY = "NoSuchBucketPolicy"


class DenyBucket:
    """The policy of one bucket."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the policy's own text; null: the bucket has none. A bucket that is gone has no object."""
        try:
            return State({POLICY: read(self._account, str(resource.params["bucket"]))})
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Put the policy with our statement in it."""
        text = _with_deny(resource, before.objects.get(POLICY))
        if len(text.encode()) > LIMIT:
            raise ProviderError("the bucket's policy would be larger than S3 allows", where=resource.id)
        self._account.call("s3", "put_bucket_policy", Bucket=resource.params["bucket"], Policy=text)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether exactly our statement is in the policy."""
        if POLICY not in state.objects:
            return Judgement(Verdict.CONTAINED, "the bucket is not there any more")
        ours = [one for one in _statements(state.objects[POLICY]) if one.get("Sid") == SID]
        if [_plain(one) for one in ours] != [_plain(_statement(resource))]:
            return Judgement(Verdict.NOT_CONTAINED, "its policy does not deny the agent")
        return Judgement(Verdict.CONTAINED, "its policy denies the agent's users and roles everything")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put the text back, or only take our statement out where the rest was changed."""
        if POLICY not in now.objects:
            return Reversal({POLICY: Outcome.DRIFTED}, "the bucket is gone")
        was, have = before.objects.get(POLICY), now.objects[POLICY]
        if was == have:
            return Reversal({POLICY: Outcome.ALREADY}, "as it was")
        statements = _statements(have)
        rest = [one for one in statements if one.get("Sid") != SID]
        if len(rest) == len(statements):
            return Reversal({POLICY: Outcome.DRIFTED}, "our statement is not there any more")
        untouched = [_plain(one) for one in rest] == [
            _plain(one) for one in _statements(was) if one.get("Sid") != SID
        ]
        if untouched:
            self._put(resource, str(was) if was is not None else None)
            return Reversal({POLICY: Outcome.RESTORED}, "the policy's own text is back")
        document = {**json.loads(str(have)), "Statement": rest}
        self._put(resource, json.dumps(document, separators=(",", ":")) if rest else None)
        return Reversal({POLICY: Outcome.RESTORED}, "our statement is out; others changed the rest meanwhile")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a refusal of the agent would prove its role's deny as well."""
        return None

    def _put(self, resource: Resource, text: str | None) -> None:
        bucket = resource.params["bucket"]
        if text is None:
            self._account.call("s3", "delete_bucket_policy", Bucket=bucket)
        else:
            self._account.call("s3", "put_bucket_policy", Bucket=bucket, Policy=text)


def read(account: Account, bucket: str) -> str | None:
    """Return the text of a bucket's policy; None: it has none. Raises Gone: there is no such bucket."""
    try:
        return str(account.call("s3", "get_bucket_policy", Bucket=bucket)["Policy"])
    except ProviderError as error:
        if code_of(error) == NO_POLICY:
            return None
        raise


def _statement(resource: Resource) -> dict[str, Json]:
    arn = str(resource.params["arn"])
    return {
        "Sid": SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"ArnEquals": {"aws:PrincipalArn": resource.params["principals"]}},
    }


def _with_deny(resource: Resource, text: Json) -> str:
    """Return the policy with our statement last, and no other of its name.

    Raises:
        Drifted: the policy is no document.
    """
    document: dict[str, Any] = {"Version": "2012-10-17"}
    if text is not None:
        try:
            document = dict(json.loads(str(text)))
        except ValueError as error:
            raise Drifted("the bucket's policy is not JSON", where=resource.id) from error
    others = [one for one in _statements(text) if one.get("Sid") != SID]
    document["Statement"] = [*others, _statement(resource)]
    return json.dumps(document, separators=(",", ":"))


def _statements(text: Json) -> list[dict[str, Any]]:
    if text is None:
        return []
    try:
        found = json.loads(str(text)).get("Statement", [])
    except (ValueError, AttributeError):
        return []
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return JSON that is equal for all spellings that mean the same: one item or a list of it, any order."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        items = sorted((_plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        return items[0] if len(items) == 1 else items
    return value


def propose(account: Account, found: Found) -> Proposed:
    """Propose it for each bucket; never where it would hit the executor or the account's root."""
    buckets = found.of("buckets")
    named = [f"role/{name}" for name in found.of("roles")] + [f"user/{name}" for name in found.of("users")]
    principals = [str(pattern) for one in named for pattern in patterns(account, one)]
    if not buckets:
        return Proposed()
    refused = _refused(account, principals)
    proposed = Proposed()
    for bucket in buckets:
        if refused or not principals:
            left = NotTouched(f"bucket {bucket}", refused or "no user or role is known to be the agent's")
            proposed = proposed.plus(Proposed(not_touched=(left,)))
            continue
        proposed = proposed.plus(_of_bucket(account, bucket, sorted(principals)))
    return proposed


def _of_bucket(account: Account, bucket: str, principals: Sequence[str]) -> Proposed:
    params: dict[str, Json] = {
        "bucket": bucket,
        "arn": account.arn("s3", bucket, region=""),
        "principals": [*principals],
    }
    target = Resource("aws-bucket", f"bucket/{bucket}", f"bucket {bucket}", params)
    try:
        now = read(account, bucket)
    except Gone:
        return Proposed(not_touched=(NotTouched(f"bucket {bucket}", "there is none of this name"),))
    if len(_with_deny(target, now).encode()) > LIMIT:
        door = Door(
            kind=DoorKind.NO_STEP,
            name=f"bucket {bucket}",
            reason="its policy has no room left for a statement that denies the agent (20 KB)",
            remedy="shorten the bucket's policy; the agent's own deny still holds",
            owner="",
            closed_by=(),
            verdict=Verdict.UNKNOWN,
        )
        return Proposed(doors=(ProposedDoor(door),))
    proposal = Proposal(f"deny_bucket:{bucket}", SPEC.name, target, settle_s=account.settle_s(SPEC))
    return Proposed((proposal,))


def _refused(account: Account, principals: Sequence[str]) -> str:
    """Return why the statement may not be set: it would hit whoever acts here."""
    caller = account.check_caller()
    own = {caller, account.settings.text("as")}
    if ":assumed-role/" in caller:
        own.add(f":role/{caller.split('/')[1]}")
    for principal in principals:
        name = f":role/{principal.rpartition('/')[2]}" if ":role/" in principal else principal
        if principal in own or name in own or principal.endswith(":root"):
            return "the deny would hit the executor itself"
    return ""


ACTION_CLASSES = (DenyBucket,)
SPECS = (SPEC,)
