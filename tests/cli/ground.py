"""A real kit, real keys in real ssh-agents, and live agents in cgroups of their own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from breakglass_host import membership, nft
from tests.backends import need
from tests.cli.terminal import Terminal

PEOPLE = ("alice", "bob", "carol")
NOBODY = 65_534
PROGRAM = (sys.executable, "-m", "breakglass")


def cgroup_root() -> Path | None:
    """Return where cgroup v2 is mounted."""
    with Path("/proc/mounts").open(encoding="utf-8") as mounts:
        for line in mounts:
            _, place, kind, *_ = line.split()
            if kind == "cgroup2":
                return Path(place)
    return None


@dataclass(frozen=True)
class Ground:
    """One kit with its people; `folder` holds everything."""

    folder: Path
    sockets: dict[str, str]

    @property
    def home(self) -> Path:
        """Return where incidents lie."""
        return self.folder / "home"

    @property
    def exchange(self) -> Path:
        """Return where requests are put."""
        return self.folder / "exchange"

    def environ(self, person: str = "", **more: str) -> dict[str, str]:
        """Return the environment of a person at a keyboard."""
        found = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "BREAKGLASS_KIT": str(self.folder / "kit"),
            "BREAKGLASS_HOME": str(self.home),
        }
        if person:
            found["SSH_AUTH_SOCK"] = self.sockets[person]
        return found | more

    def run(self, *arguments: str, person: str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run breakglass from a script: no terminal anywhere."""
        return subprocess.run(
            [*PROGRAM, *arguments],
            env=self.environ(person),
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            timeout=300,
            start_new_session=True,
        )

    def terminal(self, person: str, *arguments: str, **more: str) -> Terminal:
        """Run breakglass at a terminal of this person."""
        return Terminal([*PROGRAM, *arguments], self.environ(person, **more))

    def incidents(self) -> list[Path]:
        """Return the folders of incidents, newest last."""
        if not self.home.is_dir():
            return []
        return sorted(self.home.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def make_ground(folder: Path, cgroups: str, agents: int) -> Iterator[Ground]:
    """Enrol three people, seal a kit with some agents, and start each person's ssh-agent."""
    root = cgroup_root()
    need("host", os.geteuid() == 0 and root is not None, "needs root and cgroup v2")
    for name in (*PEOPLE, "log"):
        key = folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key], check=True)
    with contextlib.ExitStack() as stack:
        sockets = {name: stack.enter_context(ssh_agent(folder, name)) for name in PEOPLE}
        ground = Ground(folder, sockets)
        (folder / "exchange").mkdir()
        made = ground.run(
            "kit", "init", str(folder / "kit"), "--org", "drill.invalid", "--drill",
            *(part for name in PEOPLE for part in ("--person", f"{name}={folder / name}.pub")),
            "--executor", f"ex={folder / 'log'}.pub", "--log-key", str(folder / "log"),
        )  # fmt: skip
        assert 0 == made.returncode, made.stderr
        (folder / "anchor").write_text(made.stdout)
        settings = folder / "kit/breakglass.yaml"
        settings.write_text(settings.read_text() + f"exchange: {folder / 'exchange'}\n")
        for n in range(agents):
            (folder / f"kit/agents/agent-{n}.yaml").write_text(
                f"agent: agent-{n}\nowner: tests\nwho_can_stop: any two\n"
                f"reach:\n  - {{provider: host, host: local, cgroup: {cgroups}-{n}}}\n"
            )
        for name in PEOPLE[:2]:
            for what in ("roster", "kit"):
                signed = ground.run(what, "sign", person=name)
                assert 0 == signed.returncode, signed.stderr
        yield ground


@contextlib.contextmanager
def ssh_agent(folder: Path, name: str) -> Iterator[str]:
    """Run a real ssh-agent that holds one person's key."""
    socket = folder / f"{name}.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < until, "ssh-agent did not start"
            time.sleep(0.01)
        environ = {"PATH": os.environ["PATH"], "SSH_AUTH_SOCK": str(socket)}
        subprocess.run(["ssh-add", "-q", folder / name], env=environ, check=True)
        yield str(socket)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def live_agent(cgroups: str, n: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that is an agent: unprivileged, in a cgroup of its own."""
    root = cgroup_root()
    assert root is not None
    place = root / f"{cgroups.lstrip('/')}-{n}"
    place.mkdir()
    command = "while :; do sleep 0.2; done"
    process = subprocess.Popen(["sh", "-c", command], user=NOBODY, group=NOBODY, extra_groups=[])
    try:
        (place / "cgroup.procs").write_text(str(process.pid))
        yield process
    finally:
        for file, text in (("cgroup.kill", "1"), ("cgroup.freeze", "0")):
            with contextlib.suppress(OSError):
                (place / file).write_text(text)
        process.kill()
        process.wait()
        remove(place)
        for hold in membership.holds(f"cgroup:/{place.name}"):
            remove(root / hold.lstrip("/"))
            incident = hold.removeprefix("/breakglass-").rpartition("-")[0]
            subprocess.run(
                ["nft", "delete", "table", "inet", nft.table_name(incident)],
                check=False,
                stderr=subprocess.DEVNULL,
            )


def remove(place: Path) -> None:
    """Take a cgroup away, once what was in it has ended."""
    until = time.monotonic() + 5
    while place.exists() and time.monotonic() < until:
        with contextlib.suppress(OSError):
            place.rmdir()
        time.sleep(0.02)
