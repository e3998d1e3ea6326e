"""Keys of service accounts: real RSA pairs, and who a JWT signed with one is."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import accounts
from breakglass_gcp.sandbox.call import Refusal

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.accounts import Account
    from breakglass_gcp.sandbox.world import World

TABLE = "iam.keys"
MOST = 10
"""IAM documentation, "Quotas and limits": service account keys for each service account."""
SKEW_S = 300.0


@dataclass(slots=True)
class Key:
    """One key; `public` verifies, the private half was given away once."""

    id: str
    account: str
    public: Any
    made_s: float
    ends_s: float
    managed: bool = False
    """By Google itself."""
    disabled: bool = False
    uploaded: bool = False


def make(world: World, account: Account) -> tuple[Key, bytes]:
    """Make a pair and keep its public half; return the JSON that holds the private one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    pair = rsa.generate_private_key(65537, 2048)
    key = keep(world, account, pair.public_key())
    pem = pair.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    said = {
        "type": "service_account",
        "project_id": account.project,
        "private_key_id": key.id,
        "private_key": pem.decode(),
        "client_email": account.email,
        "client_id": account.unique_id,
        "auth_uri": f"{world.rest}/auth",
        "token_uri": f"{world.rest}/token",
        "universe_domain": "googleapis.com",
    }
    return key, json.dumps(said, indent=2).encode()


def keep(
    world: World,
    account: Account,
    public: Any,  # noqa: ANN401 - a public key
    *,
    managed: bool = False,
    uploaded: bool = False,
) -> Key:
    """Keep the public half of a pair as a key of an account."""
    now_s = world.now_s()
    key = Key(secrets.token_hex(20), account.unique_id, public, now_s, now_s + 10 * 31_536_000, managed)
    key.uploaded = uploaded
    world.table(TABLE)[key.id] = key
    world.config.put(("key", key.id), "enabled", at_once=True)
    return key


def sign(world: World, account: Account, data: bytes) -> tuple[str, bytes]:
    """Sign with the account's key that Google manages; return its id and the signature."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    if account.system_key is None:
        pair = rsa.generate_private_key(65537, 2048)
        account.system_key = (keep(world, account, pair.public_key(), managed=True).id, pair)
    key_id, private = account.system_key
    return key_id, private.sign(data, padding.PKCS1v15(), hashes.SHA256())


def sign_jwt(world: World, account: Account, payload: str) -> tuple[str, str]:
    """Sign claims as a JWT with that key; return its id and the JWT."""
    key_id, _ = sign(world, account, b"")
    header = json.dumps({"alg": "RS256", "typ": "JWT", "kid": key_id})
    signed = f"{_coded(header.encode())}.{_coded(payload.encode())}"
    return key_id, f"{signed}.{_coded(sign(world, account, signed.encode())[1])}"


def of_account(world: World, account: Account) -> list[Key]:
    """Return the keys of an account, oldest first."""
    return [one for one in world.table(TABLE).values() if one.account == account.unique_id]


def signer(world: World, token: str) -> tuple[Account, Mapping[str, Any]]:
    """Return whose key signed a JWT, and what it claims.

    Raises:
        Refusal: UNAUTHENTICATED: no key of an enabled account did, or it is out of its time.
    """
    header, claims, signed, signature = _parts(token)
    key: Key | None = world.table(TABLE).get(str(header.get("kid", "")))
    if key is None or world.config.seen(("key", key.id), "enabled") != "enabled":
        raise _invalid("Invalid JWT Signature.")
    account: Account = world.table(accounts.TABLE)[key.account]
    if account.email != claims.get("iss"):
        raise _invalid("Invalid issuer: Not a valid email or unique identifier.")
    if world.config.seen(("account", account.unique_id), accounts.ENABLED) != accounts.ENABLED:
        raise _invalid("Invalid grant: account not found or disabled.")
    _verify(key.public, signature, signed)
    now_s = time.time()
    if not now_s - SKEW_S < float(claims.get("exp", 0)) or float(claims.get("iat", 0)) > now_s + SKEW_S:
        raise _invalid("Invalid JWT: Token must be a short-lived token and in a reasonable timeframe.")
    return account, claims


def claimed(token: str) -> Mapping[str, Any]:
    """Return what a JWT claims, unverified; {} when it is none."""
    try:
        return _parts(token)[1]
    except Refusal:
        return {}


def key_message(account: Account, key: Key, *, private: bytes = b"") -> Any:  # noqa: ANN401 - ServiceAccountKey
    """Return a key as IAM gives it."""
    from cryptography.hazmat.primitives import serialization
    from google.cloud.iam_admin_v1.types import ServiceAccountKey
    from google.cloud.iam_admin_v1.types.iam import ServiceAccountKeyAlgorithm as Algorithm
    from google.cloud.iam_admin_v1.types.iam import ServiceAccountKeyOrigin as Origin
    from google.cloud.iam_admin_v1.types.iam import ServiceAccountPrivateKeyType as Kind

    pem = key.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    message = ServiceAccountKey(
        name=f"{account.name}/keys/{key.id}",
        key_algorithm=Algorithm.KEY_ALG_RSA_2048,
        key_origin=Origin.USER_PROVIDED if key.uploaded else Origin.GOOGLE_PROVIDED,
        key_type="SYSTEM_MANAGED" if key.managed else "USER_MANAGED",
        valid_after_time=dt.datetime.fromtimestamp(key.made_s, dt.UTC),
        valid_before_time=dt.datetime.fromtimestamp(key.ends_s, dt.UTC),
        disabled=key.disabled,
    )
    if private:
        message.private_key_type = Kind.TYPE_GOOGLE_CREDENTIALS_FILE
        message.private_key_data = private
    else:
        message.public_key_data = pem
    return message


def _parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any], bytes, bytes]:
    try:
        head, body, end = token.split(".")
        header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
        signature = _decoded(end)
    except (ValueError, binascii.Error) as error:
        raise _invalid("Invalid JWT.") from error
    if not isinstance(header, dict) or not isinstance(claims, dict) or header.get("alg") != "RS256":
        raise _invalid("Invalid JWT: only RS256 is taken.")
    return header, claims, f"{head}.{body}".encode(), signature


def _verify(public: Any, signature: bytes, signed: bytes) -> None:  # noqa: ANN401 - a public key
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    try:
        public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise _invalid("Invalid JWT Signature.") from error


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _invalid(message: str) -> Refusal:
    return Refusal("UNAUTHENTICATED", message, reason="invalid_grant")
