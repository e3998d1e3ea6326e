"""Workload identity federation: subjects of providers, and who they are in Google Cloud."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.call import Caller, Refusal

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

POOLS, PROVIDERS = "iam.pools", "iam.providers"
SUBJECTS = "iam.subjects"
HOST = "//iam.googleapis.com/"
_SIGNATURE_BYTES = 24


def numbered(world: World, name: str) -> str:
    """Return a pool's or provider's name with the project's number, as principals name it."""
    record = world.find_project(name)
    if record is None:
        return name
    return "/".join([f"projects/{record.number}", *name.split("/")[2:]])


def subject(world: World, asked: Mapping[str, Any]) -> object:
    """Mint what an identity provider would give a workload: a JWT of the subject for the provider.

    `provider` is the provider's name, `subject` the subject; `attributes` and `groups` are what its mapping
    makes of it.
    """
    claims = {
        "sub": str(asked["subject"]),
        "aud": numbered(world, str(asked["provider"])),
        "attributes": dict(asked.get("attributes") or {}),
        "groups": list(asked.get("groups") or ()),
    }
    token = ".".join((_coded({"alg": "none"}), _coded(claims), secrets.token_urlsafe(_SIGNATURE_BYTES)))
    world.table(SUBJECTS)[token] = claims
    return {"token": token, "audience": f"{HOST}{claims['aud']}"}


def caller_of(world: World, audience: str, token: str) -> Caller:
    """Return who a subject is.

    IAM REST reference, workloadIdentityPools and ...providers: neither a disabled pool nor a disabled
    provider can be used to exchange tokens.

    Raises:
        Refusal: it is not the provider's subject, or the pool or provider is disabled or not there.
    """
    claims = world.table(SUBJECTS).get(token)
    name = numbered(world, audience.partition("iam.googleapis.com/")[2])
    if claims is None or claims["aud"] != name:
        raise Refusal("INVALID_ARGUMENT", "The given credential is rejected by the attribute condition.")
    pool = name.partition("/providers/")[0]
    states = (world.config.seen(("pool", pool)), world.config.seen(("provider", name)))
    if states != ("enabled", "enabled"):
        raise Refusal(
            "INVALID_ARGUMENT", "The target service indicated by the audience is invalid or disabled."
        )
    sets = [
        f"principalSet:{HOST}{pool}/attribute.{key}/{value}" for key, value in claims["attributes"].items()
    ]
    sets += [f"principalSet:{HOST}{pool}/group/{group}" for group in claims["groups"]]
    who = f"principal:{HOST}{pool}/subject/{claims['sub']}"
    return Caller(who, "federated", f"sts-{world.new_id(8)}", pool=pool, groups=tuple(sets))


def _coded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
