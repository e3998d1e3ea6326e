"""``gcp.storage.deactivate_hmac_keys``: Cloud Storage's own keys, which no sweep of account keys sees.

A key is set inactive, never deleted: its secret could not come back. Cloud Storage JSON API reference, HMAC
keys: a change is refused where the ETag that it carries is not the key's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from breakglass.clock import Instant
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
from breakglass.provider import Outcome, Reversal
from breakglass_gcp.actions.account_choice import account_name
from breakglass_gcp.made_since import made_since
from breakglass_gcp.messages import text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict
from breakglass_gcp.since_harm import SinceHarm
from breakglass_gcp.tries import Tries

SPEC = ActionSpec(
    name="gcp.storage.deactivate_hmac_keys",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="sets every HMAC key of the account inactive, also one that is made while the stop runs",
    permissions=(
        "iam.serviceAccounts.get",
        "storage.hmacKeys.get",
        "storage.hmacKeys.list",
        "storage.hmacKeys.update",
    ),
    blast_radius="every program that reaches Cloud Storage with an HMAC key of this account",
    reversibility=Reversibility.FULL,
    undo="sets those keys active again that were active when the plan was made; no secret changes",
    settle_s=180,
    best_grade=Grade.READ_BACK,
    example="gcp.storage.deactivate_hmac_keys hmac/support-bot@support-prod.iam.gserviceaccount.com",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Cloud Storage JSON API reference, projects.hmacKeys.update"),
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "Cloud Storage documentation, Manage HMAC keys: up to 3 minutes to propagate",
        ),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_hmac.py"),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_hmac.py"),
    ),
    service="storage",
)
ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"
MOST_TRIES = 5
KEPT_OFF = (
    "keys that the plan names are as they were; one of after the plan, or since the harm began, stays off"
)


class DeactivateHmacKeys:
    """Every HMAC key of one account."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read the state of each key; an account that is gone has none: they go with it."""
        name = account_name(self._project, str(resource.params["unique_id"]))
        try:
            self._project.call("iam_admin", "get_service_account", {"name": name})
        except Gone:
            return State({})
        return State(
            {
                key: {"state": text(one, "state")}
                for key, one in hmac_keys(self._project, str(resource.params["email"])).items()
            }
        )

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Set every key inactive that is not; one that is fought over keeps no other active."""
        tries = Tries()
        for key, one in before.objects.items():
            if text(one, "state") == ACTIVE:
                tries.make(partial(self._set, key, ACTIVE, INACTIVE))
        tries.end()

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether a key is left that works."""
        alive = sorted(key for key, one in state.objects.items() if text(one, "state") != INACTIVE)
        if alive:
            return Judgement(
                Verdict.NOT_CONTAINED, f"{len(alive)} HMAC keys are active: {', '.join(alive)}"[:500]
            )
        return Judgement(Verdict.CONTAINED, f"all {len(state.objects)} HMAC keys are inactive")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Set those active again that were active when the plan was made."""
        signed = resource.params["keys"]
        planned = set(signed) if isinstance(signed, list) else set()
        outcomes: dict[str, Outcome] = {}
        for key, was in before.objects.items():
            if key not in now.objects:
                outcomes[key] = Outcome.DRIFTED
            elif now.objects[key] == was or text(now.objects[key], "state") != INACTIVE:
                outcomes[key] = Outcome.ALREADY
            elif key not in planned:
                outcomes[key] = Outcome.ENDED
            else:
                done = self._set(key, INACTIVE, ACTIVE)
                outcomes[key] = Outcome.RESTORED if done else Outcome.DRIFTED
        return Reversal(outcomes, KEPT_OFF)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - its secret is never held
        """Return None: nobody but the agent has the secret."""
        return None

    def _set(self, key: str, was: str, wanted: str) -> bool:
        """Change a key that is as it was, by its ETag; return whether it is as wanted now.

        Raises:
            Conflict: somebody else wrote between each read and write, five times.
        """
        path = f"storage/v1/{self._project.name}/hmacKeys/{quote(key, safe='')}"
        for tried in range(1, MOST_TRIES + 1):
            try:
                live = self._project.rest("storage", "GET", path)
                if live.get("state") != was:
                    return live.get("state") == wanted
                self._project.rest("storage", "PUT", path, body={"state": wanted, "etag": live.get("etag")})
            except Gone:
                return False
            except Conflict:
                if tried == MOST_TRIES:
                    raise
                continue
            return True
        return False


def hmac_keys(project: Project, email: str = "") -> dict[str, dict[str, Any]]:
    """Return the HMAC keys of an account, or of all, by access id.

    Raises:
        ProviderError: they cannot be listed.
    """
    query = {"serviceAccountEmail": email or None}
    found = project.rest_pages("storage", f"storage/v1/{project.name}/hmacKeys", "items", query=query)
    return {str(one["accessId"]): one for one in found.items if one.get("accessId")}


def late(key: str, one: Mapping[str, Any], since: Instant, harm: SinceHarm) -> str:
    """Return why a key is not of peacetime; empty: it is, as far as can be told.

    Cloud Storage JSON API reference, HMAC keys: `updated` is when its metadata was changed last; its state
    alone can be. An earlier restore changes it too: the log tells.
    """
    if key in harm.keys:
        return harm.keys[key]
    if made_since(text(one, "timeCreated"), since):
        return "made since the harm began"
    if made_since(text(one, "updated"), since) and not harm.whole:
        return "changed since the harm began, and the audit log does not tell by whom"
    return ""


ACTION_CLASSES = (DeactivateHmacKeys,)
SPECS = (SPEC,)
