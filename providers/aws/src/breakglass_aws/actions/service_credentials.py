"""``aws.iam.deactivate_service_credentials``: a user's service-specific credentials, all of them.

Long-term Bedrock API keys are such credentials, as are CodeCommit's and Keyspaces'. They work on when every
access key of the user is off (IAM API reference, UpdateServiceSpecificCredential). One that was made since
the harm began, or since the plan where nobody said when that was, stays off at a restore.

A user's SSH keys, signing certificates and password have no action: the user's deny alone holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
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
from breakglass_aws.renamed import Names
from breakglass_aws.since_harm import ACTIVE, INACTIVE, kept, left_off, status, told, works

SPEC = ActionSpec(
    name="aws.iam.deactivate_service_credentials",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="sets every service-specific credential of the user inactive: Bedrock API keys, CodeCommit ...",
    permissions=(
        "iam:ListServiceSpecificCredentials",
        "iam:ListUsers",
        "iam:UpdateServiceSpecificCredential",
    ),
    blast_radius="every program that uses such a credential of this user",
    reversibility=Reversibility.FULL,
    undo="sets those active again that were active, and made before the harm began; no secret changes",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.iam.deactivate_service_credentials user/support-bot-legacy",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "IAM User Guide: changes are not always immediately visible"),
        Source("effect", Authority.VENDOR_TEXT, "IAM API reference, UpdateServiceSpecificCredential"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_service_credentials.py"),
    ),
    service="iam",
)


class DeactivateServiceCredentials:
    """Every service-specific credential of one user."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account
        self._names = Names(account)

    def observe(self, resource: Resource) -> State:
        """Read service, status and date of each; a user that is gone has none."""
        if self._account.bulk.spares():
            return State({}, complete=False, note="read when the step runs")
        found: dict[str, Json] = {}
        for one in self._names.read(resource, self._all) or ():
            service = str(one.get("ServiceName", ""))
            found[str(one["ServiceSpecificCredentialId"])] = {"service": service, **kept(one)}
        return State(found)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Set every one inactive that works."""
        for key, value in before.objects.items():
            if works(value):
                self._set(resource, key, INACTIVE)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether one is left that works."""
        alive = sorted(key for key, value in state.objects.items() if works(value))
        if alive:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(alive)} are active: {', '.join(alive)}"[:500])
        return Judgement(Verdict.CONTAINED, f"all {len(state.objects)} service-specific credentials are off")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Set those active again that were active before the stop, and of peacetime."""
        off = left_off(resource, before, now)
        outcomes: dict[str, Outcome] = {**off}
        for key, value in before.objects.items():
            if key in off:
                continue
            if key not in now.objects:
                outcomes[key] = Outcome.DRIFTED
            elif status(value) == status(now.objects[key]) or not works(value):
                outcomes[key] = Outcome.ALREADY
            elif status(now.objects[key]) != INACTIVE:
                outcomes[key] = Outcome.CANNOT
            else:
                self._set(resource, key, ACTIVE)
                outcomes[key] = Outcome.RESTORED
        reason = "credentials are as they were; one that ended meanwhile stays ended"
        return Reversal(outcomes, told(resource, reason, off))

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: their bearer calls go to services that this program has no client for."""
        return None

    def _all(self, user: str) -> list[Mapping[str, Any]]:
        """List them to the end; the paging is the API's own, botocore has no paginator for it."""
        found, more = list[Mapping[str, Any]](), dict[str, str]()
        while True:
            page = self._account.call("iam", "list_service_specific_credentials", UserName=user, **more)
            found += page.get("ServiceSpecificCredentials") or ()
            if not page.get("IsTruncated"):
                return found
            more = {"Marker": str(page["Marker"])}

    def _set(self, resource: Resource, key: str, wanted: str) -> None:
        self._account.call(
            "iam",
            "update_service_specific_credential",
            UserName=self._names.of(resource),
            ServiceSpecificCredentialId=key,
            Status=wanted,
        )


ACTION_CLASSES = (DeactivateServiceCredentials,)
SPECS = (SPEC,)
