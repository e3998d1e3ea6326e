"""Counts the signatures over the parts of a kit, and refuses what no signature could mend."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.authorise.counting import QuorumVerdict, SignatureFile, evaluate
from breakglass.authorise.roster_chain import RosterVersion
from breakglass.authorise.roster_lint import lint
from breakglass.clock import Instant
from breakglass.errors import MalformedInput, NotAuthorised
from breakglass.keys.sshsig import namespace
from breakglass.kit.load import REMEDY
from breakglass.kit.model import Kit
from breakglass.kit.seal import has_expired
from breakglass.kit.settings import SETTINGS_FILE
from breakglass.model.roster import Roster, Rule, RuleVerb


def check_roster(kit: Kit) -> None:
    """Hold the roster against the linter. Raises MalformedInput, with every complaint."""
    if complaints := lint(kit.roster):
        raise MalformedInput("\n".join(complaints), where=str(kit.folder / "roster.json"), remedy=REMEDY)


def check_times(kit: Kit, now: Instant) -> None:
    """Refuse a kit that has run out. Raises NotAuthorised."""
    if has_expired(kit.expires, now):
        raise NotAuthorised(
            f"the kit expired at {kit.expires}; it is {now}",
            where=str(kit.folder / SETTINGS_FILE),
            remedy=f"set a later expires and version: {kit.version + 1}; two admins: breakglass kit sign",
        )


def judges_of(versions: Sequence[RosterVersion]) -> tuple[Roster, ...]:
    """Return the newest roster and the one before: the admins of both must sign the newest."""
    return tuple(Roster.from_bytes(version.data, where="roster") for version in reversed(versions[-2:]))


def rule_of(roster: Roster, verb: RuleVerb) -> Rule:
    """Return the rule of a verb. Raises NotAuthorised where there is none."""
    rule = roster.rule(verb)
    if rule is None:
        raise NotAuthorised(f"roster version {roster.version} has no rule for {verb}")
    return rule


def count(
    message: bytes,
    kind: str,
    verb: RuleVerb,
    signatures: Sequence[tuple[str, bytes]],
    roster: Roster,
    now: Instant,
) -> QuorumVerdict:
    """Count the persons who signed `message` as a document of `kind`, by the word of `roster`."""
    files = [SignatureFile(name, data) for name, data in signatures]
    space = namespace(kind, roster.org)
    return evaluate(message, space, files, roster=roster, rule=rule_of(roster, verb), now=now)


def persons(verdict: QuorumVerdict) -> tuple[str, ...]:
    """Return the names of those who signed."""
    return tuple(signed.person for signed in verdict.signed)
