"""Counts people who validly signed some bytes: of plans, rosters, kits, revocations alike.

Rules that took a mistake to learn: people are counted and never keys or signatures; a bad signature is
skipped with its reason and never fatal; there is no cap on the number of signatures, in all or by key,
only on their bytes, or junk (even junk that names Bob) would crowd out the real ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from breakglass.authorise.keymap import KeyHolder, key_holders
from breakglass.canon import sha256
from breakglass.clock import Instant
from breakglass.errors import NotAuthorised
from breakglass.keys import sshsig
from breakglass.model.plan import MAX_SIGNATURES_BYTES
from breakglass.model.roster import Role, Roster, Rule


@dataclass(frozen=True, slots=True)
class SignatureFile:
    """One file that claims to be a signature: its name, and its bytes as they were read once."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """A person whose signature counts, and the file that it came in."""

    person: str
    fingerprint: str
    hardware: bool
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class QuorumVerdict:
    """Who signed, which files did not count and why, and how much is missing."""

    signed: tuple[Signed, ...]
    """One entry a person; a hardware signature is preferred."""
    rejected: tuple[tuple[str, str], ...]
    missing: int
    """Persons that are still needed."""
    missing_hardware: int
    """Of all who sign, this many more must use a hardware key."""
    needed: int
    roles: tuple[Role, ...]

    @property
    def met(self) -> bool:
        """Tell whether the rule is fulfilled."""
        return self.missing == 0 and self.missing_hardware == 0

    def __str__(self) -> str:
        """Say it in one line, so that an error message writes itself."""
        text = f"{len(self.signed)} of {self.needed} persons signed"
        if self.missing:
            text += f"; {self.missing} more of {', '.join(self.roles)} must sign"
        if self.missing_hardware:
            text += f"; {self.missing_hardware} more must sign with a hardware key"
        if self.rejected:
            shown = "; ".join(f"{name}: {reason}" for name, reason in self.rejected[:3])
            more = len(self.rejected) - 3
            text += f" (not counted: {shown}{f'; and {more} more' if more > 0 else ''})"
        return text


class QuorumNotMet(NotAuthorised):
    """Too few persons signed; `verdict` says who did and what is missing."""

    def __init__(self, verdict: QuorumVerdict, *, where: str = "") -> None:
        """Keep the verdict for a screen that shows more than one line."""
        super().__init__(
            str(verdict), where=where, remedy="have another person run: breakglass approve REQUEST"
        )
        self.verdict = verdict


def evaluate(
    message: bytes,
    space: str,
    signatures: Sequence[SignatureFile],
    *,
    roster: Roster,
    rule: Rule,
    now: Instant,
) -> QuorumVerdict:
    """Count the persons who validly signed `message` in the namespace `space`.

    Raises:
        NotAuthorised: the signatures are larger than the cap, or the roster lists one key twice.
    """
    check_size(signatures)
    ballot = _Ballot(sshsig.digests(message), space, key_holders(roster), roster, rule, now)
    by_person: dict[str, Signed] = {}
    rejected: list[tuple[str, str]] = []
    for file in signatures:
        try:
            found = _accept(file, ballot)
        except NotAuthorised as error:
            rejected.append((file.name, error.what))
        except Exception as error:  # noqa: BLE001 - no signature may stop the others from being counted
            rejected.append((file.name, f"could not be checked: {type(error).__name__}"))
        else:
            known = by_person.get(found.person)
            if known is None or (found.hardware and not known.hardware):
                by_person[found.person] = found
    signed = tuple(by_person[person] for person in sorted(by_person))
    return QuorumVerdict(
        signed=signed,
        rejected=tuple(rejected),
        missing=max(0, rule.people - len(signed)),
        missing_hardware=max(0, rule.hardware - sum(item.hardware for item in signed)),
        needed=rule.people,
        roles=rule.roles,
    )


@dataclass(frozen=True, slots=True)
class _Ballot:
    digests: Mapping[str, bytes]
    space: str
    holders: Mapping[bytes, KeyHolder]
    roster: Roster
    rule: Rule
    now: Instant


def _accept(file: SignatureFile, ballot: _Ballot) -> Signed:
    rule = ballot.rule
    envelope = sshsig.parse(file.data, ballot.space)
    fingerprint = envelope.key.fingerprint
    holder = ballot.holders.get(envelope.key.blob)
    if holder is None:
        raise NotAuthorised(f"key {fingerprint} is not in the roster")
    proof = envelope.check(ballot.digests, ballot.space)
    person = holder.person.person
    if fingerprint in ballot.roster.revoked_keys:
        raise NotAuthorised(f"key {fingerprint} of {person} is revoked")
    if ballot.now >= holder.entry.not_after:
        raise NotAuthorised(f"key {fingerprint} of {person} expired at {holder.entry.not_after}")
    if not set(holder.person.roles) & set(rule.roles):
        raise NotAuthorised(f"{person} has none of the roles {', '.join(rule.roles)}")
    if holder.key.hardware and not proof.user_present:
        raise NotAuthorised(f"the device of {person} was not touched")
    if holder.key.hardware and rule.user_verification and not proof.user_verified:
        raise NotAuthorised(f"the device of {person} asked for no PIN, which {rule.verb} demands")
    return Signed(person, fingerprint, holder.key.hardware, file.name, sha256(file.data))


def check_size(signatures: Sequence[SignatureFile]) -> None:
    """Hold the signatures against their byte cap. Raises NotAuthorised."""
    if sum(len(file.data) for file in signatures) > MAX_SIGNATURES_BYTES:
        raise NotAuthorised(
            f"the signatures are larger than {MAX_SIGNATURES_BYTES} bytes together",
            remedy="leave out the files that are no signatures",
        )
