"""The folder of one run of an incident, with the names that DESIGN 7 gives; later runs lie in ``runs/``."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from breakglass.errors import NotAuthorised, RecordDamaged, UsageError
from breakglass.journal import checkpoint as names
from breakglass.journal.durable import (
    PRIVATE_FOLDER,
    make_folder,
    read_regular,
    refused,
    replace,
    sync_folder,
)

MAX_SIGNATURES_BYTES = 256 * 1024
MAX_SIGNATURES = 4096
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:+-]{0,199}", re.ASCII)
_RUN = re.compile(r"([1-9][0-9]{0,5})-([a-z][a-z-]{0,31})", re.ASCII)
_WRITTEN_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class IncidentFolder:
    """One run: a stop's own folder, or one of the later runs in its ``runs/``."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> IncidentFolder:
        """Make the folder, private; one that exists must be empty, and is made private.

        Raises:
            UsageError: it is a link, not a folder, not empty, or somebody else's.
            NotAuthorised: another account could put another folder in its place.
            DiskRefused: it cannot be made.
        """
        path = path.absolute()
        try:
            path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        except OSError as error:
            raise refused(error, path.parent) from error
        _check_parent(path.parent)
        make_folder(path)
        found = path.lstat()
        _check_folder(found, path)
        if found.st_uid != os.geteuid():
            raise UsageError("this folder belongs to somebody else", where=str(path), remedy=_NEW)
        path.chmod(PRIVATE_FOLDER)
        if any(path.iterdir()):
            raise UsageError("this folder is not empty", where=str(path), remedy=_NEW)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> IncidentFolder:
        """Use a folder that exists.

        Raises:
            UsageError: there is none, or it is a link.
            NotAuthorised: others may write in it, so nothing that it holds can be believed.
        """
        path = path.absolute()
        try:
            found = path.lstat()
        except OSError as error:
            raise UsageError("there is no such folder", where=str(path)) from error
        _check_folder(found, path)
        if found.st_mode & _WRITTEN_BY_OTHERS:
            raise NotAuthorised(
                "others may write in this folder", where=str(path), remedy=f"chmod go-w {path}"
            )
        return cls(path)

    def require_own(self) -> None:
        """Require that the folder, plan and journal were made by this account: what runs goes by them.

        Raises:
            NotAuthorised: somebody else made one of them.
        """
        for path in (self.path, self.plan, self.journal):
            with contextlib.suppress(FileNotFoundError):
                if path.lstat().st_uid != os.geteuid():
                    raise NotAuthorised(
                        "this belongs to another account, which may have forged it", where=str(path)
                    )

    @property
    def plan(self) -> Path:
        """Return where the signed bytes are."""
        return self.path / "plan.json"

    @property
    def observations(self) -> Path:
        """Return where the states at planning are."""
        return self.path / "observations.json"

    @property
    def roster(self) -> Path:
        """Return where the roster that decided is."""
        return self.path / "roster.json"

    @property
    def journal(self) -> Path:
        """Return where the journal is."""
        return self.path / names.JOURNAL

    @property
    def checkpoint(self) -> Path:
        """Return where the checkpoint is; it exists once the run is sealed."""
        return self.path / names.CHECKPOINT

    @property
    def checkpoint_sig(self) -> Path:
        """Return where the checkpoint's signature is."""
        return self.path / names.SIGNATURE

    @property
    def log_pub(self) -> Path:
        """Return where the public half of the log key is."""
        return self.path / names.LOG_KEY

    @property
    def allowed_signers(self) -> Path:
        """Return where the file for ``ssh-keygen -Y verify`` is."""
        return self.path / "allowed_signers"

    @property
    def report(self) -> Path:
        """Return where the report is."""
        return self.path / "report.json"

    @property
    def evidence(self) -> Path:
        """Return where collected evidence is."""
        return self.path / "evidence"

    @property
    def sealed(self) -> Path:
        """Return where prior state that may hold secrets is."""
        return self.path / "sealed"

    def is_sealed(self) -> bool:
        """Say whether the run has ended: anything at the checkpoint's name counts."""
        return os.path.lexists(self.checkpoint)

    def signatures(self) -> tuple[tuple[str, bytes], ...]:
        """Return name and bytes of each signature over the plan, sorted.

        Raises:
            RecordDamaged: one is a link or no file, or they are larger than any quorum needs.
        """
        paths = sorted(path for path in self.path.glob("*.sig") if path.name != names.SIGNATURE)
        found: list[tuple[str, bytes]] = []
        left = MAX_SIGNATURES_BYTES
        for path in paths[:MAX_SIGNATURES]:
            data = read_regular(path, max_bytes=left)
            left -= len(data)
            found.append((path.name, data))
        return tuple(found)

    def write(self, name: str, data: bytes) -> None:
        """Put a file there whole, durably and for us alone; ``roster.7/alice.sig`` makes the folder too.

        Raises:
            UsageError: the name is not one that may stand here.
            DiskRefused: the disk would not; what was there stands.
        """
        *folders, last = name.split("/")
        if name == names.JOURNAL or any(_NAME.fullmatch(part) is None for part in (*folders, last)):
            raise UsageError(f"no file of an incident is named {name!r}", where=str(self.path))
        parent = self.path
        for part in folders:
            parent /= part
            make_folder(parent)
            _check_folder(parent.lstat(), parent)
        replace(parent / last, data)

    def runs(self) -> tuple[IncidentFolder, ...]:
        """Return the later runs in the order in which they began.

        Raises:
            RecordDamaged: something else lies among them.
        """
        folder = self.path / "runs"
        if not folder.exists():
            return ()
        found: list[tuple[int, IncidentFolder]] = []
        for path in folder.iterdir():
            match = _RUN.fullmatch(path.name)
            if match is None or not stat.S_ISDIR(path.lstat().st_mode):
                raise RecordDamaged("not a run like 1-restore", where=str(path))
            found.append((int(match[1]), IncidentFolder(path)))
        return tuple(run for _, run in sorted(found, key=lambda item: item[0]))

    def new_run(self, verb: str) -> IncidentFolder:
        """Make the folder of the next run, ``runs/<n>-<verb>``.

        Raises:
            UsageError: `verb` cannot stand in a name.
            StopInProgress: another run was made at this moment.
            DiskRefused: it cannot be made.
        """
        runs = self.runs()
        last = _RUN.fullmatch(runs[-1].path.name) if runs else None
        name = f"{int(last[1]) + 1 if last else 1}-{verb}"
        if _RUN.fullmatch(name) is None:
            raise UsageError(f"no run is named {name!r}", where=str(self.path))
        make_folder(self.path / "runs")
        path = self.path / "runs" / name
        try:
            path.mkdir(PRIVATE_FOLDER)
            sync_folder(path.parent)
        except OSError as error:
            raise refused(error, path) from error
        return IncidentFolder(path)


_NEW = "name a folder that does not exist yet: breakglass makes it"


def may_stand(name: str) -> bool:
    """Say whether a file of an incident may have this name."""
    return _NAME.fullmatch(name) is not None


def home_folder(environ: Mapping[str, str]) -> Path:
    """Return where incident folders lie: BREAKGLASS_HOME, or below the XDG state folder.

    A relative XDG_STATE_HOME is ignored, as the XDG Base Directory Specification says.
    """
    if home := environ.get("BREAKGLASS_HOME"):
        return Path(home).absolute()
    state = Path(environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        state = Path(environ.get("HOME") or Path.home()) / ".local" / "state"
    return state / "breakglass" / "incidents"


def find(home: Path, incident_or_path: str) -> IncidentFolder:
    """Return the folder of an incident by its id or by its path.

    Raises:
        UsageError: neither is there.
        NotAuthorised: others may write in it.
    """
    if _NAME.fullmatch(incident_or_path) and (home / incident_or_path).is_dir():
        return IncidentFolder.open(home / incident_or_path)
    path = Path(incident_or_path)
    if incident_or_path and path.is_dir():
        return IncidentFolder.open(path)
    known = sorted(entry.name for entry in home.iterdir()) if home.is_dir() else []
    near = difflib.get_close_matches(incident_or_path, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "breakglass status lists what there is"
    raise UsageError(f"no incident and no folder {incident_or_path!r}", where=str(home), remedy=hint)


def _check_parent(parent: Path) -> None:
    """Refuse a place where an unprivileged account could swap the folder under a privileged run."""
    found = parent.stat()
    writers = stat.S_IWOTH | (stat.S_IWGRP if os.geteuid() == 0 and found.st_gid != 0 else 0)
    is_loose = found.st_mode & writers and not found.st_mode & stat.S_ISVTX
    if is_loose or found.st_uid not in (0, os.geteuid()):
        raise NotAuthorised(
            "another account could put another folder in the place of the incident's",
            where=str(parent),
            remedy="name a folder that only you can write in: --keep, BREAKGLASS_HOME",
        )


def _check_folder(found: os.stat_result, path: Path) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise UsageError("this folder is a symbolic link", where=str(path), remedy="name the folder itself")
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError("this is not a folder", where=str(path), remedy=_NEW)
