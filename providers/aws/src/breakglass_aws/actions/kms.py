"""``aws.kms.deny_key``: the agent's principals cannot use a key, nor change its policy or grant it on.

An explicit Deny in the key policy beats every grant (KMS Developer Guide, "Determining access to a KMS
key"), so grants stay: one that is revoked could never come back as it was. A data key that the agent has
in memory goes on working. A replica of the key in another region has a policy of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breakglass.canon import Json, JsonObject
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
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Proposal, Proposed, ProposedDoor, Reversal
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.agent_principals import (
    best_grade,
    deny_statements,
    principal_params,
    principals_shared,
    try_as_each,
)
from breakglass_aws.found import Found
from breakglass_aws.policy_deny import Policies, close_policies, judge_policies, revert_policies

DENIED = (
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey*",
    "kms:GenerateMac",
    "kms:ReEncrypt*",
    "kms:Sign",
    "kms:DeriveSharedSecret",
    "kms:CreateGrant",
    "kms:PutKeyPolicy",
)
POLICY = "default"
"""The only name that a key policy may have (KMS API reference, PutKeyPolicy)."""
SPEC = ActionSpec(
    name="aws.kms.deny_key",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="denies the agent's principals to use the key, in the key's own policy",
    permissions=("kms:DescribeKey", "kms:ListGrants", "kms:GetKeyPolicy", "kms:PutKeyPolicy"),
    undo_permissions=("kms:GetKeyPolicy", "kms:PutKeyPolicy"),
    blast_radius="whoever shares a role with the agent; data keys that were handed out go on working",
    reversibility=Reversibility.FULL,
    undo="puts the key policy back byte for byte; no grant was touched",
    settle_s=60,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="aws.kms.deny_key key/1234abcd-12ab-34cd-56ef-1234567890ab",
    sources=(
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "KMS Developer Guide, 'KMS eventual consistency': key policies; grants may take five minutes",
        ),
        Source("undo", Authority.VENDOR_TEXT, "KMS API reference, PutKeyPolicy"),
        tiers.source("request shapes and errors are held against the service's model"),
    ),
    service="kms",
)


class DenyKey:
    """The key policy of one key."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the policy; a key that is gone has none."""
        key = str(resource.params["key"])
        try:
            answer = self._account.call("kms", "get_key_policy", KeyId=key, PolicyName=POLICY)
        except Gone:
            return State({})
        return State({key: answer["Policy"]})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Add the Deny."""
        close_policies(self._policies(resource), before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the Deny is there."""
        return judge_policies(self._policies(resource), state, "the agent's principals the use")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Take the Deny out."""
        return revert_policies(self._policies(resource), before, now)

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask, as the agent, whether it may make a data key; a dry run makes none."""
        key = str(resource.params["key"])
        return try_as_each(
            self._account,
            resource.params,
            lambda keys: self._account.call_as(
                keys,
                "kms",
                "generate_data_key_without_plaintext",
                KeyId=key,
                KeySpec="AES_256",
                DryRun=True,
            ),
        )

    def _policies(self, resource: Resource) -> Policies:
        def wanted(key: str) -> Sequence[JsonObject]:  # noqa: ARG001 - a key's policy is about itself
            return deny_statements(self._account, resource.params, DENIED, "*")

        def put(key: str, text: str) -> None:
            self._account.call("kms", "put_key_policy", KeyId=key, PolicyName=POLICY, Policy=text)

        def remove(key: str) -> None:
            raise ProviderError("a key must keep a policy", where=key)

        return Policies(wanted, put, remove)


def propose(account: Account, found: Found) -> Proposed:
    """Propose a Deny for each customer managed key that the agent uses."""
    params = principal_params(found)
    proposed = Proposed()
    for name in found.of("keys"):
        proposed = proposed.plus(_propose_one(account, found, name, params))
    return proposed


def _propose_one(account: Account, found: Found, name: str, params: Mapping[str, Json]) -> Proposed:
    try:
        key = account.call("kms", "describe_key", KeyId=name)["KeyMetadata"]
    except Gone:
        return Proposed(not_touched=(NotTouched(f"key {name}", "there is none of this id"),))
    if key.get("KeyManager") == "AWS":
        why = "its policy is AWS's own: the deny of the agent's principals covers it"
        return Proposed(not_touched=(NotTouched(f"key {name}", why),))
    if not params["principals"] and not params["sessions"]:
        why = "no principal of the agent is named that a policy could deny"
        return Proposed(not_touched=(NotTouched(f"key {name}", why),))
    label = tiers.label(f"use of key {key['KeyId']}")
    step = Proposal(
        key=f"deny_key:{key['Arn']}",
        action=SPEC.name,
        target=Resource("aws-key", f"key/{key['KeyId']}", label, {"key": key["Arn"], **params}),
        best_grade=_grade(account, params, key),
        settle_s=account.settle_s(SPEC),
        affects=principals_shared(found),
    )
    return Proposed((step,), _replicas(key), _grants(account, key["Arn"], params))


def _grade(account: Account, params: Mapping[str, Json], key: Mapping[str, Any]) -> Grade:
    """Return what can be proven: the dry run asks for a data key, which only a symmetric key can make."""
    symmetric = key.get("KeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
    return best_grade(account, params) if symmetric else Grade.READ_BACK


def _replicas(key: Mapping[str, Any]) -> tuple[ProposedDoor, ...]:
    """Return a door for each copy of the key in another region."""
    known = key.get("MultiRegionConfiguration") or {}
    copies = [known.get("PrimaryKey") or {}, *(known.get("ReplicaKeys") or ())]
    return tuple(
        ProposedDoor(
            Door(
                kind=DoorKind.NO_STEP,
                name=f"key {copy['Arn']}",
                reason="a copy of the key in another region has a policy of its own",
                remedy=f"name it under keys of a reach for {copy.get('Region', 'that region')}",
                owner="",
                closed_by=(),
                verdict=Verdict.UNKNOWN,
            )
        )
        for copy in copies
        if copy.get("Arn") and copy["Arn"] != key["Arn"]
    )


def _grants(account: Account, arn: str, params: Mapping[str, Json]) -> tuple[NotTouched, ...]:
    """Return the grants to the agent's principals: they stay, and the Deny beats them."""
    listed = params["principals"] if isinstance(params["principals"], list) else []
    agents = {account.arn("iam", str(one), region="") for one in listed}
    return tuple(
        NotTouched(
            f"grant {grant['GrantId']} of key {arn} to {grant.get('GranteePrincipal')}",
            "the key policy's Deny beats it; a grant that is revoked could not come back as it was",
        )
        for grant in account.pages("kms", "list_grants", "Grants", KeyId=arn)
        if grant.get("GranteePrincipal") in agents
    )


ACTION_CLASSES = (DenyKey,)
SPECS = (SPEC,)
