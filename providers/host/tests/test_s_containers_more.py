"""What is said of containers before anyone signs, what is kept of them, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.canon import Json, canonical, parse
from breakglass.errors import MalformedInput, ProviderError, Transient
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import DoorKind
from breakglass.model.resource import Resource
from breakglass.provider import Proposed
from breakglass.shape import decode, encode
from breakglass_host.actions.container_evidence import SnapshotContainer
from breakglass_host.containers import engine, facts, reading
from providers.host.tests.podman_world_s import PodmanWorld, podman_world
from providers.host.tests.rig_b import connection

PAUSE, SNAPSHOT, STOP = "host.container.pause", "host.container.snapshot", "host.container.stop"
ID = "5" * 64
HOLD = """
import fcntl, pathlib, time
held = [open(path, "r+") for path in pathlib.Path("/var/lib/containers/storage").rglob("*.lock")]
for one in held:
    fcntl.lockf(one, fcntl.LOCK_EX)
time.sleep(90)
"""
"""As a podman that was stopped by a signal does: it holds the locks that every other one waits for."""


@pytest.fixture
def world() -> Iterator[PodmanWorld]:
    """Give a podman of the test's own."""
    with podman_world() as found:
        yield found


def doors(found: Proposed) -> dict[str, tuple[DoorKind, Verdict]]:
    """Return the doors by name."""
    return {one.door.name: (one.door.kind, one.door.verdict) for one in found.doors}


def test_what_was_said_and_set_in_it_is_kept_without_its_secrets(world: PodmanWorld) -> None:
    """Environment, command, log and changed files are evidence; a secret is in none of them."""
    secret = "-".join(["hunter2"] * 3)
    name = world.start(
        "agent", "--env", f"API_TOKEN={secret}", script="echo say \\$API_TOKEN; echo > /made; sleep 300"
    )
    world.inside.sh("sleep 0.5")
    step = world.steps(name)[SNAPSHOT]
    world.inside.run(collected, world.place / "incident", step.target)
    kept = sorted((world.place / "incident" / "evidence").rglob("*.*"))
    text = {path.name: path.read_text() for path in kept}

    assert ["diff.txt", "inspect.json", "logs.txt"] == sorted(text)
    assert secret not in "".join(text.values())
    assert "API_TOKEN=[REDACTED" in text["inspect.json"]
    assert "say [REDACTED" in text["logs.txt"]
    assert "/made" in text["diff.txt"]


def collected(folder: Path, target: Resource) -> None:
    """Collect, and judge in the same run: what was collected is remembered by it alone."""
    action = SnapshotContainer(connection(folder))
    action.apply(target, action.observe(target), "token")
    judged = action.judge(target, action.observe(target))
    assert Verdict.CONTAINED is judged.verdict, judged.reason


def test_what_lets_a_container_out_is_a_door_and_nothing_about_it_is_proof(world: PodmanWorld) -> None:
    """Privileged, the host's namespaces and its files: it is frozen and ended all the same, with no grade."""
    plain = world.start("plain")
    name = world.start("strong", "--privileged", "--pid=host", "--network=host", "--volume=/etc:/host:rw")
    found = world.propose(f"podman:{plain}", f"podman:{name}")
    words = " | ".join(doors(found))

    assert {(DoorKind.PRIVILEGED, Verdict.UNKNOWN)} == set(doors(found).values())
    for what in ("privileged", "process namespace", "/etc of the host is mounted", "CAP_SYS_ADMIN"):
        assert f"{name}: it is {what}" in words or what in words
    assert plain not in words
    assert [f"network of container podman:{name}"] == [one.resource for one in found.not_touched]
    step = world.steps(name)[STOP]
    world.do(step)
    judged = world.judge(step)
    assert (Verdict.CONTAINED, Grade.NONE) == (judged.verdict, judged.grade)


def test_what_would_start_it_again_is_said(world: PodmanWorld) -> None:
    """A unit that podman was told of, a restart policy at boot, an orchestrator's label."""
    label = "--label=io.kubernetes.pod.name=x"
    unit = "--label=PODMAN_SYSTEMD_UNIT=bot.service"
    name = world.start("agent", "--restart=always", label, unit)
    open_ = " | ".join(doors(world.propose(f"podman:{name}")))
    known = " | ".join(doors(world.propose(f"podman:{name}", units=["bot.service"])))

    assert [True, True, True] == [what in open_ for what in ("bot.service", "policy always", "Kubernetes")]
    assert "bot.service" not in known


def test_what_is_not_there_is_said_and_never_silent(world: PodmanWorld) -> None:
    """Names that nobody can have, no such container, an engine that is not installed."""
    odd = (
        "podman:a b",
        "podman:--all",
        "podman:x;reboot",
        "podman:[red]x",
        "podman@bot:x",
        "lxc:x",
        "podman:",
    )
    absent = world.name("absent")
    found = world.propose(*odd, f"podman:{absent}")

    assert () == found.proposals
    assert sorted([f"container {one}" for one in odd] + [f"container podman:{absent}"]) == sorted(
        doors(found)
    )
    if shutil.which("docker", path=engine.PATH) is None:
        (one,) = world.propose("docker:bot").doors
        assert "docker is not installed on this host" == one.door.reason


def test_a_short_id_is_resolved_to_the_whole_one(world: PodmanWorld) -> None:
    """What is signed is the whole id beside what the inventory says."""
    name = world.start("agent")
    whole = world.inspect(name)["Id"]
    steps = world.steps(whole[:12])

    signed = {"id": whole, "cgroup": world.cgroup(name), "restart": "no"}
    assert [signed] == steps[STOP].target.params["containers"]
    assert steps[STOP].target == decode(
        Resource, parse(canonical(encode(steps[STOP].target)), where="plan", max_bytes=9999), where="plan"
    )
    world.do(steps[STOP])
    assert "exited" == world.status(name)


def test_an_engine_that_does_not_answer_hides_nothing_that_was_signed(world: PodmanWorld) -> None:
    """Its lock is held by a process that sleeps: the kernel freezes, and an end is not claimed."""
    name = world.start("agent", "--restart=always")
    steps = world.steps(name)
    world.inside.sh(f"python3 -c '{HOLD}' >/dev/null 2>&1 & echo $! > {world.place}/pid; sleep 0.5")
    try:
        world.do(steps[PAUSE])
        assert Verdict.CONTAINED is world.judge(steps[PAUSE]).verdict
        with pytest.raises(Transient, match="stays frozen"):
            world.do(steps[STOP], rounds=1)
        assert Verdict.NOT_CONTAINED is world.judge(steps[STOP]).verdict
    finally:
        world.inside.sh(f"kill -9 $(cat {world.place}/pid)")
    world.do(steps[STOP])
    assert Verdict.CONTAINED is world.judge(steps[STOP]).verdict


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b"[1]",
        b'[{"Id": "x"}]',
        b"[" * 100_000,
        b'[{"Id": "%s", "State": {"Status": "fine", "Pid": 1}}]' % ID.encode(),
        b'[{"Id": "%s", "State": {"Status": "running", "Pid": -4}}]' % ID.encode(),
    ],
)
def test_an_answer_of_another_form_is_refused(answer: bytes) -> None:
    """What an engine prints is hostile until it was parsed."""
    with pytest.raises(ProviderError):
        facts.parse(answer)


def test_docker_s_form_of_an_answer_is_read_too() -> None:
    """The name has a slash in front, and the retries are part of the policy."""
    raw = {
        "Id": ID,
        "Name": "/bot",
        "State": {"Status": "restarting", "Pid": 0},
        "HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, "AutoRemove": True},
        "Config": {"Labels": None},
    }
    (found,) = facts.parse(json.dumps([raw]).encode())

    assert ("bot", "on-failure:3", True) == (found.name, found.restart, found.removes_itself)


def test_a_signed_target_of_another_form_is_refused() -> None:
    """A plan that was made by hand cannot name a cgroup by a way that leaves the hierarchy."""
    params: dict[str, Json] = {
        "engine": "podman",
        "name": "bot",
        "containers": [{"id": ID, "cgroup": "/../x", "restart": "no"}],
        "limit": "",
    }

    with pytest.raises(MalformedInput):
        reading.named(Resource("container", "podman:bot", "x", params))
