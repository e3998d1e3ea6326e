"""Names what the agent left on things that are not its own, as CloudTrail tells it: each is a way back in.

No step takes such a thing away from whoever owns it. So it is said before anyone signs, and stays open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import ProposedDoor
from breakglass_aws.found import Found
from breakglass_aws.trail_events import Event, mapping, text_at

_USER, _ROLE, _FUNCTION = ("userName",), ("roleName",), ("functionName",)
_PLANTED: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "CreateAccessKey": ("users", _USER, "access key"),
    "CreateLoginProfile": ("users", _USER, "password"),
    "CreateServiceSpecificCredential": ("users", _USER, "service-specific credential"),
    "ResetServiceSpecificCredential": ("users", _USER, "service-specific credential"),
    "UpdateAccessKey": ("users", _USER, "status of an access key"),
    "UpdateLoginProfile": ("users", _USER, "password"),
    "UploadSSHPublicKey": ("users", _USER, "SSH key"),
    "UploadSigningCertificate": ("users", _USER, "signing certificate"),
    "UpdateAssumeRolePolicy": ("roles", _ROLE, "trust policy"),
    "AddPermission20150331v2": ("functions", _FUNCTION, "permission to invoke"),
    "CreateFunctionUrlConfig": ("functions", _FUNCTION, "URL"),
    "UpdateFunctionCode20150331v2": ("functions", _FUNCTION, "code"),
    "UpdateFunctionConfiguration20150331v2": ("functions", _FUNCTION, "configuration"),
}
"""Event -> the inventory's key of what it is about, where the request names it, and what was changed."""
_WAYS_IN: Mapping[str, str] = {
    "AddClientIDToOpenIDConnectProvider": "client of an OpenID Connect provider",
    "CreateOpenIDConnectProvider": "OpenID Connect provider",
    "CreateProfile": "Roles Anywhere profile",
    "CreateSAMLProvider": "SAML provider",
    "CreateTrustAnchor": "Roles Anywhere trust anchor",
    "UpdateOpenIDConnectProviderThumbprint": "thumbprint of an OpenID Connect provider",
    "UpdateSAMLProvider": "metadata of a SAML provider",
}
_KINDS = {"users": "user", "roles": "role", "functions": "function"}


def planted(own: Sequence[Event], found: Found) -> Iterator[ProposedDoor]:
    """Yield a door for each thing of somebody else's that the agent changed or made, once."""
    said = set[str]()
    for event in own:
        if event.body.get("errorCode"):
            continue
        for what, owner, verdict in _left(event, found):
            if what not in said:
                said.add(what)
                yield _door(event, what, owner, verdict)


def _left(event: Event, found: Found) -> Iterator[tuple[str, str, Verdict]]:
    name, asked = str(event.body.get("eventName") or ""), mapping(event.body.get("requestParameters"))
    if name in _WAYS_IN:
        called = str(asked.get("name") or asked.get("url") or asked.get("sAMLProviderArn") or "")
        yield f"{_WAYS_IN[name]} {called}".strip(), "", Verdict.NOT_CONTAINED
    if name not in _PLANTED:
        return
    key, path, what = _PLANTED[name]
    owner = text_at(asked, path).rpartition(":function:")[2].partition(":")[0].rpartition("/")[2]
    if not owner or owner in {one.rpartition("/")[2] for one in found.of(key)}:
        return
    if name == "UpdateAccessKey" and asked.get("status") != "Active":
        return
    made = text_at(mapping(event.body.get("responseElements")), ("accessKey", "accessKeyId"))
    yield f"{what} {made} of {_KINDS[key]} {owner}".replace("  ", " "), owner, Verdict.NOT_CONTAINED


def _door(event: Event, what: str, owner: str, verdict: Verdict) -> ProposedDoor:
    whose = f"; {owner} is not the agent's" if owner else ""
    reason = f"the agent made or changed it at {event.body.get('eventTime')}{whose}"
    remedy = "undo it by hand, or name its owner in the inventory, and stop again"
    return ProposedDoor(Door(DoorKind.CAN_MINT, what[:200], reason[:500], remedy, owner[:200], (), verdict))


def elsewhere(event: Event, what: str, where: str) -> ProposedDoor:
    """Return the door of what the agent made or took where this reach cannot stop it."""
    reason = f"the agent's since {event.body.get('eventTime')} (CloudTrail): this reach is not about {where}"
    remedy = f"give the agent a reach for {where} in the inventory, and stop again"
    return ProposedDoor(
        Door(DoorKind.NO_STEP, f"{what} in {where}"[:200], reason[:500], remedy, "", (), Verdict.UNKNOWN)
    )
