"""Throwaway operators, executors, rosters and chains, for drills and tests: real keys, real signatures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from breakglass.authorise.roster_chain import Anchor, TrustedRoster
from breakglass.canon import sha256
from breakglass.clock import Clock, Instant
from breakglass.keys.secret_key import SecretKey
from breakglass.keys.signer import Signer
from breakglass.keys.sshsig import namespace
from breakglass.model.roster import (
    ExecutorKey,
    KeyStore,
    OperatorKey,
    Person,
    Role,
    Roster,
    Rule,
    RuleVerb,
)

DAY_S: Final = 86_400
PLAN_SIGNERS: Final = (Role.RESPONDER, Role.APPROVER, Role.COMMANDER)


@dataclass(frozen=True, slots=True)
class MemorySigner:
    """A key that lives in this process only and ends with it."""

    secret: SecretKey
    store: KeyStore = KeyStore.FILE

    @property
    def public_line(self) -> str:
        """Return ``type base64`` of the key."""
        return self.secret.public.line

    def sign(self, message: bytes, namespace: str) -> bytes:
        """Return an armored SSHSIG over `message`."""
        return self.secret.sign(message, namespace)


@dataclass(frozen=True, slots=True)
class Operator:
    """A person of a throwaway roster, with the means to sign."""

    person: Person
    signer: Signer

    @property
    def name(self) -> str:
        """Return the person's name."""
        return self.person.person


def make_operator(
    name: str, roles: Sequence[Role], clock: Clock, *, signer: Signer | None = None
) -> Operator:
    """Enrol a person whose key holds for one day; a new key in memory unless `signer` brings one."""
    signer = signer or MemorySigner(SecretKey.generate())
    key = OperatorKey(pub=signer.public_line, store=signer.store, not_after=clock.now().plus(DAY_S))
    return Operator(Person(person=name, roles=tuple(roles), keys=(key,)), signer)


def make_executor(name: str) -> tuple[ExecutorKey, MemorySigner]:
    """Return a throwaway executor with its log key."""
    signer = MemorySigner(SecretKey.generate())
    return ExecutorKey(name=name, log_key=signer.public_line), signer


def standard_rules(*, hardware: int = 0) -> tuple[Rule, ...]:
    """Return the rules that a new kit begins with: two persons for everything."""
    signers = dict.fromkeys((RuleVerb.CONTAIN, RuleVerb.RESTORE, RuleVerb.DESTROY), PLAN_SIGNERS)
    return tuple(
        Rule(
            verb=verb,
            people=2,
            roles=signers.get(verb, (Role.ADMIN,)),
            hardware=hardware,
            user_verification=False,
            max_ttl_s=1800,
            standing_max_ttl_s=7 * DAY_S if verb is RuleVerb.CONTAIN else 0,
        )
        for verb in RuleVerb
    )


def make_roster(
    org: str,
    operators: Sequence[Operator],
    executors: Sequence[ExecutorKey],
    clock: Clock,
    *,
    drill: bool,
) -> Roster:
    """Return version 1 of a roster that holds for one day."""
    return Roster(
        v=1,
        type="roster",
        org=org,
        drill=drill,
        version=1,
        issued=clock.now(),
        expires=clock.now().plus(DAY_S),
        previous=None,
        operators=tuple(operator.person for operator in operators),
        executors=tuple(executors),
        rules=standard_rules(),
        revoked_keys=(),
    )


def next_roster(roster: Roster, issued: Instant) -> Roster:
    """Return the version that follows, otherwise equal."""
    return dataclasses.replace(
        roster,
        version=roster.version + 1,
        previous=sha256(roster.to_bytes()),
        issued=issued,
        expires=issued.plus(DAY_S),
    )


def publish_roster(folder: Path, roster: Roster, signers: Sequence[Operator]) -> Anchor:
    """Write a roster and its signatures into a kit's folder, keeping older versions; return its anchor.

    The anchor is of use for version 1 only.
    """
    data = roster.to_bytes()
    newest = folder / "roster.json"
    if newest.exists():
        newest.rename(folder / f"roster.{roster.version - 1}.json")
    newest.write_bytes(data)
    signatures = folder / f"roster.{roster.version}"
    signatures.mkdir()
    for operator in signers:
        armored = operator.signer.sign(data, namespace("roster", roster.org))
        (signatures / f"{operator.name}.sig").write_bytes(armored)
    return Anchor(1, "anchor", roster.org, sha256(data))


def trust(roster: Roster) -> TrustedRoster:
    """Return the roster as the chain would after it was verified: for tests of what comes after."""
    return TrustedRoster(roster, sha256(roster.to_bytes()))
