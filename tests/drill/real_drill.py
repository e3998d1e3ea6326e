"""Runs real drills in folders of their own, and looks for whatever one of them leaves behind."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from breakglass_host import cgroup, machine, machine_owner, machine_tree
from breakglass_host.sandbox import obstacle
from tests.backends import need

ROOT = Path(__file__).parents[2]
DRILL = (sys.executable, "-m", "breakglass", "drill", "run")
ELSEWHERE = (sys.executable, "-m", "tests.drill.elsewhere")
NO_CLOUDS = ("no-clouds",) if os.geteuid() == 0 else ()
"""Most drills of the tests do without: clouds cost five times what all else does and have their own tests."""
ON_THIS_HOST = (*ELSEWHERE, *NO_CLOUDS, "--", *DRILL) if NO_CLOUDS else DRILL
"""A drill whose agent lives in no cloud."""
ORDINARY = 64_997
"""A user that has no account; used where the tests themselves run as root."""
END_S = 900


@dataclass(frozen=True)
class Place:
    """Where one drill keeps what it makes; pytest's own folders are closed to other users."""

    folder: Path

    @property
    def temporary(self) -> Path:
        """Return what TMPDIR says."""
        return self.folder / "tmp"

    @property
    def kept(self) -> Path:
        """Return the folder for --keep."""
        return self.folder / "kept"

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment of a drill."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.temporary),
            # The tree that machines start from is built once, for all.
            "XDG_CACHE_HOME": str(machine_tree.cache_folder().parent),
        }

    def report(self) -> dict[str, Any]:
        """Return the report in the kept folder."""
        found: dict[str, Any] = json.loads((self.kept / "report.json").read_bytes())
        return found


@contextmanager
def place(uid: int = 0) -> Iterator[Place]:
    """Make a place that this user may use, and take it away."""
    here = Place(Path(tempfile.mkdtemp(prefix="bg-test-drill-")))
    try:
        here.temporary.mkdir(0o711)
        here.folder.chmod(0o711)
        if uid:
            for path in (here.folder, here.temporary):
                os.chown(path, uid, uid)
        yield here
    finally:
        shutil.rmtree(here.folder)


@dataclass(frozen=True)
class Ran:
    """A drill that ended."""

    place: Place
    code: int
    out: str
    talk: str
    left: tuple[str, ...]
    """What it left behind."""


def drill(here: Place, *arguments: str, without: tuple[str, ...] = ()) -> Ran:
    """Run a whole drill without a terminal, as if this machine lacked something."""
    lead = (*ELSEWHERE, *without, "--") if without else ()
    with turn():
        before = cgroups()
        done = subprocess.run(
            [*lead, *DRILL, *arguments],
            cwd=ROOT,
            env=here.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=END_S,
            check=False,
        )
    return Ran(here, done.returncode, done.stdout, done.stderr, left_behind(here, before))


@contextmanager
def turn() -> Iterator[None]:
    """Let no other drill of the tests run beside this one: it is as much as two slow cores can do.

    On an overloaded machine its evidence would honestly be partial, and its end unknown.
    """
    with Path(tempfile.gettempdir(), f"bg-test-drills-{os.getuid()}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def need_a_machine() -> None:
    """Skip where the drill's agent cannot have a machine to settle on."""
    why = machine.obstacle()
    need("systemd", not why, why)


def need_a_place() -> None:
    """Skip where no drill can run with walls."""
    why = obstacle(privileged=os.geteuid() == 0)
    need("host", not why, why)


@cache
def hierarchy() -> Path | None:
    """Return where cgroup v2 is mounted."""
    found = cgroup.find()
    return Path(found.mount) if found is not None else None


ANOTHER_DRILL_S = 120.0
"""So long another drill of this machine may take until its cgroup goes."""


def cgroups() -> frozenset[str]:
    """Return the cgroups that drills and stops of drills have now."""
    root = hierarchy()
    if root is None:
        return frozenset()
    return frozenset(
        str(path)
        for path in [*root.glob("breakglass-drill/*"), *root.glob("breakglass-inc-*")]
        if path.is_dir()
    )


def left_behind(here: Place, before: frozenset[str]) -> tuple[str, ...]:
    """Name what is left of a drill: files, processes, cgroups.

    Other drills of this machine may come and go meanwhile: a cgroup counts only if it stays.
    """
    files = [str(path) for path in here.temporary.iterdir()]
    until = time.monotonic() + ANOTHER_DRILL_S
    new = frozenset(_of(here, cgroups() - before))
    while (new := new & cgroups()) and time.monotonic() < until:
        time.sleep(0.1)
    return (*files, *_processes(here), *sorted(new), *orphans())


def orphans() -> list[str]:
    """Name what is there of machines whose makers are gone."""
    places = (machine_owner.FOLDER, machine_owner.NETNS)
    names = {path.name for place in places if place.exists() for path in place.glob("bg-*-*-*-*")}
    return sorted(name for name in names if not Path("/proc", name.split("-")[2]).exists())


def _of(here: Place, found: frozenset[str]) -> list[str]:
    """Return the cgroups of this drill, and those that cannot be told from it."""
    plan = here.kept / "plan.json"
    if not plan.exists():
        return sorted(path for path in found if "/breakglass-drill/" in path)
    text = plan.read_text(encoding="utf-8")
    incident = json.loads(text)["incident"]
    return sorted(path for path in found if incident in path or f"drill/{Path(path).name}" in text)


def _processes(here: Place) -> list[str]:
    """Return the processes that work in this place."""
    mark, found = os.fsencode(str(here.folder)), []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if mark in words:
            found.append(f"process {folder.name}: {words[:200]!r}")
    return found


def overtaken(step: Mapping[str, Any]) -> bool:
    """Return whether a step may end as overtaken.

    The rules of a unit go when systemd removes its cgroup; a policy that nobody is known to enforce does not
    matter any more once the pods are gone.
    """
    of_a_unit = step["action"] == "host.nft.cut_egress" and "unit:" in step["target"]["id"]
    return bool(of_a_unit or step["action"].startswith("kubernetes.network."))


def by_provider(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the steps of a report by their action."""
    return {step["action"]: step for step in report["steps"]}
