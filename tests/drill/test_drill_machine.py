"""A drill whose agent settles on a machine too: real systemd, cron and sshd, one plan, one incident."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from breakglass.drill import settled
from breakglass.incident.folder import IncidentFolder
from breakglass.model.plan import Plan
from breakglass.provider import Discovery
from breakglass.usecases.drill import Outcome
from breakglass.usecases.inspect import read_report
from breakglass_host import machine_owner
from breakglass_host.remote.address import parse_address
from breakglass_host.remote.rewrite import at_host
from tests.cli.terminal import Terminal
from tests.drill.real_drill import (
    DRILL,
    NO_CLOUDS,
    ROOT,
    Ran,
    cgroups,
    drill,
    left_behind,
    need_a_machine,
    orphans,
    overtaken,
    place,
    turn,
)

pytestmark = pytest.mark.timeout(1800)
PLACE = f"ssh://root@{settled.NAME}"


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    """Run the drill once for every test of this file."""
    need_a_machine()
    with place() as here:
        yield drill(here, "--json", "--show-plan", "--keep", str(here.kept), without=NO_CLOUDS)


@pytest.fixture(scope="module")
def report(ran: Ran) -> dict[str, Any]:
    """Return the report that the drill wrote on its stdout."""
    assert 0 == ran.code, ran.talk
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_both_places_are_stopped_by_one_plan_that_ends_contained(report: dict[str, Any]) -> None:
    """Steps of this host and of the machine, all proven, in one incident."""
    actions = {step["action"] for step in report["steps"]}

    assert "contained" == report["verdict"]
    assert [] == [s for s in report["steps"] if s["verdict"] != "contained" and not overtaken(s)]
    assert {
        "host.cgroup.freeze_tree",
        "host.systemd.mask_units",
        "host.systemd.stop_triggers",
        "host.systemd.stop_units",
        "host.systemd.end_linger",
        "host.systemd.pause_deployer",
        "host.cron.pause_deployer",
        "host.cron.set_aside",
        "host.account.lock",
        "host.login.end_sessions",
        "host.ssh.set_aside_keys",
        "host.sudo.set_aside",
        "host.journald.export",
        "oauth.token.revoke",
        "oauth.client.disable",
    } <= actions


def test_nothing_arrived_after_our_proof_from_either_place(report: dict[str, Any]) -> None:
    """Each way to come back has a channel of its own, and is silent on it."""
    truth = {item["channel"]: item for item in report["truth"]}

    assert {"refund", "tickets", *settled.AT_ONCE} <= set(truth)
    assert [] == [name for name, it in truth.items() if it["last_effect_at"] > it["proven_at"]]


def test_the_plan_says_that_the_machine_is_a_sandbox(ran: Ran) -> None:
    """It stands in the signed bytes and on the screen that is signed."""
    raw = (ran.place.kept / "plan.json").read_bytes()
    plan = Plan.from_bytes(raw, where="plan.json")

    assert plan.drill
    assert [PLACE] == [end for reach in plan.reaches for end in reach.endpoints if end.startswith("ssh")]
    assert f"sandbox endpoint of host {PLACE}: {PLACE}" in " ".join(ran.talk.split())


@pytest.mark.parametrize(("name", "endpoints"), [(settled.NAME, (PLACE,)), ("bot-7.example.com", ())])
def test_only_a_name_that_the_world_cannot_have_is_a_sandbox(name: str, endpoints: tuple[str, ...]) -> None:
    """The executor says so itself; a machine that claims an endpoint of its own is not believed."""
    said = Discovery("host local", (), (), endpoints=("http://elsewhere.example.com",))

    found = at_host(said, parse_address(f"ssh://root@{name}"), {}, runner="")

    assert endpoints == found.endpoints


def test_a_stop_that_left_something_running_there_fails_the_drill(ran: Ran) -> None:
    """The machine's own list of processes counts, whatever the report says."""
    folder = IncidentFolder.open(ran.place.kept)
    plan = Plan.from_bytes(folder.plan.read_bytes(), where="plan.json")
    good = Outcome(read_report(folder)[0], plan, folder, (), None, (), sealed=True)

    assert (True, 0) == (good.honest, good.exit_code)
    assert 3 == replace(good, alive=("/home/rogue/way tick",)).exit_code


def test_the_machines_files_come_back_too_byte_for_byte(ran: Ran) -> None:
    """The agent's home, its jobs and all of /etc there."""
    talk = " ".join(ran.talk.split())

    assert "RESTORED: the agent's files are as before, byte for byte" in talk
    assert f"so are its home, jobs and all of /etc on {settled.NAME}" in talk
    assert "NOT PUT BACK" not in talk


def test_no_machine_is_left_behind(ran: Ran) -> None:
    """No folder, no network namespace, no process."""
    assert () == ran.left


def test_what_a_killed_drill_leaves_is_cleared_by_the_next() -> None:
    """SIGKILL while the agent works on the machine: whoever starts the next one ends it."""
    need_a_machine()
    with turn(), place() as here:
        with subprocess.Popen(
            DRILL, cwd=ROOT, env=here.environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            try:
                assert any(line.startswith("machine   ") for line in process.stderr)
            finally:
                process.send_signal(signal.SIGKILL)
        mine = f"-{process.pid}-"
        left = [name for name in orphans() if mine in name]

        machine_owner.sweep()

        assert left
        assert [] == [name for name in orphans() if mine in name]


def test_ctrl_c_while_the_agent_settles_leaves_nothing() -> None:
    """At a terminal the key reaches every program of the drill; it ends as one that was interrupted."""
    need_a_machine()
    before = cgroups()
    with turn(), place() as here, Terminal([*DRILL, "--keep", str(here.kept)], here.environ) as terminal:
        terminal.expect(f"the agent settles on {settled.NAME}")
        terminal.interrupt()
        code = terminal.end()

        assert 4 == code, terminal.shown
        assert "the drill was interrupted before the stop began" in terminal.shown
        assert () == left_behind(here, before)
