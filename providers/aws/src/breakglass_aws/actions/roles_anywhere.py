"""``aws.rolesanywhere.disable_profile``: certificates get no new session of the agent's roles any more.

Only new requests fail (Roles Anywhere API reference, DisableProfile): sessions that exist live on until they
expire, and the deny of the role is what ends those.
"""

from __future__ import annotations

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
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.found import Found

SPEC = ActionSpec(
    name="aws.rolesanywhere.disable_profile",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="disables the profile: no certificate gets a new session; the role's deny ends those that exist",
    permissions=(
        "rolesanywhere:GetProfile",
        "rolesanywhere:ListProfiles",
        "rolesanywhere:DisableProfile",
    ),
    undo_permissions=("rolesanywhere:GetProfile", "rolesanywhere:EnableProfile"),
    blast_radius="every workload that gets a role through this profile",
    reversibility=Reversibility.FULL,
    undo="enables the profile again, if it was enabled",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.rolesanywhere.disable_profile profile/0b2d4f6e-1a3c-5e7f-9a8b-6c4d2e0f1a3b",
    sources=(
        Source("undo", Authority.VENDOR_TEXT, "Roles Anywhere API reference, EnableProfile"),
        Source("settle", Authority.UNVERIFIED, "no time is published; that of IAM is taken"),
        tiers.source("request shapes and errors are held against the service's model"),
    ),
    service="rolesanywhere",
)


class DisableProfile:
    """One profile."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read whether it is enabled; a profile that is gone gives nothing."""
        profile = str(resource.params["profile"])
        try:
            read = self._account.call("rolesanywhere", "get_profile", profileId=profile)["profile"]
        except Gone:
            return State({})
        return State({profile: bool(read.get("enabled", True))})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Disable it."""
        for profile, enabled in before.objects.items():
            if enabled:
                self._account.call("rolesanywhere", "disable_profile", profileId=profile)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether it gives sessions."""
        if any(state.objects.values()):
            return Judgement(Verdict.NOT_CONTAINED, "the profile is enabled")
        why = "is disabled: no new sessions" if state.objects else "is not there any more"
        return Judgement(Verdict.CONTAINED, f"the profile {why}")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - ids are in the states
        """Enable it if it was enabled."""
        outcomes: dict[str, Outcome] = {}
        for profile, enabled in before.objects.items():
            if profile not in now.objects:
                outcomes[profile] = Outcome.DRIFTED
            elif now.objects[profile] == enabled:
                outcomes[profile] = Outcome.ALREADY
            else:
                self._account.call("rolesanywhere", "enable_profile", profileId=profile)
                outcomes[profile] = Outcome.RESTORED
        return Reversal(outcomes, "the profile is as it was; one that is gone was deleted by somebody else")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a session needs the agent's certificate."""
        return None


def propose(account: Account, found: Found) -> Proposed:
    """Propose each named profile; others that give a role of the agent's are said, and left."""
    named = found.of("anchor_profiles")
    if not named:
        return Proposed()
    profiles = {one["profileId"]: one for one in account.pages("rolesanywhere", "list_profiles", "profiles")}
    roles = {account.arn("iam", f"role/{one}", region="") for one in found.of("roles")}
    return Proposed(
        proposals=tuple(
            Proposal(
                key=f"disable_profile:{one}",
                action=SPEC.name,
                target=Resource(
                    "aws-anywhere-profile",
                    f"profile/{one}",
                    tiers.label(f"Roles Anywhere profile {profiles[one].get('name', one)}"),
                    {"profile": one},
                ),
                settle_s=account.settle_s(SPEC),
                affects=tuple(
                    f"workloads that get {arn} through it"
                    for arn in profiles[one].get("roleArns", ())
                    if arn not in roles
                ),
            )
            for one in named
            if one in profiles
        ),
        not_touched=tuple(
            NotTouched(f"Roles Anywhere profile {one}", "there is none of this id")
            for one in named
            if one not in profiles
        )
        + tuple(
            NotTouched(
                f"Roles Anywhere profile {one.get('name', name)}",
                "it gives a role of the agent's and is not named: the role's deny covers what it gives",
            )
            for name, one in profiles.items()
            if name not in named and one.get("enabled") and roles & set(one.get("roleArns", ()))
        ),
    )


ACTION_CLASSES = (DisableProfile,)
SPECS = (SPEC,)
