"""Opens the kit's mirrors, claims the plan on them, and has the journal copied there.

A stop never waits long for a mirror: it goes on after 1.5 s and says that it is unmirrored. A restore
waits for one that answers, and without any it does not run: undoing is not urgent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from breakglass import registry
from breakglass.canon import JsonObject
from breakglass.errors import BreakglassError, NotAuthorised, ProviderError
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.mirroring import Mirroring
from breakglass.journal.port import JournalPort
from breakglass.keys.signer import Signer
from breakglass.kit.model import MirrorSetting
from breakglass.model.roster import Roster
from breakglass.provider import Mirror
from breakglass.usecases.claims import executor_of, is_ours, signed
from breakglass.usecases.site import Site

STOP_WAITS_S = 1.5
RESTORE_WAITS_S = 20.0
STATE_S = 3.0
LAST_COPY_S = 10.0


@dataclass(slots=True)
class Mirrors:
    """The mirrors of one run: opened before anybody signs, since that imports SDKs (DESIGN 10)."""

    open: tuple[Mirror, ...] = ()
    closed: tuple[tuple[str, str], ...] = ()
    """Name and reason of those that could not be opened."""
    copying: Mirroring | None = field(default=None)

    def claim(self, claim: Claim, journal: JournalPort) -> None:
        """Claim the plan on every mirror; write what each said.

        Of a stop the first mirror that knows decides: two executors that win one mirror each would
        otherwise both give way, and nobody would stop the agent. A restore gives way to any.

        Raises:
            NotAuthorised: another run has claimed it; or this is a restore and no mirror answers.
        """
        if not self.open and not self.closed:
            return
        answers = _ask(self.open, claim, STOP_WAITS_S if claim.stop else RESTORE_WAITS_S)
        for name, why in self.closed:
            journal.append("mirror.claimed", {"mirror": name, "ok": False, "detail": why})
        for mirror, answer in zip(self.open, answers, strict=True):
            journal.append(
                "mirror.claimed",
                {"mirror": mirror.name, "ok": answer.standing is Standing.OURS, "detail": answer.detail},
            )
        found = list(zip(self.open, answers, strict=True))
        known = [one for one in found if one[1].standing in {Standing.OURS, Standing.THEIRS}]
        theirs = [one for one in (known[:1] if claim.stop else known) if one[1].standing is Standing.THEIRS]
        if theirs:
            mirror, answer = theirs[0]
            raise NotAuthorised(
                f"this plan was claimed before, as {mirror.name} says: {answer.detail}",
                remedy="breakglass status; or make and sign a new plan",
            )
        if not claim.stop and not known:
            raise NotAuthorised(
                "no mirror answers, and a restore runs only where its claim is kept outside of the executor",
                remedy="try again when a mirror of the kit answers",
            )

    def copy(self, folder: IncidentFolder, run_name: str, incident: str) -> None:
        """Have the journal copied from now on."""
        prefix = "/".join(("journals", incident, *([run_name] if run_name else [])))
        if self.open:
            self.copying = Mirroring(self.open, folder.journal, prefix)
            self.copying.start()

    def record_state(self, journal: JournalPort) -> None:
        """Write how much of the journal lies where, before it ends."""
        states = self.copying.state(within_s=STATE_S) if self.copying is not None else ()
        for name, records, failure in states:
            journal.append("mirror.copied", {"mirror": name, "records": records, "detail": failure})
        for name, why in self.closed:
            journal.append("mirror.copied", {"mirror": name, "records": 0, "detail": why})

    def finish(self, folder: IncidentFolder) -> Sequence[str]:
        """Copy the end of a sealed run; return what did not get there."""
        if self.copying is None:
            return [f"{name}: {why}" for name, why in self.closed]
        names = ("plan.json", "checkpoint", "checkpoint.sig", "log.pub", "roster.json", "report.json")
        files = {name: folder.path / name for name in names}
        held = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
        held |= {name: data for name, data in folder.signatures()}  # noqa: C416 - pairs of a list
        missing = self.copying.finish(held, within_s=LAST_COPY_S)
        return [*missing, *(f"{name}: {why}" for name, why in self.closed)]

    def close(self) -> None:
        """Let go of connections."""
        for mirror in self.open:
            threading.Thread(target=mirror.close, daemon=True).start()


def open_mirrors(site: Site) -> Mirrors:
    """Open each mirror of the kit, on the main thread; one that fails is named and stops nothing."""
    found: list[Mirror] = []
    lost: list[tuple[str, str]] = []
    for setting in site.kit.settings.mirrors:
        try:
            found.append(_open(site, setting))
        except BreakglassError as error:
            lost.append((f"{setting.provider} mirror", str(error)[:500]))
        except Exception as error:  # noqa: BLE001 - a bug of a provider stops no stop
            lost.append(
                (f"{setting.provider} mirror", f"bug in the provider: {type(error).__name__}: {error}")
            )
    return Mirrors(tuple(found), tuple(lost))


def _open(site: Site, setting: MirrorSetting) -> Mirror:
    card = registry.card(setting.provider)
    registry.require(card)
    if card.mirror is None or not setting.settings:
        raise ProviderError(f"provider {setting.provider} has no store for mirrors here")
    return card.mirror(setting.settings, site.credentials, site.clock, drill=site.drill)


class Standing(Enum):
    """Whose a claim is, as one mirror says."""

    OURS = "ours"
    THEIRS = "theirs"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one mirror said."""

    standing: Standing
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed, who signs it, and by whose keys another's claim is known."""

    body: JsonObject
    signer: Signer
    roster: Roster
    stop: bool

    @property
    def name(self) -> str:
        """Return its name on a mirror."""
        return f"claims/{self.body['plan_sha256']}"

    def on(self, mirror: Mirror) -> Answer:
        """Make it there; what lies there already counts only if an executor of the roster signed it.

        Raises:
            ProviderError: whether it is there is not known.
        """
        if mirror.claim(self.name, signed(self.body, self.signer)):
            return Answer(Standing.OURS)
        there = mirror.read(self.name)
        if there is None:
            return Answer(Standing.UNKNOWN, "something was there, and is not to be read")
        if is_ours(there, self.body, self.roster):
            return Answer(Standing.OURS)
        by = executor_of(there, self.body, self.roster)
        if by is None:
            return Answer(
                Standing.UNKNOWN, "FORGED: what lies under this name no executor has signed; ignored"
            )
        return Answer(Standing.THEIRS, f"by another run, of executor {by}")


def _ask(mirrors: Sequence[Mirror], claim: Claim, within_s: float) -> list[Answer]:
    """Return what each mirror says in time."""
    answers: dict[int, Answer] = {}

    def ask(n: int, mirror: Mirror) -> None:
        try:
            answers[n] = claim.on(mirror)
        except BreakglassError as error:
            answers[n] = Answer(Standing.UNKNOWN, error.what)
        except Exception as error:  # noqa: BLE001 - whatever it was, this mirror gave no answer
            answers[n] = Answer(Standing.UNKNOWN, f"bug in the mirror: {type(error).__name__}")

    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in enumerate(mirrors)]
    for thread in threads:
        thread.start()
    until_s = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
    found = dict(answers)
    late = Answer(Standing.UNKNOWN, f"no answer within {within_s:g} s")
    return [found.get(n, late) for n in range(len(mirrors))]
