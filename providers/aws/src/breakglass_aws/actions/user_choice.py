"""Decides what is done with each of the agent's users: denied, its keys and other credentials off."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.errors import Gone, ProviderError
from breakglass.model.action import ActionSpec, Grade, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource
from breakglass.provider import Proposal, Proposed, ProposedDoor
from breakglass_aws.account import Account
from breakglass_aws.actions import access_keys, deny_user, service_credentials
from breakglass_aws.canary import choose, held
from breakglass_aws.found import ACCESS_KEY, SERVICE_CREDENTIAL, Found
from breakglass_aws.since_harm import MOST_NAMED, signed

_STEPS: Mapping[str, tuple[ActionSpec, str]] = {
    ACCESS_KEY: (access_keys.SPEC, "access_keys"),
    SERVICE_CREDENTIAL: (service_credentials.SPEC, "service_credentials"),
}
"""Kind of credential -> the step that sets it inactive, and how its key begins."""


def propose(account: Account, found: Found, caller: str) -> Proposed:
    """Propose for every user of the agent's."""
    proposed = Proposed()
    for named in found.of("users"):
        name = named.rpartition("/")[2]
        try:
            arn, unique = _read(account, found, name)
        except Gone:
            proposed = proposed.plus(_missing(account, found, name))
            continue
        if arn == caller:
            proposed = proposed.plus(_own(name))
        else:
            proposed = proposed.plus(_steps(account, found, name, arn, unique))
    return proposed


def _read(account: Account, found: Found, name: str) -> tuple[str, str]:
    """Return a user's ARN and unique id. Raises Gone: there is none."""
    if (known := found.known.get(f"user/{name}")) is not None:
        return known.arn, known.id
    user = account.call("iam", "get_user", UserName=name)["User"]
    return str(user["Arn"]), str(user["UserId"])


def _missing(account: Account, found: Found, name: str) -> Proposed:
    """Say that a user is not there: one that was renamed works on under its new name, with its old keys."""
    reason = f"there is no such user in account {account.id}"
    left = Proposed(not_touched=(NotTouched(f"user/{name}", reason),))
    if name in found.renamed:
        return left
    remedy = "name the user as it is called now in the inventory, or take it out, and stop again"
    why = f"{reason}: whether it was deleted or renamed nobody says"
    door = Door(DoorKind.NO_STEP, f"user/{name} in aws", why, remedy, "", (), Verdict.UNKNOWN)
    return left.plus(Proposed(doors=(ProposedDoor(door),)))


def _own(name: str) -> Proposed:
    reason = "the executor acts as this user: denied, it could stop nothing more"
    remedy = "give breakglass an identity of its own, and stop again"
    door = Door(DoorKind.NO_STEP, f"user/{name} in aws", reason, remedy, "", (), Verdict.UNKNOWN)
    return Proposed(doors=(ProposedDoor(door),), not_touched=(NotTouched(f"user/{name}", reason),))


def _steps(account: Account, found: Found, name: str, arn: str, unique: str) -> Proposed:
    chosen, short = choose(account, arn, found), f"user/{name}"
    dead = _holds_key(account, arn)
    deny = Proposal(
        key=f"deny_user:{name}",
        action=deny_user.SPEC.name,
        target=Resource(
            "aws-user",
            short,
            f"user {name} ({found.origin('users', name)})",
            {
                "user": name,
                "principal": arn,
                "unique_id": unique,
                "policy": account.settings.quarantine_policy,
                "canary": chosen.call,
                "no_canary": chosen.why,
            },
        ),
        # A long-term key that is held is off before the deny has settled: then only the evaluator is left.
        best_grade=Grade.REFUSED_AS_AGENT if chosen.call and not dead else Grade.PLATFORM_EVALUATOR,
        settle_s=account.settle_s(deny_user.SPEC),
    )
    keys = _credentials(account, found, ACCESS_KEY, (name, unique), held=dead)
    others = _credentials(account, found, SERVICE_CREDENTIAL, (name, unique), held=False)
    return Proposed((deny, keys, others))


def _holds_key(account: Account, arn: str) -> bool:
    """Return whether a long-term key of this user is held, alive now, so that its death can be shown."""
    try:
        keys = held(account, arn)
    except ProviderError:
        return False
    return keys is not None and keys.token is None


def _credentials(account: Account, found: Found, kind: str, who: tuple[str, str], *, held: bool) -> Proposal:
    name, unique = who
    spec, key = _STEPS[kind]
    late = found.late_credentials.get((kind, name), {})
    stay = f"; {len(late)} since the harm began: off for good" if late else ""
    told = [f"{kind} {one}, {why}: a restore leaves it off" for one, why in sorted(late.items())]
    more = [f"{len(late) - MOST_NAMED} more, which CloudTrail names"] if len(late) > MOST_NAMED else []
    params = {"user": name, "unique_id": unique, "held": held, **signed(account, late)}
    return Proposal(
        key=f"{key}:{name}",
        action=spec.name,
        target=Resource("aws-user", f"user/{name}", f"{kind}s of user {name}{stay}", params),
        best_grade=Grade.REFUSED_AS_AGENT if held else Grade.READ_BACK,
        settle_s=account.settle_s(spec),
        affects=(*told[:MOST_NAMED], *more),
    )
