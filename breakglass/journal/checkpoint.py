"""The text that seals a journal: a C2SP checkpoint (origin, size, RFC 6962 root) and its signature.

The file is the note's text (https://c2sp.org/tlog-checkpoint); the signature stands beside it as an SSHSIG,
so that ``ssh-keygen -Y verify -n breakglass-checkpoint-v1@ORG -s checkpoint.sig < checkpoint`` checks it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from breakglass.errors import NotAuthorised, RecordDamaged, UsageError

JOURNAL = "journal.jsonl"
CHECKPOINT = "checkpoint"
SIGNATURE = "checkpoint.sig"
LOG_KEY = "log.pub"
MAX_CHECKPOINT_BYTES = 4096
MAX_SIGNATURE_BYTES = 64 * 1024
_TEXT = re.compile(rb"([\x21-\x7e]{1,512})\n(0|[1-9][0-9]{0,14})\n([A-Za-z0-9+/]{43}=)\n")
_PART = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a journal was when it ended."""

    origin: str
    size: int
    root: bytes

    @property
    def org(self) -> str:
        """Return the organisation: the first part of the origin, and of the signature's namespace."""
        return self.origin.partition("/")[0]

    def to_bytes(self) -> bytes:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> Checkpoint:
        """Read the three lines.

        Raises:
            RecordDamaged: they are something else.
        """
        match = _TEXT.fullmatch(data)
        if match is None:
            raise RecordDamaged("not a checkpoint of three lines: origin, size, root", where=where)
        try:
            root = base64.b64decode(match[3], validate=True)
        except binascii.Error as error:
            raise RecordDamaged("the root is not base64", where=where) from error
        found = cls(match[1].decode(), int(match[2]), root)
        if found.to_bytes() != data:
            raise RecordDamaged("the root is not in its one base64 form", where=where)
        return found


def origin(org: str, executor: str, incident: str, run: str = "") -> str:
    """Return the name of a log: ``org/executor/incident``, and the run's folder for a later run.

    Raises:
        UsageError: a part is empty or holds what a line of text may not, or the org a slash.
    """
    parts = [org, executor, incident, *([run] if run else [])]
    if "/" in org or any(_PART.fullmatch(part) is None for part in parts):
        raise UsageError(f"no log can be named {'/'.join(parts)!r}", where="checkpoint")
    return "/".join(parts)


def check_signature(checkpoint: bytes, signature: bytes, log_key: str, *, org: str, where: str) -> str:
    """Return the fingerprint of the log key that signed the checkpoint.

    Raises:
        RecordDamaged: it did not, or not these bytes for this purpose.
    """
    from breakglass.keys.sshsig import PublicKey, namespace, verify

    try:
        key = PublicKey.parse(log_key)
    except NotAuthorised as error:
        raise RecordDamaged(f"the log key does not parse: {error.what}", where=where) from error
    try:
        signed_by = verify(signature, checkpoint, namespace("checkpoint", org))
    except NotAuthorised as error:
        raise RecordDamaged(f"the signature does not verify: {error.what}", where=where) from error
    if signed_by.blob != key.blob:
        raise RecordDamaged(f"not signed by the log key {key.fingerprint}", where=where)
    return key.fingerprint
