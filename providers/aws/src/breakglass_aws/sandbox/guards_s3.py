"""What S3 refuses and moto takes: a body that is not what its digest says.

Amazon S3 API reference, PutObject and "Error responses" (BadDigest, InvalidDigest); S3 User Guide, "Checking
object integrity".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Mapping

from breakglass_aws.sandbox.call import Call, Guard, Refusal

MD5_LENGTH = 16


def _crc32(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(4, "big")


DIGESTS: Mapping[str, Callable[[bytes], bytes]] = {
    "ChecksumSHA256": lambda body: hashlib.sha256(body).digest(),
    "ChecksumSHA1": lambda body: hashlib.sha1(body).digest(),  # noqa: S324 - what the caller sent, not our choice
    "ChecksumCRC32": _crc32,
}


def body_is_whole(call: Call) -> None:
    """Refuse a body that does not match its Content-MD5 or checksum."""
    body = call.params.get("Body")
    if not isinstance(body, bytes | bytearray):
        return
    sent = call.params.get("ContentMD5")
    if sent is not None:
        digest = hashlib.md5(bytes(body)).digest()  # noqa: S324 - S3's own header
        wanted = _decoded(str(sent))
        if wanted is None or len(wanted) != MD5_LENGTH:
            raise Refusal("InvalidDigest", "The Content-MD5 you specified is not valid.")
        if wanted != digest:
            raise Refusal("BadDigest", "The Content-MD5 you specified did not match what we received.")
    for name, digest_of in DIGESTS.items():
        said = call.params.get(name)
        if said is not None and _decoded(str(said)) != digest_of(bytes(body)):
            kind = name.removeprefix("Checksum")
            raise Refusal("BadDigest", f"The {kind} you specified did not match the calculated checksum.")


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


GUARDS: Mapping[tuple[str, str], tuple[Guard, ...]] = {
    ("s3", "PutObject"): (body_is_whole,),
    ("s3", "UploadPart"): (body_is_whole,),
}
