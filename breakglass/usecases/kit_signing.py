"""Adds one person's signature to a kit or to its roster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.authorise.roster_chain import read_versions
from breakglass.authorise.roster_lint import lint
from breakglass.clock import Instant
from breakglass.errors import MalformedInput, NotAuthorised, UsageError
from breakglass.journal.durable import make_folder
from breakglass.keys.public_key import PublicKey
from breakglass.keys.signer import Signer
from breakglass.keys.sshsig import namespace
from breakglass.kit.agents import Cards
from breakglass.kit.load import REMEDY, load_kit
from breakglass.kit.model import Kit
from breakglass.kit.seal import SEAL_FILE, read_seal, seal_bytes
from breakglass.kit.settings import SETTINGS_FILE
from breakglass.model.roster import Roster, RuleVerb
from breakglass.usecases.kit_draft import publish
from breakglass.usecases.kit_signatures import check_roster, check_times, count, judges_of


@dataclass(frozen=True, slots=True)
class KitSigned:
    """What a signature did."""

    person: str
    file: Path
    version: int
    resealed: tuple[str, ...]
    """How the files differed from the seal that was there, which was made anew; empty: it was not."""


def kit_sign(folder: Path, signer: Signer, cards: Cards, now: Instant) -> KitSigned:
    """Seal the files as they are, unless they are, and add one admin's signature.

    Raises:
        MalformedInput: content is wrong.
        UsageError: the files differ from a seal that somebody signed, and the version is the same.
        NotAuthorised: the key is no admin's of the roster, or the kit has run out.
    """
    kit = load_kit(folder, cards, draft=True)
    check_roster(kit)
    check_times(kit, now)
    message = kit.seal_bytes
    if kit.unsealed:
        _check_version(kit)
        message = seal_bytes(kit.contents)
    person, armored = _sign(message, "kit", RuleVerb.KIT, (kit.roster,), signer, now)
    if kit.unsealed:
        publish(folder / SEAL_FILE, message)
    file = _keep(folder / f"kit.{kit.version}", person, armored)
    return KitSigned(person, file, kit.version, kit.unsealed)


def roster_sign(folder: Path, signer: Signer, now: Instant) -> KitSigned:
    """Add one admin's signature to the newest roster; it may be an admin of it or of the one before.

    Raises:
        MalformedInput: the linter complains of the roster.
        NotAuthorised: the key is no admin's of either.
    """
    versions = read_versions(folder)
    judges = judges_of(versions)
    if complaints := lint(judges[0]):
        raise MalformedInput("\n".join(complaints), where=str(folder / "roster.json"), remedy=REMEDY)
    person, armored = _sign(versions[-1].data, "roster", RuleVerb.ROSTER, judges, signer, now)
    version = judges[0].version
    return KitSigned(person, _keep(folder / f"roster.{version}", person, armored), version, ())


def _check_version(kit: Kit) -> None:
    """Refuse to change files under the number of a version that somebody signed."""
    where = str(kit.folder / SETTINGS_FILE)
    if not kit.seal_bytes:
        return
    sealed = read_seal(kit.seal_bytes, where=str(kit.folder / SEAL_FILE)).version
    if kit.version < sealed:
        raise UsageError(
            f"version {kit.version} is older than the sealed version {sealed}",
            where=where,
            remedy=f"set version: {sealed + 1}",
        )
    if kit.version == sealed and kit.signatures:
        signed = ", ".join(name for name, _ in kit.signatures)
        raise UsageError(
            f"version {sealed} is signed already ({signed}), and files differ:\n" + "\n".join(kit.unsealed),
            where=where,
            remedy=f"set version: {sealed + 1}, or put the files back",
        )


def _sign(
    message: bytes, kind: str, verb: RuleVerb, judges: Sequence[Roster], signer: Signer, now: Instant
) -> tuple[str, bytes]:
    """Sign, and count the signature as everybody else will: one that does not count is not kept."""
    fingerprint = PublicKey.parse(signer.public_line).fingerprint
    if not any(fingerprint == key for roster in judges for key in _keys(roster)):
        raise NotAuthorised(f"key {fingerprint} is not in the roster", remedy="breakglass operator show")
    armored = signer.sign(message, namespace(kind, judges[0].org))
    reasons: list[str] = []
    for judge in judges:
        verdict = count(message, kind, verb, [("the new signature", armored)], judge, now)
        if verdict.signed:
            return verdict.signed[0].person, armored
        reasons += [reason for _, reason in verdict.rejected]
    raise NotAuthorised(reasons[0] if reasons else "the signature does not count")


def _keys(roster: Roster) -> list[str]:
    return [PublicKey.parse(key.pub).fingerprint for person in roster.operators for key in person.keys]


def _keep(folder: Path, person: str, armored: bytes) -> Path:
    make_folder(folder)
    folder.chmod(0o755)
    file = folder / f"{person}.sig"
    publish(file, armored)
    return file
