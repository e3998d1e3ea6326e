"""A connection that is cut loses no step and does none twice, and never are two runners at work."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from breakglass.errors import InDoubt
from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome, Proposal
from breakglass_host.machine import Machine
from breakglass_host.remote.host import RemoteHost
from providers.host.tests.remote_s import connected, settings
from providers.host.tests.rig_a import proposal, until

LOOP = "sh -c 'while :; do sleep 1; done'"
BOT = f"useradd -m bot; setsid -f setpriv --reuid bot --regid bot --clear-groups {LOOP}"
CUTS = 12
ACTING = "ps -eo pid=,comm= | grep bg-act- || true"


@pytest.fixture
def host(machine: Machine, tmp_path: Path) -> Iterator[RemoteHost]:
    """Connect to a machine on which an agent runs as a user of its own."""
    machine.run(BOT)
    made = connected(tmp_path, settings(machine, user="bot"))
    yield made
    made.close()


def cut(host: RemoteHost) -> None:
    """Kill the ssh client."""
    if (link := host.session.link) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(link.pid, signal.SIGKILL)


def close_step(host: RemoteHost, step: Proposal, *, within_s: float = 30.0) -> State:
    """Do a step in rounds as the engine does, which reads again after a lost answer; return prior states."""
    action, end_s = host.actions[step.action], time.monotonic() + within_s
    prior = State({})
    while time.monotonic() < end_s:
        state = action.observe(step.target)
        if action.judge(step.target, state).verdict is Verdict.CONTAINED:
            return prior
        prior = State({**state.objects, **prior.objects})
        with contextlib.suppress(InDoubt):
            action.apply(step.target, state, "token")
    raise AssertionError("it was not contained in time")


def keep_cutting(host: RemoteHost, stop: threading.Event, cuts: list[int]) -> None:
    """Let each connection live for a moment: about as long as a few calls take."""
    rng, last = random.Random(7), None
    while not stop.wait(0.005):
        link = host.session.link
        if link is not None and link is not last and not link.is_cut:
            time.sleep(rng.uniform(0.0, 0.08))
            cut(host)
            last, cuts[0] = link, cuts[0] + 1


def put_back(host: RemoteHost, step: Proposal, prior: State) -> dict[str, Outcome]:
    """Restore as the engine does."""
    action = host.actions[step.action]
    for _ in range(100):
        now = action.observe(step.target)
        with contextlib.suppress(InDoubt):
            done = action.revert(step.target, prior, now)
            if Outcome.RESTORED not in done.objects.values():
                return dict(done.objects)
    raise AssertionError("it was not restored")


def frozen(machine: Machine) -> bool:
    """Say whether the agent's loop stands still in a frozen cgroup, by what is inside."""
    at = "/sys/fs/cgroup/{,unified/}breakglass-*/cgroup.events"
    said = machine.run(f"bash -c 'cat {at}' 2>&1 || true").stdout
    return "populated 1" in said and "frozen 1" in said


def test_reads_go_on_over_a_cut_as_if_nothing_was(host: RemoteHost) -> None:
    """Sixteen at once, and one new connection for all of them."""
    step = proposal(host.discover(), "host.cgroup.freeze_tree")
    action = host.actions[step.action]
    before = host.session.link
    stop = threading.Event()

    def read(_n: int) -> int:
        count = 0
        while not stop.is_set():
            assert action.observe(step.target).objects
            count += 1
        return count

    with ThreadPoolExecutor(16) as pool:
        counts = [pool.submit(read, n) for n in range(16)]
        for _ in range(3):
            time.sleep(0.3)
            cut(host)
        assert until(lambda: host.session.link is not before and host.session.link is not None)
        time.sleep(1.5)
        stop.set()

    assert all(count.result() > 3 for count in counts)


def test_a_step_is_closed_and_undone_whenever_the_connection_is_cut(
    host: RemoteHost, machine: Machine
) -> None:
    """At random instants of freeze, schedules and restore: what was there before is there after."""
    machine.run(
        "echo '0 0 1 1 * true' | crontab -u bot -; touch -d '2020-01-02' /var/spool/cron/crontabs/bot"
    )
    about = "stat -c '%i %a %U %G %y %s' /var/spool/cron/crontabs/bot; sha256sum /var/spool/cron/crontabs/bot"
    before = machine.run(about).stdout
    found = host.discover()
    steps = [proposal(found, name) for name in ("host.cgroup.freeze_tree", "host.cron.set_aside")]
    stop, cuts = threading.Event(), [0]
    thread = threading.Thread(target=keep_cutting, args=(host, stop, cuts))
    thread.start()
    try:
        while cuts[0] < CUTS:
            priors = [close_step(host, step) for step in steps]
            assert frozen(machine)
            assert "No such file" in machine.run(about, check=False).stderr
            for step, prior in zip(steps, priors, strict=True):
                assert Outcome.DRIFTED not in put_back(host, step, prior).values()
            assert not frozen(machine)
            assert before == machine.run(about).stdout
    finally:
        stop.set()
        thread.join()


def test_the_older_runner_is_killed_before_the_newer_acts(
    host: RemoteHost, machine: Machine, tmp_path: Path
) -> None:
    """Also one that cannot end by itself, and one of another incident; that of another reach is let live."""
    step = proposal(host.discover(), "host.cgroup.freeze_tree")
    close_step(host, step)
    [older] = machine.run(ACTING).stdout.split("\n")[:-1]
    pid = older.split()[0]
    machine.run(f"kill -STOP {pid}")
    other = connected(tmp_path / "x", settings(machine, user="bot", log_files=["/x"]))
    newer = connected(tmp_path / "newer", settings(machine, user="bot"), "inc-2")
    try:
        act(other, step)
        assert machine.run(f"ps -o stat= {pid}").stdout.startswith("T")
        act(newer, step)

        assert not machine.run(f"ps -o stat= {pid}", check=False).stdout.strip()
        assert 2 == len(machine.run(ACTING).stdout.splitlines())
    finally:
        other.close()
        newer.close()


def test_an_older_runner_that_acts_late_ends_itself(
    host: RemoteHost, machine: Machine, tmp_path: Path
) -> None:
    """A call that still lay in its connection is not carried out beside the newer one."""
    step = proposal(host.discover(), "host.cgroup.freeze_tree")
    newer = connected(tmp_path / "newer", settings(machine, user="bot"))
    try:
        state = newer.actions[step.action].observe(step.target)
        newer.actions[step.action].revert(step.target, State({}), state)

        with pytest.raises(InDoubt, match="whether it was done is not known; it is read again"):
            act(host, step)
        assert not frozen(machine)
        assert 1 == len(machine.run(ACTING).stdout.splitlines())
    finally:
        newer.close()


def test_silence_ends_both_sides(host: RemoteHost, machine: Machine) -> None:
    """A network that swallows everything: the runner ends by itself, and the executor connects anew."""
    step = proposal(host.discover(), "host.cgroup.freeze_tree")
    close_step(host, step)
    link = host.session.link
    assert link is not None
    os.kill(link.pid, signal.SIGSTOP)

    assert until(lambda: not machine.run(ACTING).stdout, within_s=20)
    assert until(lambda: link.is_cut, within_s=20)
    assert (
        Verdict.CONTAINED
        is host.actions[step.action]
        .judge(step.target, host.actions[step.action].observe(step.target))
        .verdict
    )


def test_evidence_comes_over_whole_and_stays_with_the_executor(machine: Machine, tmp_path: Path) -> None:
    """Large logs in pieces, digested here; of a large one its end."""
    machine.run(f"{BOT}; yes 'a line of a log' | head -c 8000000 >/var/log/bot.log")
    made = connected(tmp_path / "evidence", settings(machine, user="bot", log_files=["/var/log/bot.log"]))
    try:
        step = proposal(made.discover(), "host.evidence.snapshot")
        close_step(made, step)
    finally:
        made.close()

    [log] = tmp_path.glob(f"evidence/inc-1/evidence/root@{machine.name}/host/*/logs/*")
    assert 4_000_000 < log.stat().st_size < 8_000_000
    assert log.read_bytes().endswith(b"a line of a log\n")
    assert [] == list(tmp_path.rglob("*.partial"))


def act(host: RemoteHost, step: Proposal) -> None:
    """Make one change."""
    action = host.actions[step.action]
    action.apply(step.target, action.observe(step.target), "token")
