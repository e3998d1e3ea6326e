"""The roster: who may sign what. People have keys; rules count people, never keys (TUF; ADR 0002)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from breakglass.canon import canonical, parse_canonical
from breakglass.clock import Instant
from breakglass.errors import MalformedInput
from breakglass.shape import Between, Digest, Line, Match, Name, decode, encode

MAX_ROSTER_BYTES = 1024 * 1024

PublicKeyLine = Annotated[
    str,
    Match(
        r"(ssh-ed25519|ecdsa-sha2-nistp256|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
        r" [A-Za-z0-9+/]{1,1000}={0,2}",
        "a public key of a type that breakglass accepts, without a comment",
    ),
]


class Role(StrEnum):
    """What a person is trusted with."""

    RESPONDER = "responder"
    APPROVER = "approver"
    COMMANDER = "commander"
    ADMIN = "admin"
    OBSERVER = "observer"


class RuleVerb(StrEnum):
    """What a rule governs: the verbs of plans, and the artefacts that need signatures."""

    CONTAIN = "contain"
    RESTORE = "restore"
    DESTROY = "destroy"
    ROSTER = "roster"
    KIT = "kit"
    REVOKE = "revoke"


class KeyStore(StrEnum):
    """Where a key lives; `fido2` keys are hardware."""

    SSH_AGENT = "ssh-agent"
    KEYRING = "keyring"
    FILE = "file"
    FIDO2 = "fido2"


@dataclass(frozen=True, slots=True)
class OperatorKey:
    """One public key of one person."""

    pub: PublicKeyLine
    store: KeyStore
    not_after: Instant


@dataclass(frozen=True, slots=True)
class Person:
    """A human being; enrolled in person."""

    person: Name
    roles: tuple[Role, ...]
    keys: tuple[OperatorKey, ...]


@dataclass(frozen=True, slots=True)
class ExecutorKey:
    """A machine identity that may run plans, and the public half of its log key."""

    name: Name
    log_key: PublicKeyLine


@dataclass(frozen=True, slots=True)
class Rule:
    """How many persons of which roles a verb needs, and for how long their signatures hold."""

    verb: RuleVerb
    people: Annotated[int, Between(2, 20)]
    roles: tuple[Role, ...]
    hardware: Annotated[int, Between(0, 20)]
    user_verification: bool
    """True: hardware keys must have asked for a PIN or a finger."""
    max_ttl_s: Annotated[int, Between(1, 7_776_000)]
    standing_max_ttl_s: Annotated[int, Between(0, 7_776_000)]


@dataclass(frozen=True, slots=True)
class Roster:
    """The signed list of operators, executors and rules. Version N+1 is signed by thresholds of N and N+1."""

    v: int
    type: str
    org: Name
    drill: bool
    """True for the throwaway roster of a drill: no real plan accepts it."""
    version: Annotated[int, Between(1)]
    issued: Instant
    expires: Instant
    previous: Digest | None
    """sha256 of version N-1; null for version 1, which only the anchor makes trusted."""
    operators: tuple[Person, ...]
    executors: tuple[ExecutorKey, ...]
    rules: tuple[Rule, ...]
    revoked_keys: tuple[Line, ...]
    """Fingerprints (``SHA256:...``) that must never count again."""

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: the ones that admins sign."""
        return canonical(encode(self))

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> Roster:
        """Read a roster; the linter (`breakglass.authorise.roster_lint`) judges it.

        Raises:
            MalformedInput: not canonical, or not exactly the fields of a roster.
        """
        roster = decode(cls, parse_canonical(data, where=where, max_bytes=MAX_ROSTER_BYTES), where=where)
        if (roster.v, roster.type) != (1, "roster"):
            raise MalformedInput(f"not a roster of version 1: {roster.type!r} {roster.v!r}", where=where)
        return roster

    def rule(self, verb: RuleVerb) -> Rule | None:
        """Return the rule for a verb; None when there is none, and then the answer is no."""
        return next((rule for rule in self.rules if rule.verb is verb), None)

    def executor(self, name: str) -> ExecutorKey | None:
        """Return an executor by name; None when the roster does not list it."""
        return next((item for item in self.executors if item.name == name), None)
