"""A signed no: it says who refuses which plan and why, and is recorded. Silence is a no as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from breakglass.authorise.keymap import key_holders
from breakglass.canon import canonical, parse_canonical
from breakglass.clock import Instant
from breakglass.errors import MalformedInput, NotAuthorised
from breakglass.keys.signer import Signer
from breakglass.keys.sshsig import namespace, verify
from breakglass.model.roster import Roster
from breakglass.shape import Digest, Line, Name, decode, encode

MAX_REJECTION_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class Rejection:
    """Who refuses which plan, why, when."""

    v: int
    type: str
    plan_sha256: Digest
    person: Name
    why: Line
    at: Instant

    @classmethod
    def of(cls, plan_sha256: str, person: str, why: str, at: Instant) -> Rejection:
        """Return a rejection that is yet to be signed."""
        return cls(1, "rejection", plan_sha256, person, why, at)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: the ones that are signed."""
        return canonical(encode(self))


def sign_rejection(rejection: Rejection, signer: Signer, org: str) -> tuple[bytes, bytes]:
    """Return the document and its armored signature.

    Raises:
        MalformedInput: the reason holds characters that nobody can read, or more than one line.
    """
    document = rejection.to_bytes()
    _decode(document)
    return document, signer.sign(document, namespace("reject", org))


def read_rejection(document: bytes, signature: bytes, roster: Roster) -> Rejection:
    """Return a rejection whose signature is by a key of the person that it names.

    Raises:
        NotAuthorised: the signature is not that person's, or the key is revoked or has run out.
        MalformedInput: not a rejection.
    """
    rejection = _decode(document)
    proof = verify(signature, document, namespace("reject", roster.org))
    holder = key_holders(roster).get(proof.blob)
    if holder is None or holder.person.person != rejection.person:
        raise NotAuthorised(f"the rejection is not signed by {rejection.person}")
    if proof.fingerprint in roster.revoked_keys or rejection.at >= holder.entry.not_after:
        raise NotAuthorised(f"the key of {rejection.person} is revoked or has run out")
    return rejection


def _decode(document: bytes) -> Rejection:
    data = parse_canonical(document, where="rejection", max_bytes=MAX_REJECTION_BYTES)
    rejection = decode(Rejection, data, where="rejection")
    if (rejection.v, rejection.type) != (1, "rejection"):
        raise MalformedInput("not a rejection of version 1", where="rejection")
    return rejection
