"""What KMS refuses and moto does: to use a key that is disabled.

AWS KMS Developer Guide, "Key states of AWS KMS keys": cryptographic operations fail with DisabledException,
or with KMSInvalidStateException while a key is pending deletion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass_aws.sandbox.call import Call, Guard, Refusal
from breakglass_aws.sandbox.platform.backends import refusals

KEY_ID_LENGTH = 36
USES = (
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "ReEncrypt",
    "Sign",
    "Verify",
    "VerifyMac",
)


def key_is_enabled(call: Call) -> None:
    """Refuse a use of a key that is disabled or on its way out."""
    for name in ("KeyId", "SourceKeyId", "DestinationKeyId"):
        if call.params.get(name):
            _look(call, str(call.params[name]))
    blob = call.params.get("CiphertextBlob")
    if isinstance(blob, bytes) and len(blob) > KEY_ID_LENGTH:
        _look(call, blob[:KEY_ID_LENGTH].decode(errors="replace"))


def _look(call: Call, named: str) -> None:
    key = _key(call, named)
    if key is None or key.key_state == "Enabled":
        return
    if key.key_state == "Disabled":
        raise Refusal("DisabledException", f"{key.arn} is disabled.")
    raise Refusal("KMSInvalidStateException", f"{key.arn} is pending deletion.")


def _key(call: Call, named: str) -> Any:  # noqa: ANN401 - moto's
    from moto.kms.models import kms_backends

    backend = kms_backends[call.account][call.region]
    try:
        return backend.keys.get(backend.any_id_to_key_id(named))
    except refusals():
        return None


GUARDS: Mapping[tuple[str, str], tuple[Guard, ...]] = {("kms", one): (key_is_enabled,) for one in USES}
