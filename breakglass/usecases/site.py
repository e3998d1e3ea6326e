"""Where a run takes place: the kit, the trusted roster, the state folder, what the environment may do.

For a real kit the state folder and the anchor are fixed places that no flag or variable moves (DESIGN 7).
A drill's kit says ``drill: true`` and has both beside it, owned by its user; no real plan accepts its roster.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from breakglass.authorise.roster_chain import Anchor, TrustedRoster, load_trusted
from breakglass.clock import Clock
from breakglass.errors import Denied, NotAuthorised, UsageError
from breakglass.incident.folder import home_folder
from breakglass.journal.durable import read_regular
from breakglass.journal.ledger import Ledger
from breakglass.journal.writer import UNWATCHED, Watch
from breakglass.keys import log_key
from breakglass.keys.signer import Signer
from breakglass.kit.load import load_kit
from breakglass.kit.model import AgentFile, ExecutorSetting, Kit
from breakglass.provider import Card
from breakglass.usecases.kit import require_signed

REAL_STATE = Path("/var/lib/breakglass")
REAL_ANCHOR = Path("/etc/breakglass/anchor")
REAL_CREDENTIALS = Path("/etc/breakglass/credentials")
DEFAULT_KIT = Path("/etc/breakglass/kit")
MAX_SECRET_BYTES = 64 * 1024
_ALWAYS_REDIRECTS = ("AWS_ENDPOINT_URL*", "*_EMULATOR_HOST", "CLOUDSDK_API_ENDPOINT_OVERRIDES_*")


@dataclass(frozen=True, slots=True)
class FileCredentials:
    """The executor's own secrets, one file each, readable by the executor alone."""

    folder: Path

    def secret(self, name: str) -> bytes:
        """Return the secret without its final newline. Raises Denied, saying where it was looked for."""
        path = self.folder / name
        if "/" in name or name.startswith("."):
            raise Denied(f"no credential can be named {name!r}")
        try:
            found = path.lstat()
            if found.st_mode & 0o077 or found.st_uid != os.geteuid():
                raise Denied(
                    f"credential {name} belongs to another account, or others can read it", where=str(path)
                )
            return read_regular(path, max_bytes=MAX_SECRET_BYTES).removesuffix(b"\n")
        except OSError as error:
            raise Denied(f"no credential {name}: {error.strerror}", where=str(path)) from error


@dataclass(frozen=True, slots=True)
class Site:
    """All that a command needs to know of where it runs."""

    kit: Kit
    state: Path
    anchor: Path
    home: Path
    credentials: FileCredentials
    ignored: tuple[str, ...]
    """Variables that are set and were ignored; every header names them."""
    clock: Clock
    watch: Watch = UNWATCHED
    """Is told of each record of a run's journal."""

    @property
    def drill(self) -> bool:
        """Return whether this is a drill's kit."""
        return self.kit.settings.drill

    def agent(self, name: str) -> AgentFile:
        """Return an agent of the inventory. Raises UsageError with a suggestion."""
        return self.kit.agent(name)

    def open_ledger(self) -> Ledger:
        """Open the state folder; a drill's is made when absent."""
        return Ledger.open(self.state, self.clock, create=True)

    def trusted_roster(self, *, highest_seen: int) -> TrustedRoster:
        """Verify the roster's chain from the anchor, and the kit's own signatures. Raises NotAuthorised."""
        now = self.clock.now()
        _require_safe(self.anchor, real=not self.drill)
        trusted = load_trusted(self.kit.folder, Anchor.read(self.anchor), highest_seen, now)
        require_signed(self.kit, trusted, now)
        return trusted

    def executor(self) -> ExecutorSetting:
        """Return the executor that this machine is: named for its host, or the only one of a drill.

        Raises:
            UsageError: the kit names no executor of this machine's name.
        """
        executors = self.kit.settings.executors
        host = socket.gethostname()
        for executor in executors:
            if executor.name.rsplit("/", 1)[-1] in {host, host.split(".", 1)[0]}:
                return executor
        if self.drill and len(executors) == 1:
            return executors[0]
        raise UsageError(
            f"this machine ({host}) is no executor of the kit: {', '.join(item.name for item in executors)}",
            where=str(self.kit.folder / "breakglass.yaml"),
            remedy="run it on an executor",
        )

    def log_key(self, environ: Mapping[str, str]) -> Signer:
        """Open this executor's log key. Raises NotAuthorised when it is not the roster's."""
        executor = self.executor()
        known = self.kit.roster.executor(executor.name)
        if known is None:
            raise NotAuthorised(
                f"executor {executor.name} is not in the roster", remedy="breakglass roster propose"
            )
        return log_key.find(executor.log_key_file, known.log_key, environ)


def open_site(
    folder: Path | None,
    environ: Mapping[str, str],
    clock: Clock,
    cards: Callable[[str], Card | None],
    *,
    drill_wanted: bool = False,
) -> Site:
    """Load the kit and find everything that goes with it.

    Raises:
        MalformedInput: the kit does not parse.
        UsageError: no kit, a variable that redirects calls is set for a real kit, or a drill's kit where
            real stops run and no drill is wanted.
    """
    path = folder or Path(environ.get("BREAKGLASS_KIT") or DEFAULT_KIT)
    # A provider that is absent here must not keep the others from stopping the agent (DESIGN 1.4).
    kit = load_kit(path, cards, absent_ok=True)
    if kit.settings.drill and not drill_wanted and REAL_ANCHOR.exists():
        raise UsageError(
            "a drill's kit, on a machine that runs real stops: a fake could be mistaken for the world",
            where=str(path),
            remedy="unset BREAKGLASS_KIT, or say that you mean the drill: --drill",
        )
    used = {reach.provider for agent in kit.agents.values() for reach in agent.reaches}
    known = [card for card in (cards(name) for name in sorted(used)) if card is not None]
    if not kit.settings.drill:
        refuse_redirects(environ, [*_ALWAYS_REDIRECTS, *(name for card in known for name in card.redirects)])
    ignored = sorted(name for card in known for name in card.ignores if name in environ)
    beside = kit.folder.absolute().parent
    return Site(
        kit=kit,
        state=beside / "state" if kit.settings.drill else REAL_STATE,
        anchor=beside / "anchor" if kit.settings.drill else REAL_ANCHOR,
        home=home_folder(environ),
        credentials=FileCredentials(beside / "credentials" if kit.settings.drill else REAL_CREDENTIALS),
        ignored=tuple(ignored),
        clock=clock,
    )


def _require_safe(anchor: Path, *, real: bool) -> None:
    """Require that nobody else could have written the anchor: all trust hangs on it.

    A real one is root's, and so is its folder; a drill's belongs to whoever runs it.

    Raises:
        NotAuthorised: another account owns it or may write it, or it is a link.
    """
    owners, others = ({0}, 0o022) if real else ({0, os.geteuid()}, 0o002)
    for path in (anchor, anchor.parent) if real else (anchor,):
        try:
            found = path.lstat()
        except FileNotFoundError:
            return  # who reads it says so
        if stat.S_ISLNK(found.st_mode) or found.st_uid not in owners or found.st_mode & others:
            raise NotAuthorised(
                "another account could have written the anchor",
                where=str(path),
                remedy=f"compare it with the one that was agreed, then: chmod go-w {path}",
            )


def refuse_redirects(environ: Mapping[str, str], patterns: list[str]) -> None:
    """Refuse variables that would send a real plan's calls somewhere else.

    Raises:
        UsageError: one is set.
    """
    from fnmatch import fnmatchcase

    for name in sorted(environ):
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            raise UsageError(
                f"the variable {name} redirects calls, so a fake could be mistaken for the world",
                where="environment",
                remedy=f"unset {name}",
            )
