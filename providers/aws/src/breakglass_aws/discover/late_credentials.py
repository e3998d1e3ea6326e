"""Names the credentials of the agent's users that no restore gives back, as CloudTrail tells of them.

What was made since the harm began stays off by its date, whoever made it. Of a credential of peacetime that
was off, and that the agent set active or let have a new secret, only CloudTrail tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from breakglass.clock import Instant
from breakglass.model.plan import NotTouched
from breakglass_aws.found import ACCESS_KEY, SERVICE_CREDENTIAL, Found
from breakglass_aws.since_harm import ACTIVE, made_since
from breakglass_aws.trail_events import Event, caller, mapping, text_at

_ID = "serviceSpecificCredentialId"
_MADE = {
    "CreateAccessKey": (ACCESS_KEY, "accessKey", "accessKeyId"),
    "CreateServiceSpecificCredential": (SERVICE_CREDENTIAL, "serviceSpecificCredential", _ID),
}
"""Event -> kind, and where its answer names what was made."""
_LET_IN = {
    "UpdateAccessKey": (ACCESS_KEY, "accessKeyId", "set active"),
    "UpdateServiceSpecificCredential": (SERVICE_CREDENTIAL, _ID, "set active"),
    "ResetServiceSpecificCredential": (SERVICE_CREDENTIAL, _ID, "given a new secret"),
}
"""Event -> kind, where its request names the credential, and what was done to it."""
_NO_STEP = {
    "CreateLoginProfile": "password",
    "UpdateLoginProfile": "password",
    "UploadSSHPublicKey": "SSH key",
    "UploadSigningCertificate": "signing certificate",
}
Late = Mapping[tuple[str, str], Mapping[str, str]]


def late_credentials(
    events: Sequence[Event], own: Sequence[Event], renamed: Mapping[str, str], since: Instant | None
) -> Late:
    """Return (kind, user) -> id -> since when and by whom it is not of peacetime.

    `own` are the agent's events. Where nobody said when the harm began, it is what is made after the plan.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    if since is None:
        return found
    mine = {event.id for event in own}
    for event in events:
        if event.body.get("errorCode") or not _is_since(event, since):
            continue
        for kind, user, key, how in (*_made(event), *(_let_in(event) if event.id in mine else ())):
            by = caller(mapping(event.body.get("userIdentity")))
            why = f"{how} since the harm began, by {by} at {event.body.get('eventTime')}"
            for name in _names(user, renamed):
                found.setdefault((kind, name), {}).setdefault(key, why[:300])
    return found


def outlasting(own: Sequence[Event], found: Found, since: Instant | None) -> Iterator[NotTouched]:
    """Yield what the agent gave its own users that no step sets inactive: it works again after a restore."""
    users, said = {name.rpartition("/")[2] for name in found.of("users")}, set[str]()
    for event in own:
        what = _NO_STEP.get(str(event.body.get("eventName")))
        user = _owner(event)
        if what is None or user not in users or event.body.get("errorCode"):
            continue
        name = f"{what} of user {user}"
        if name not in said and (since is None or _is_since(event, since)):
            said.add(name)
            made = f"the agent made or changed it at {event.body.get('eventTime')}"
            then = "only the user's deny holds it, which a restore takes away: delete it by hand before"
            yield NotTouched(name[:300], f"{made}; {then}")


def _made(event: Event) -> Iterator[tuple[str, str, str, str]]:
    if (where := _MADE.get(str(event.body.get("eventName")))) is None:
        return
    kind, part, name = where
    answer = mapping(mapping(event.body.get("responseElements")).get(part))
    key, user = text_at(answer, (name,)), text_at(answer, ("userName",)) or _owner(event)
    if key and user:
        yield kind, user, key, "made"


def _let_in(event: Event) -> Iterator[tuple[str, str, str, str]]:
    name = str(event.body.get("eventName"))
    if (where := _LET_IN.get(name)) is None:
        return
    kind, field, how = where
    asked = mapping(event.body.get("requestParameters"))
    key, user = text_at(asked, (field,)), _owner(event)
    if key and user and (name.startswith("Reset") or asked.get("status") == ACTIVE):
        yield kind, user, key, how


def _owner(event: Event) -> str:
    """Return whose credential a call is about: its caller's where it names nobody."""
    asked = text_at(mapping(event.body.get("requestParameters")), ("userName",))
    return asked or text_at(mapping(event.body.get("userIdentity")), ("userName",))


def _names(user: str, renamed: Mapping[str, str]) -> Sequence[str]:
    """Return a user's name, and those that it was given after it."""
    names = [user]
    while (new := renamed.get(names[-1])) and new not in names:
        names.append(new)
    return names


def _is_since(event: Event, since: Instant) -> bool:
    """Return whether an event is of since the harm began; one without a readable time counts as such."""
    try:
        at = datetime.fromisoformat(str(event.body.get("eventTime")))
        return made_since(int(at.timestamp() * 1000), since.epoch_ms)
    except (ValueError, OverflowError):
        return True
