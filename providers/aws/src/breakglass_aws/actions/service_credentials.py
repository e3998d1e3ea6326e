"""``aws.iam.deactivate_service_credentials``: a user's service-specific credentials, all of them.

Long-term Bedrock API keys are such credentials, as are CodeCommit's and Keyspaces'. They work on when every
access key of the user is off (IAM API reference, UpdateServiceSpecificCredential).
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
    undo="sets those active again that were active before; no secret changes",
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
ACTIVE, INACTIVE, EXPIRED = "Active", "Inactive", "Expired"


class DeactivateServiceCredentials:
    """Every service-specific credential of one user."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account
        self._names = Names(account)

    def observe(self, resource: Resource) -> State:
        """Read service and status of each; a user that is gone has none."""
        if self._account.bulk.spares():
            return State({}, complete=False, note="read when the step runs")
        found = self._names.read(resource, self._all)
        return State({str(one["ServiceSpecificCredentialId"]): _kept(one) for one in found or ()})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Set every one inactive that works."""
        for key, value in before.objects.items():
            if _works(value):
                self._set(resource, key, INACTIVE)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether one is left that works."""
        alive = sorted(key for key, value in state.objects.items() if _works(value))
        if alive:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(alive)} are active: {', '.join(alive)}"[:500])
        return Judgement(Verdict.CONTAINED, f"all {len(state.objects)} service-specific credentials are off")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Set those active again that were active before the stop."""
        outcomes: dict[str, Outcome] = {}
        for key, value in before.objects.items():
            if key not in now.objects:
                outcomes[key] = Outcome.DRIFTED
            elif _status(value) == _status(now.objects[key]) or not _works(value):
                outcomes[key] = Outcome.ALREADY
            elif _status(now.objects[key]) != INACTIVE:
                outcomes[key] = Outcome.CANNOT
            else:
                self._set(resource, key, ACTIVE)
                outcomes[key] = Outcome.RESTORED
        return Reversal(outcomes, "credentials are as they were; one that ended meanwhile stays ended")

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

    def _set(self, resource: Resource, key: str, status: str) -> None:
        self._account.call(
            "iam",
            "update_service_specific_credential",
            UserName=self._names.of(resource),
            ServiceSpecificCredentialId=key,
            Status=status,
        )


def _kept(one: Mapping[str, Any]) -> Json:
    return {"service": str(one.get("ServiceName", "")), "status": str(one["Status"])}


def _status(value: Json) -> str:
    return str(value["status"]) if isinstance(value, dict) else ""


def _works(value: Json) -> bool:
    """Return whether it may work: a status that is not known counts as one that does."""
    return _status(value) not in {INACTIVE, EXPIRED}


ACTION_CLASSES = (DeactivateServiceCredentials,)
SPECS = (SPEC,)
