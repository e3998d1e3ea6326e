"""The ``allowed_signers`` file for everybody who checks with stock ssh-keygen; derived, never the source.

It lets ssh-keygen prove whose signature it is and for what. Two persons, roles, touch and nonce it cannot
prove: those need the algorithm of `breakglass.authorise.quorum`.
"""

from __future__ import annotations

from typing import Final

from breakglass.clock import Instant
from breakglass.errors import NotAuthorised
from breakglass.keys.public_key import PublicKey
from breakglass.keys.sshsig import namespace
from breakglass.model.roster import Roster

PERSON_KINDS: Final = (
    "plan",
    "roster",
    "kit",
    "revoke",
    "reject",
    "activation",
    "runbook",
    "override",
    "evidence",
    "custody",
)  # fmt: skip - a list of words
EXECUTOR_KINDS: Final = ("checkpoint", "activation")


def allowed_signers(roster: Roster, org: str) -> bytes:
    """Return the file: one line a key, with its principal, namespaces and last moment.

    Revoked keys are left out. The times carry a ``Z``, which OpenSSH reads as UTC since 9.1.
    """
    lines = []
    for person in roster.operators:
        for entry in person.keys:
            try:
                key = PublicKey.parse(entry.pub)
            except NotAuthorised:
                continue
            if key.fingerprint not in roster.revoked_keys:
                until = f'valid-before="{_openssh_time(entry.not_after)}"'
                lines.append(f"{person.person} {_spaces(PERSON_KINDS, org)},{until} {key.line}")
    lines += [
        f"{executor.name} {_spaces(EXECUTOR_KINDS, org)} {executor.log_key}" for executor in roster.executors
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _spaces(kinds: tuple[str, ...], org: str) -> str:
    return 'namespaces="' + ",".join(namespace(kind, org) for kind in kinds) + '"'


def _openssh_time(moment: Instant) -> str:
    text = str(moment)
    return text[:19].translate(str.maketrans("", "", "-:T")) + "Z"
