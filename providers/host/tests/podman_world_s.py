"""A real podman with a store, a configuration and a view of cgroup v2 of its own.

Where cgroup v2 stands beside v1 no runtime starts a container, so that v2 alone is mounted in the world.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import Judgement
from breakglass.model.resource import Resource, State
from breakglass.provider import Action, Proposal, Proposed, Reversal
from breakglass_host import parts
from breakglass_host.containers import plan
from providers.host.tests.own_mounts_s import OwnMounts, own_mounts
from providers.host.tests.rig_b import connection, stop
from tests.backends import need

IMAGE = "bgtest"
_CONFIGURATION = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
"""
_STORAGE = """
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
"""
_SETUP = """
umount --recursive /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
for d in /var/lib/containers /run/containers /run/libpod /etc/containers; do
    mkdir -p $d
    mount -t tmpfs none $d
done
cp {place}/etc/* /etc/containers/
tar -C {place}/image -c . | podman import --quiet - {image} >/dev/null
"""
STUBBORN = "trap '' TERM; while :; do (sleep 300) & sleep 0.2; echo beat; echo beat >> /beats; done"
"""An agent that does not end when it is asked to, and forks."""


@dataclass(frozen=True, slots=True)
class PodmanWorld:
    """The world, and what a test does in it."""

    inside: OwnMounts
    place: Path
    prefix: str
    """What each container's name begins with."""

    def name(self, tail: str) -> str:
        """Return a name that no other test uses."""
        return f"{self.prefix}{tail}"

    def start(self, tail: str, *options: str, script: str = STUBBORN) -> str:
        """Start a container and return its name."""
        words = " ".join(f"'{word}'" for word in options)
        network = "" if any("--network" in word for word in options) else "--network none"
        name = self.name(tail)
        self.inside.sh(f'podman run -d --name {name} {network} {words} {IMAGE} /bin/sh -c "{script}"')
        return name

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what podman says of a container."""
        found: list[dict[str, Any]] = json.loads(self.inside.sh(f"podman container inspect {name}"))
        return found[0]

    def status(self, name: str) -> str:
        """Return its status."""
        return str(self.inspect(name)["State"]["Status"])

    def cgroup(self, name: str) -> str:
        """Return the v2 cgroup that its first process is in."""
        return self.inside.sh(f"sed -n s/^0:://p /proc/{self.inspect(name)['State']['Pid']}/cgroup").strip()

    def propose(self, *entries: str, **others: Json) -> Proposed:
        """Propose for an inventory that names these containers."""
        settings: dict[str, Json] = {"containers": list(entries), **others}
        return self.inside.run(_propose, self.place / "incident", settings)

    def steps(self, name: str) -> dict[str, Proposal]:
        """Return what is proposed for one container, by action."""
        return {one.action: one for one in self.propose(f"podman:{name}").proposals}

    def do(self, step: Proposal, rounds: int = 2) -> State:
        """Carry a step out as the engine does; return what was so before."""
        return self.inside.run(_do, self.place / "incident", step.action, step.target, rounds)

    def try_once(self, step: Proposal) -> None:
        """Carry it out once more, whatever an engine says about what ended meanwhile."""
        with contextlib.suppress(ProviderError):
            self.do(step, rounds=1)

    def observe(self, step: Proposal) -> State:
        """Read what it acts on."""
        return self.inside.run(_observe, self.place / "incident", step.action, step.target)

    def judge(self, step: Proposal) -> Judgement:
        """Observe and judge."""
        return self.inside.run(_judge, self.place / "incident", step.action, step.target)

    def undo(self, step: Proposal, before: State) -> Reversal:
        """Put it back."""
        return self.inside.run(_undo, self.place / "incident", step.action, step.target, before)


@contextlib.contextmanager
def podman_world() -> Iterator[PodmanWorld]:
    """Make the world and end every container of it after the block."""
    programs = ("podman", "runc", "conmon", "busybox")
    missing = [name for name in programs if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    need("podman", os.geteuid() == 0 and not missing, f"root and podman are needed; missing: {missing}")
    place = Path(f"/tmp/breakglass-podman-{secrets.token_hex(4)}")  # noqa: S108 - a name of its own, made at once
    place.mkdir(mode=0o755)
    try:
        _fill(place)
        with own_mounts(_SETUP.format(place=place, image=IMAGE)) as inside:
            try:
                yield PodmanWorld(inside, place, f"bg{secrets.token_hex(3)}-")
            finally:
                inside.sh(_CLEAN, check=False)
    finally:
        shutil.rmtree(place)


_CLEAN = """
for id in $(podman ps --all --quiet --no-trunc); do
    for cg in $(find /sys/fs/cgroup -type d -name "*$id*"); do echo 0 > $cg/cgroup.freeze; done
    kill -CONT $(podman inspect --format '{{.State.ConmonPid}}' $id) 2>/dev/null
    timeout 20 podman rm --force --time 0 $id
    find /sys/fs/cgroup -depth -type d -name "*$id*" -exec rmdir {} \\;
done
rmdir /sys/fs/cgroup/libpod_parent/conmon /sys/fs/cgroup/libpod_parent
umount /var/lib/containers/storage
"""


def _fill(place: Path) -> None:
    binaries = place / "image" / "bin"
    binaries.mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", binaries / "busybox")
    runs = subprocess.run(
        ["chroot", place / "image", "/bin/busybox", "true"], check=False, capture_output=True
    )
    need("podman", runs.returncode == 0, "busybox is not a static one (Debian: busybox-static)")
    for name in ("sh", "sleep", "echo", "cat", "nc", "env"):
        (binaries / name).symlink_to("busybox")
    etc = place / "etc"
    etc.mkdir()
    (etc / "containers.conf").write_text(_CONFIGURATION)
    (etc / "storage.conf").write_text(_STORAGE)
    (etc / "registries.conf").write_text("")
    (etc / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')


def _propose(folder: Path, settings: dict[str, Json]) -> Proposed:
    return plan.propose(connection(folder, settings), None, "kill:x")


def _action(folder: Path, name: str) -> Action:
    made = [one(connection(folder)) for one in parts.ACTION_CLASSES]
    return next(one for one in made if one.spec.name == name)


def _do(folder: Path, name: str, target: Resource, rounds: int) -> State:
    return stop(_action(folder, name), target, rounds=rounds)


def _observe(folder: Path, name: str, target: Resource) -> State:
    return _action(folder, name).observe(target)


def _judge(folder: Path, name: str, target: Resource) -> Judgement:
    action = _action(folder, name)
    return action.judge(target, action.observe(target))


def _undo(folder: Path, name: str, target: Resource, before: State) -> Reversal:
    action = _action(folder, name)
    return action.revert(target, before, action.observe(target))
