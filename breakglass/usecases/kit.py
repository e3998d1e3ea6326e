"""Checks a kit: content first, then who signed, and what is still missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.authorise.counting import QuorumVerdict
from breakglass.authorise.roster_chain import (
    Anchor,
    RosterVersion,
    TrustedRoster,
    read_versions,
    verify_chain,
)
from breakglass.authorise.roster_lint import eligible
from breakglass.canon import sha256
from breakglass.clock import Instant
from breakglass.errors import MalformedInput, NotAuthorised, SignaturesMissing
from breakglass.kit.agents import Cards
from breakglass.kit.load import load_kit
from breakglass.kit.model import Kit
from breakglass.kit.seal import SEAL_FILE
from breakglass.model.roster import RuleVerb
from breakglass.usecases.kit_draft import Draft, Enrolment, kit_init
from breakglass.usecases.kit_signatures import check_roster, check_times, count, judges_of, persons, rule_of
from breakglass.usecases.kit_signing import KitSigned, kit_sign, roster_sign

__all__ = [
    "Draft",
    "Enrolment",
    "KitCheck",
    "KitSigned",
    "kit_check",
    "kit_init",
    "kit_sign",
    "require_signed",
    "roster_sign",
]

WARN_DAYS = 14
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class KitCheck:
    """A kit in which nothing is wrong and nothing is missing."""

    kit: Kit
    kit_signers: tuple[str, ...]
    roster_signers: tuple[str, ...]
    anchor: Anchor
    """The one that it was checked against."""
    pinned: bool
    """False: no anchor was given, and the roster vouches for itself."""
    warnings: tuple[str, ...]


def kit_check(folder: Path, cards: Cards, now: Instant, *, anchor: Anchor | None = None) -> KitCheck:
    """Check everything in a kit.

    Raises:
        MalformedInput: content is wrong; all of it is named.
        NotAuthorised: it has run out, or its files are not as they were sealed.
        SignaturesMissing: nothing is wrong, and these signatures are missing.
    """
    kit = load_kit(folder, cards, draft=True)
    check_roster(kit)
    check_times(kit, now)
    if kit.unsealed:
        raise NotAuthorised("\n".join(kit.unsealed), where=str(folder / SEAL_FILE), remedy=_resign(kit))
    versions = read_versions(folder)
    if versions[-1].data != kit.roster_bytes:
        raise MalformedInput("changed while it was read", where=str(folder / "roster.json"))
    roster_verdicts = _roster_verdicts(kit, versions)
    kit_verdict = count(kit.seal_bytes, "kit", RuleVerb.KIT, kit.signatures, kit.roster, now)
    _require_all(kit, roster_verdicts, kit_verdict)
    first = Anchor.of(versions[0].data)
    verify_chain(versions, anchor or first, 0, now)
    return KitCheck(
        kit=kit,
        kit_signers=persons(kit_verdict),
        roster_signers=persons(roster_verdicts[0]),
        anchor=anchor or first,
        pinned=anchor is not None,
        warnings=_warnings(kit, now, pinned=anchor is not None),
    )


def require_signed(kit: Kit, trusted: TrustedRoster, now: Instant) -> tuple[str, ...]:
    """Return the admins who signed a sealed kit; everything that acts on a kit calls this first.

    Raises:
        NotAuthorised: it has run out, is not as it was sealed, or holds another roster than the trusted one.
        SignaturesMissing: too few admins signed.
    """
    where = str(kit.folder / SEAL_FILE)
    if kit.unsealed:
        raise NotAuthorised("\n".join(kit.unsealed), where=where, remedy=_resign(kit))
    if sha256(kit.roster_bytes) != trusted.sha256:
        raise NotAuthorised("the kit holds another roster than the trusted one", where=where)
    check_times(kit, now)
    verdict = count(kit.seal_bytes, "kit", RuleVerb.KIT, kit.signatures, trusted.roster, now)
    if not verdict.met:
        raise SignaturesMissing(
            f"kit version {kit.version}: {verdict}", where=where, remedy="breakglass kit sign"
        )
    return persons(verdict)


def _resign(kit: Kit) -> str:
    return (
        f"put the files back, or set version: {kit.version + 1} in breakglass.yaml and: breakglass kit sign"
    )


def _roster_verdicts(kit: Kit, versions: Sequence[RosterVersion]) -> tuple[QuorumVerdict, ...]:
    newest = versions[-1]
    return tuple(
        count(newest.data, "roster", RuleVerb.ROSTER, newest.signatures, judge, kit.roster.issued)
        for judge in judges_of(versions)
    )


def _require_all(kit: Kit, rosters: Sequence[QuorumVerdict], sealed: QuorumVerdict) -> None:
    """List what is missing, and only that. Raises SignaturesMissing."""
    lines: list[str] = []
    remedies: list[str] = []
    unmet = [verdict for verdict in rosters if not verdict.met]
    if unmet:
        lines.append(_missing("roster.json", kit.roster.version, RuleVerb.ROSTER, unmet[0], kit))
        remedies.append("breakglass roster sign")
    if not sealed.met:
        lines.append(_missing(SEAL_FILE, kit.version, RuleVerb.KIT, sealed, kit))
        remedies.append("breakglass kit sign")
    if lines:
        raise SignaturesMissing(
            "\n".join(lines),
            where=str(kit.folder),
            remedy="each as a person who did not: " + ", ".join(remedies),
        )


def _missing(file: str, version: int, verb: RuleVerb, verdict: QuorumVerdict, kit: Kit) -> str:
    who = [person.person for person in eligible(rule_of(kit.roster, verb), kit.roster)]
    left = [person for person in who if person not in persons(verdict)]
    signed = f" ({', '.join(persons(verdict))})" if verdict.signed else ""
    text = f"{file} version {version}: {len(verdict.signed)} of {verdict.needed} persons signed{signed}"
    if verdict.missing:
        text += f"; missing: {verdict.missing} of {', '.join(left)}"
    if verdict.missing_hardware:
        text += f"; missing: {verdict.missing_hardware} with a hardware key"
    return text + "".join(f"\n  not counted: {name}: {reason}" for name, reason in verdict.rejected)


def _warnings(kit: Kit, now: Instant, *, pinned: bool) -> tuple[str, ...]:
    found = []
    for what, expires in (("kit", kit.expires), ("roster", kit.roster.expires)):
        days = expires.seconds_since(now) / _DAY_S
        if days < WARN_DAYS:
            found.append(f"the {what} expires in {days:.0f} days, at {expires}")
    if not pinned:
        found.append("no anchor was given: the roster vouches for itself")
    if not kit.agents:
        found.append("no agent is described: nothing can be stopped with this kit")
    if kit.settings.two_person_reason:
        found.append(f"two-person rule: advisory ({kit.settings.two_person_reason})")
    return tuple(found)
