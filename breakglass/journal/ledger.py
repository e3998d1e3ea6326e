"""What must be remembered across incidents: claims and nonces, roster versions, seals; one lock per agent.

Several incidents use it at once, so nothing is held open: each change locks, reads what others added,
decides, appends one durable record and lets go.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from breakglass.canon import Json, JsonObject, sha256
from breakglass.clock import Clock, Instant
from breakglass.errors import DiskRefused, NotAuthorised, RecordDamaged, UsageError
from breakglass.journal.agent_lock import lock_agent
from breakglass.journal.chain import head_of, merkle_root, prepare, write_line
from breakglass.journal.checkpoint import MAX_CHECKPOINT_BYTES, Checkpoint
from breakglass.journal.durable import PRIVATE_FOLDER, locked, make_folder, read_regular, refused, replace
from breakglass.journal.reader import JournalContents, read_journal
from breakglass.journal.recovery import rewrite
from breakglass.journal.segment import Segment

CLAIMED = "ledger.claimed"
ROSTER_SEEN = "ledger.roster_seen"
RUN_SEALED = "ledger.run_sealed"
LEDGER_TYPES = frozenset({CLAIMED, ROSTER_SEEN, RUN_SEALED, "journal.recovered"})
_ORIGIN = "breakglass/ledger"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Running:
    """What a claim is about: a second stop of the agent learns from it which run to resume."""

    agent: str
    folder: str
    until: Instant
    """When the run may not be resumed any more, and a new stop is the way to go on."""


class Ledger:
    """The state folder of one executor, or of one user's drills."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Use `open`, which checks the folder first."""
        self._folder = folder
        self._clock = clock
        self._path = folder / "ledger.jsonl"
        self._checkpoint = folder / "ledger.checkpoint"
        self._turn = threading.RLock()
        self._seen = JournalContents((), b"", ())
        self._stamp: tuple[int, ...] = ()

    @classmethod
    def open(cls, folder: Path, clock: Clock, *, create: bool) -> Ledger:
        """Check the folder and read what it remembers; `create` makes what is missing.

        Raises:
            UsageError: there is no such folder and it may not be made.
            NotAuthorised: others can read or write it, or it is not this account's own.
            RecordDamaged: what it remembers does not verify.
            DiskRefused: it cannot be written.
        """
        folder = folder.absolute()
        if create and not os.path.lexists(folder):
            try:
                folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            except OSError as error:
                raise refused(error, folder) from error
            make_folder(folder)
        _check_folder(folder)
        ledger = cls(folder, clock)
        with ledger._changing(create=create):
            pass
        return ledger

    def claim(self, plan_sha256: str, nonce: str, incident: str, about: Running | None = None) -> None:
        """Use up the plan and its nonce, durably: no second claim of either is ever accepted.

        Raises:
            NotAuthorised: the plan or its nonce was used before.
            DiskRefused: the claim is not durable.
        """
        wanted: dict[str, Json] = {"plan_sha256": plan_sha256, "nonce": nonce, "incident": incident}
        if about is not None:
            wanted |= {"agent": about.agent, "folder": about.folder, "until_ms": about.until.epoch_ms}
        with self._changing():
            self._require_unused(plan_sha256, nonce)
            self._append(CLAIMED, wanted)

    def require_unused(self, plan_sha256: str, nonce: str) -> None:
        """Require that neither the plan nor its nonce was claimed before. Raises NotAuthorised."""
        with self._changing():
            self._require_unused(plan_sha256, nonce)

    def _require_unused(self, plan_sha256: str, nonce: str) -> None:
        for body in self._bodies(CLAIMED):
            if body["plan_sha256"] == plan_sha256:
                raise _used("this plan", body)
            if body["nonce"] == nonce:
                raise _used("this plan's nonce", body)

    def unfinished(self, agent: str, now: Instant) -> tuple[tuple[str, str], ...]:
        """Return incident and folder of each run of an agent that began, has no seal and may still resume."""
        with self._changing():
            sealed = {f"{incident}/{run}" if run else incident for incident, run in self._seals()}
            return tuple(
                (str(body["incident"]), str(body["folder"]))
                for body in self._bodies(CLAIMED)
                if body.get("agent") == agent
                and int(str(body["until_ms"])) > now.epoch_ms
                and body["incident"] not in sealed
            )

    def claimed_at(self, plan_sha256: str, nonce: str, incident: str) -> Instant | None:
        """Return when this very claim was made; None when it never was.

        A resume takes its start from here and from nowhere else: a folder can be forged, this cannot.
        """
        wanted = (plan_sha256, nonce, incident)
        with self._changing():
            for record in self._seen.records:
                body = record.body
                if (
                    record.type == CLAIMED
                    and (body["plan_sha256"], body["nonce"], body["incident"]) == wanted
                ):
                    return record.at
            return None

    def identity(self) -> str:
        """Return the digest of its first record, which no other state folder has; empty: it has none."""
        with self._changing():
            return sha256(self._seen.lines[0]) if self._seen.lines else ""

    def highest_roster(self, org: str) -> int:
        """Return the highest roster version that was ever accepted, 0 for none."""
        with self._changing():
            return max((version for version, _ in self._rosters(org)), default=0)

    def remember_roster(self, org: str, version: int, sha256: str) -> None:
        """Remember that this roster was accepted; a known one costs no write.

        Raises:
            NotAuthorised: it is older than one accepted before, or another one of the same version.
            DiskRefused: it is not durable.
        """
        with self._changing():
            for seen, digest in self._rosters(org):
                if seen > version:
                    raise NotAuthorised(f"roster {version} is older than {seen}, which was accepted before")
                if seen == version and digest != sha256:
                    raise NotAuthorised(f"two different rosters have version {version}")
                if seen == version:
                    return
            self._append(ROSTER_SEEN, {"org": org, "version": version, "sha256": sha256})

    def record_seal(self, incident: str, run: str, checkpoint_sha256: str) -> None:
        """Remember the checkpoint of a run: `run` is empty for the stop itself, else ``1-restore``.

        Raises:
            RecordDamaged: that run was sealed with another checkpoint.
            DiskRefused: it is not durable.
        """
        with self._changing():
            known = self._seals().get((incident, run))
            if known == checkpoint_sha256:
                return
            if known is not None:
                raise RecordDamaged(f"incident {incident} was sealed with another checkpoint", where=run)
            body: JsonObject = {"incident": incident, "run": run, "checkpoint_sha256": checkpoint_sha256}
            self._append(RUN_SEALED, body)
            self._mark()

    def seals(self) -> dict[tuple[str, str], str]:
        """Return the checkpoint's digest of each sealed (incident, run)."""
        with self._changing():
            return self._seals()

    def _seals(self) -> dict[tuple[str, str], str]:
        return {
            (str(body["incident"]), str(body["run"])): str(body["checkpoint_sha256"])
            for body in self._bodies(RUN_SEALED)
        }

    def last_record_at(self) -> Instant | None:
        """Return the latest time that was ever recorded: a clock before it has gone back."""
        with self._changing():
            return max((record.at for record in self._seen.records), default=None)

    def known_incidents(self) -> tuple[str, ...]:
        """Return the incidents that claimed a plan, in the order of their first claim."""
        with self._changing():
            return tuple(dict.fromkeys(str(body["incident"]) for body in self._bodies(CLAIMED)))

    def lock_agent(self, agent: str, incident: str) -> contextlib.AbstractContextManager[None]:
        """Hold the agent's lock while in the ``with`` block; it dies with the process.

        Raises:
            StopInProgress: another incident holds it; the message names it and `resume`.
        """
        return lock_agent(self._folder / "locks", agent, incident)

    def close(self) -> None:
        """Write the checkpoint of all that was remembered, so that a cut-off file is seen.

        A full disk does not matter here: every record is durable, and the next seal or close marks again.
        """
        with contextlib.suppress(DiskRefused), self._changing():
            self._mark()

    @contextlib.contextmanager
    def _changing(self, *, create: bool = False) -> Iterator[None]:
        """Keep other threads and processes out, and know what they wrote."""
        with self._turn, locked(self._folder / "ledger.lock", self._clock):
            if not self._path.exists() and not self._checkpoint.exists() and create:
                Segment.create(self._path).close()
            self._refresh()
            yield

    def _refresh(self) -> None:
        if self._stamp and self._stamp == self._stamp_now():
            return
        seen = read_journal(self._path, known=LEDGER_TYPES)
        if self._checkpoint.exists():
            text = read_regular(self._checkpoint, max_bytes=MAX_CHECKPOINT_BYTES)
            mark = Checkpoint.from_bytes(text, where=str(self._checkpoint))
            if len(seen.lines) < mark.size or merkle_root(seen.lines[: mark.size]) != mark.root:
                raise RecordDamaged("records are missing that its checkpoint counted", where=str(self._path))
        if seen.torn_tail:
            rewrite(self._path, seen, self._clock)
            seen = read_journal(self._path, known=LEDGER_TYPES)
        self._seen = seen
        self._stamp = self._stamp_now()

    def _stamp_now(self) -> tuple[int, ...]:
        """Return what changes when another process writes."""
        found = self._path.stat() if self._path.exists() else None
        return (found.st_ino, found.st_size, found.st_mtime_ns) if found else ()

    def _append(self, kind: str, body: JsonObject) -> None:
        line, record = write_line(
            head_of(self._seen.records),
            at=self._clock.now(),
            monotonic_us=int(self._clock.monotonic_s() * 1e6),
            kind=kind,
            body=prepare(kind, body, LEDGER_TYPES),
        )
        self._stamp = ()
        segment = Segment.open(self._path)
        try:
            segment.append(line + b"\n")
        finally:
            segment.close()
        self._seen = JournalContents((*self._seen.records, record), b"", (*self._seen.lines, line))
        self._stamp = self._stamp_now()

    def _mark(self) -> None:
        mark = Checkpoint(_ORIGIN, len(self._seen.lines), merkle_root(self._seen.lines))
        if not self._checkpoint.exists() or self._checkpoint.read_bytes() != mark.to_bytes():
            replace(self._checkpoint, mark.to_bytes())

    def _bodies(self, kind: str) -> Iterator[JsonObject]:
        return (record.body for record in self._seen.records if record.type == kind)

    def _rosters(self, org: str) -> list[tuple[int, str]]:
        found = [body for body in self._bodies(ROSTER_SEEN) if body["org"] == org]
        return sorted((int(str(body["version"])), str(body["sha256"])) for body in found)


def _check_folder(folder: Path) -> None:
    try:
        found = folder.lstat()
    except OSError as error:
        raise UsageError(
            "there is no state folder", where=str(folder), remedy="breakglass doctor says how to make it"
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise NotAuthorised("the state folder is a link or no folder", where=str(folder))
    if found.st_uid != os.geteuid():
        raise NotAuthorised("the state folder belongs to another account", where=str(folder))
    if found.st_mode & _OTHERS:
        raise NotAuthorised(
            f"the state folder is open to others (mode {stat.S_IMODE(found.st_mode):04o})",
            where=str(folder),
            remedy=f"chmod {PRIVATE_FOLDER:04o} {folder}",
        )


def _used(what: str, body: JsonObject) -> NotAuthorised:
    incident = body["incident"]
    return NotAuthorised(
        f"{what} was used already, by incident {incident}",
        remedy=f"breakglass resume {incident}, or make and sign a new plan",
    )
