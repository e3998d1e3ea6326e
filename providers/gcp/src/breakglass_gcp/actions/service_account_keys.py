"""``gcp.iam.disable_keys``: every user-managed key of an account, those included that appear later.

A key is disabled, never deleted: its private half could not come back. Short-lived tokens that were made from
it live on (IAM REST reference, serviceAccounts.keys.delete says so of deleting); disabling the account
ends those. A key that was made, uploaded or enabled after the plan, or since the harm began, is disabled too,
and does not come back with a restore.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from breakglass.canon import Json
from breakglass.clock import Instant
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
from breakglass.provider import Outcome, Reversal
from breakglass_gcp.actions.account_choice import account_name
from breakglass_gcp.made_since import made_since
from breakglass_gcp.messages import field
from breakglass_gcp.probe import judge_key, keep_token
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of
from breakglass_gcp.since_harm import SinceHarm
from breakglass_gcp.tries import Tries

SPEC = ActionSpec(
    name="gcp.iam.disable_keys",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="disables every key of the account that users manage, also one that is made while the stop runs",
    permissions=(
        "iam.serviceAccountKeys.disable",
        "iam.serviceAccountKeys.list",
        "iam.serviceAccounts.get",
    ),
    blast_radius="every program that signs in with a key of this account",
    reversibility=Reversibility.FULL,
    undo="enables those keys again that the plan names and that were enabled; no private key changes",
    settle_s=120,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="gcp.iam.disable_keys keys/support-bot@support-prod.iam.gserviceaccount.com",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "IAM REST reference, serviceAccounts.keys.disable"),
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "IAM documentation, Access change propagation: typically 2 minutes, potentially 7 or longer",
        ),
        Source("undo", Authority.VENDOR_TEXT, "IAM REST reference, serviceAccounts.keys.enable"),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_keys.py"),
    ),
    service="iam",
    undo_permissions=("iam.serviceAccountKeys.enable",),
)
USER_MANAGED = "USER_MANAGED"
KEPT_OFF = (
    "keys that the plan names are as they were; one of after the plan, or since the harm began, stays off"
)


class DisableKeys:
    """Every user-managed key of one account."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read whether each key is disabled; an account that is gone has none."""
        try:
            return State(keys_of(self._project, str(resource.params["unique_id"])))
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Disable every key that is not; a held one is asked for a token first, for the account's proof."""
        alive = [key for key, one in before.objects.items() if field(one, "disabled") is not True]
        if alive and resource.params["held_key"]:
            keep_token(self._project, str(resource.params["email"]))
        tries = Tries()
        for key in alive:
            tries.make(partial(self._set, resource, key, "disable_service_account_key"))
        tries.end()

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether a key is left that works."""
        alive = sorted(key for key, one in state.objects.items() if field(one, "disabled") is not True)
        if alive:
            return Judgement(
                Verdict.NOT_CONTAINED, f"{len(alive)} keys are enabled: {', '.join(alive)}"[:500]
            )
        return Judgement(Verdict.CONTAINED, f"all {len(state.objects)} keys are disabled")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Enable those again that were enabled when the plan was made."""
        signed = resource.params["keys"]
        planned = set(signed) if isinstance(signed, list) else set()
        outcomes = {key: self._revived(resource, key, before, now, planned) for key in before.objects}
        return Reversal(outcomes, KEPT_OFF)

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask the key that is held for a token; None: none is."""
        return (
            judge_key(self._project, str(resource.params["email"])) if resource.params["held_key"] else None
        )

    def _revived(
        self, resource: Resource, key: str, before: State, now: State, planned: set[Json]
    ) -> Outcome:
        if key not in now.objects:
            return Outcome.DRIFTED
        if now.objects[key] == before.objects[key] or field(now.objects[key], "disabled") is not True:
            return Outcome.ALREADY
        if key not in planned:
            return Outcome.ENDED
        try:
            done = self._set(resource, key, "enable_service_account_key")
        except ProviderError as error:
            if code_of(error) == "FAILED_PRECONDITION":  # Google disabled it since: it was exposed
                return Outcome.DRIFTED
            raise
        return Outcome.RESTORED if done else Outcome.DRIFTED

    def _set(self, resource: Resource, key: str, method: str) -> bool:
        """Change a key; return whether it was there."""
        name = f"{account_name(self._project, str(resource.params['unique_id']))}/keys/{key}"
        try:
            self._project.call("iam_admin", method, {"name": name})
        except Gone:
            return False
        return True


def keys_of(project: Project, unique_id: str) -> dict[str, Json]:
    """Return each user-managed key of an account by its id.

    Raises:
        Gone: there is no such account.
        ProviderError: they cannot be listed.
    """
    return {_id(one): {"disabled": bool(one.disabled)} for one in _listed(project, unique_id)}


@dataclass(frozen=True, slots=True)
class Judged:
    """Of the keys that an account has, what a restore does with each."""

    all: tuple[str, ...]
    back: tuple[str, ...]
    """Enabled when the plan was made, and not let in since the harm began."""
    away: Mapping[str, str]
    """Key -> why it stays off, in words."""
    doubtful: tuple[str, ...]
    """Of `back`: the log does not tell whether they were enabled since."""


def judged(project: Project, unique_id: str, harm: SinceHarm) -> Judged:
    """Judge which keys come back: an uploaded one's times are its uploader's own, only the log tells of it.

    Raises:
        Gone: there is no such account.
        ProviderError: they cannot be listed.
    """
    since = project.connection.since
    keys = {_id(one): one for one in sorted(_listed(project, unique_id), key=_id)}
    away = {key: why for key, one in keys.items() if since and (why := _late(key, one, since, harm))}
    back = tuple(key for key, one in keys.items() if key not in away and not one.disabled)
    return Judged(tuple(keys), back, away, () if since is None or harm.whole else back)


def _late(key: str, one: Any, since: Instant, harm: SinceHarm) -> str:  # noqa: ANN401 - Google's messages have no types here
    """Return why a key is not of peacetime; empty: it is, as far as can be told."""
    if key in harm.keys:
        return harm.keys[key]
    made = one.valid_after_time
    if one.key_origin.name != "GOOGLE_PROVIDED" or made is None:
        return "" if harm.whole else "uploaded, and the audit log does not tell when"
    return "made since the harm began" if made_since(made, since) else ""


def _listed(project: Project, unique_id: str) -> Sequence[Any]:
    asked = {"name": account_name(project, unique_id), "key_types": [USER_MANAGED]}
    keys: Sequence[Any] = project.call("iam_admin", "list_service_account_keys", asked).keys
    return keys


def _id(key: Any) -> str:  # noqa: ANN401 - as above
    return str(key.name).rpartition("/")[2]


ACTION_CLASSES = (DisableKeys,)
SPECS = (SPEC,)
