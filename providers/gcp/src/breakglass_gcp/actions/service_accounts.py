"""``gcp.iam.disable_service_account``: tokens already issued are rejected, and no new ones are given.

The step names the account by its unique id: one that was deleted and made again under the same address is
somebody else, is reported and not touched. Enabling makes old tokens valid again (IAM REST reference,
serviceAccounts.disable), so the undo waits until none can live, or gives the rights to a successor.
Not reached by it: ID tokens that third parties check offline (1 h), and tokens of users that the account got
through domain-wide delegation.
"""

from __future__ import annotations

from breakglass.canon import Json
from breakglass.errors import Denied, Gone
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
from breakglass_gcp.actions import account_undo
from breakglass_gcp.actions.account_choice import account_name
from breakglass_gcp.messages import field, text
from breakglass_gcp.probe import judge_account, keep_token
from breakglass_gcp.project import Project

HELD_SETTLE_S = 120.0
UNHELD_SETTLE_S = 420.0
SPEC = ActionSpec(
    name="gcp.iam.disable_service_account",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="disables the service account: tokens already issued are rejected and no new ones are given",
    permissions=("iam.serviceAccounts.disable", "iam.serviceAccounts.get"),
    blast_radius="everything that acts as this account, in this project and in others",
    reversibility=Reversibility.FULL,
    undo=(
        "enables it once no token from before can live any more; with --choose tokens=rotate it stays"
        " disabled and its successor gets its roles of the project"
    ),
    settle_s=HELD_SETTLE_S,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="gcp.iam.disable_service_account account/support-bot@support-prod.iam.gserviceaccount.com",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "IAM REST reference, serviceAccounts.disable"),
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "IAM documentation, Access change propagation: typically 2 minutes, potentially 7 or longer",
        ),
        Source("undo", Authority.VENDOR_TEXT, "IAM REST reference, serviceAccounts.enable"),
        Source("proof", Authority.VENDOR_TEXT, "google/api/error_reason.proto, ACCOUNT_STATE_INVALID"),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_accounts.py"),
    ),
    service="iam",
    undo_permissions=(
        "iam.serviceAccounts.enable",
        "resourcemanager.projects.getIamPolicy",
        "resourcemanager.projects.setIamPolicy",
    ),
)
ACCOUNT = "account"
REMADE = "remade"
"""Another account that has the address now."""


class DisableServiceAccount:
    """One service account."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read whether it is disabled; one that is gone has no state, one that was remade is told."""
        try:
            account = self._read(str(resource.params["unique_id"]))
        except Gone:
            return State(self._remade(resource))
        return State({ACCOUNT: account})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Disable it unless it is; a token of a held key is asked for first, for the proof."""
        if ACCOUNT not in before.objects:
            if REMADE in before.objects:
                raise Denied(_remade_words(resource, before))
            return
        if field(before.objects[ACCOUNT], "disabled") is True:
            return
        if resource.params["held"] is True:
            keep_token(self._project, str(resource.params["email"]))
        try:
            self._project.call("iam_admin", "disable_service_account", {"name": self._name(resource)})
        except Gone:
            return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether it is dead."""
        email = str(resource.params["email"])
        if ACCOUNT not in state.objects:
            if REMADE in state.objects:
                return Judgement(Verdict.UNKNOWN, _remade_words(resource, state))
            return Judgement(
                Verdict.CONTAINED, f"{email} is gone: an account that is deleted gives no tokens"
            )
        if field(state.objects[ACCOUNT], "disabled") is not True:
            return Judgement(Verdict.NOT_CONTAINED, f"{email} is enabled")
        return Judgement(Verdict.CONTAINED, f"{email} is disabled")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Enable it when no token from before can live, or give its rights to the successor, as was chosen.

        Raises:
            Transient: tokens from before the stop may still live.
        """
        was, current = before.objects.get(ACCOUNT), now.objects.get(ACCOUNT)
        if was is None:
            return Reversal(dict.fromkeys(before.objects, Outcome.ALREADY), "there was no such account")
        objects = dict.fromkeys(before.objects, Outcome.ALREADY)
        if current is None:
            return Reversal({**objects, ACCOUNT: Outcome.DRIFTED}, "the account was deleted since the stop")
        if field(was, "disabled") is True:
            return Reversal(objects, "it was disabled before the stop, and stays so")
        if field(current, "disabled") is not True:
            early = account_undo.enabled_early(self._project, resource)
            outcome = Outcome.DRIFTED if early else Outcome.ALREADY
            return Reversal({**objects, ACCOUNT: outcome}, early or "it is enabled")
        done = account_undo.revive(self._project, resource)
        return Reversal({**objects, ACCOUNT: done.outcome}, done.reason)

    def probe(self, resource: Resource) -> Judgement | None:
        """Try the credential that is held for proof; None: none is."""
        if resource.params["held"] is not True:
            return None
        return judge_account(self._project, str(resource.params["email"]))

    def _read(self, unique_id: str) -> dict[str, Json]:
        name = account_name(self._project, unique_id)
        account = self._project.call("iam_admin", "get_service_account", {"name": name})
        return {
            "email": str(account.email),
            "unique_id": str(account.unique_id),
            "disabled": bool(account.disabled),
        }

    def _remade(self, resource: Resource) -> dict[str, Json]:
        try:
            other = self._read(str(resource.params["email"]))
        except Gone:
            return {}
        return {REMADE: other}

    def _name(self, resource: Resource) -> str:
        return account_name(self._project, str(resource.params["unique_id"]))


def _remade_words(resource: Resource, state: State) -> str:
    other = text(state.objects.get(REMADE), "unique_id")
    return (
        f"{resource.params['email']} of the plan was deleted, and another account was made under its address"
        f" (unique id {other}): it is not the plan's, and not touched"
    )


ACTION_CLASSES = (DisableServiceAccount,)
SPECS = (SPEC,)
