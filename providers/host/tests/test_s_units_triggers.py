"""What starts a unit, sockets, timers and paths, is stopped with it, and is back after a restore."""

from __future__ import annotations

import time

import pytest

from breakglass_host.machine import Machine
from providers.host.tests.test_s_units_relaunch import is_off
from providers.host.tests.units_s import Inside, inside, verdicts

SERVICE = "[Service]\nUser=bot\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=0\n"
TIMER = "[Timer]\nOnCalendar=*-*-* *:*:*\nAccuracySec=100ms\nPersistent=true\nUnit={unit}\n"
SOCKET = "[Socket]\nListenStream=127.0.0.1:7777\nListenStream=/run/bot.sock\nService={unit}\n"
FOLLOWS = "[Path]\nPathExists=/tmp/work\nUnit={unit}\n"
CONNECT = """\
python3 - <<'X'
import socket
for family, where in ((socket.AF_INET, ("127.0.0.1", 7777)), (socket.AF_UNIX, "/run/bot.sock")):
    try:
        socket.socket(family).connect(where)
        print("open")
    except OSError as error:
        print(error.errno)
X
"""


@pytest.fixture
def there(machine: Machine) -> Inside:
    """Give a machine whose agent is started by a socket, a timer and a path of other names."""
    it = inside(machine)
    it.run("useradd --system --uid 1500 bot")
    it.unit("bot.service", SERVICE)
    it.unit("bot-in.socket", SOCKET.format(unit="bot.service"))
    it.unit("bot-tick.timer", TIMER.format(unit="bot.service"))
    it.unit("bot-work.path", FOLLOWS.format(unit="bot.service"))
    it.run("systemctl daemon-reload; systemctl start bot-in.socket bot-tick.timer bot-work.path")
    it.run("timeout 10 sh -c 'until systemctl is-active -q bot.service; do sleep 0.1; done'")
    return it


def test_no_socket_timer_or_path_brings_it_back(there: Inside) -> None:
    """They are found from the unit alone, stopped, and stay so."""
    said = there.stop({"unit": "bot.service"})
    there.run("touch /tmp/work")
    answers = there.run(CONNECT).split()
    time.sleep(2.5)

    assert verdicts(said)["triggers"] == "contained", said
    assert verdicts(said)["stop"] == "contained", said
    assert answers == ["111", "111"]  # ECONNREFUSED
    assert is_off(there)
    for name in ("bot-in.socket", "bot-tick.timer", "bot-work.path"):
        assert there.show(name, "LoadState", "ActiveState")[0] == "masked"
        assert there.show(name, "ActiveState")[0] in ("inactive", "failed")


UP = ["loaded", "active"]


def test_they_are_back_after_a_restore_and_the_service_takes_connections_again(there: Inside) -> None:
    """A socket cannot be started once its service runs: it comes first."""
    before = there.listing()
    there.stop({"unit": "bot.service"})
    said = there.restore({"unit": "bot.service"})

    assert there.listing() == before
    names = ("bot.service", "bot-in.socket", "bot-tick.timer", "bot-work.path")
    until = time.monotonic() + 10  # a start that systemd has accepted takes its time on a busy machine
    while late := [one for one in names if there.show(one, "LoadState", "ActiveState") != UP]:
        assert time.monotonic() < until, (late, said)
        time.sleep(0.2)
    assert there.run(CONNECT).split() == ["open", "open"]


def test_a_socket_that_systemd_lost_while_its_link_went_is_on_before_its_service(there: Inside) -> None:
    """A reload that runs while a link is taken away, or a crash before the next one, leaves it not found."""
    there.run("systemctl stop bot-tick.timer")
    there.stop({"unit": "bot.service"})
    there.run("cd /etc/systemd/system.control; rm bot.service; systemctl daemon-reload; rm bot-in.socket")
    assert there.show("bot-in.socket", "LoadState") == ["not-found"]
    said = there.restore({"unit": "bot.service"})

    assert there.show("bot-in.socket", "ActiveState") == ["active"], said
    assert there.show("bot.service", "ActiveState") == ["active"], said


def test_a_trigger_that_was_off_stays_off(there: Inside) -> None:
    """A restore never revives what was off before the stop."""
    there.run("systemctl stop bot-tick.timer")
    there.stop({"unit": "bot.service", "units": ["bot-tick.timer"]})
    said = there.restore({"unit": "bot.service", "units": ["bot-tick.timer"]})

    assert there.show("bot-tick.timer", "LoadState", "ActiveState") == ["loaded", "inactive"], said
    assert there.show("bot-in.socket", "ActiveState") == ["active"], said


def test_a_run_that_a_persistent_timer_missed_is_not_made_up_for(there: Inside) -> None:
    """Else the restore itself would start the agent's job, late."""
    there.unit("job.service", "[Service]\nType=oneshot\nUser=bot\nExecStart=/bin/touch /tmp/ran\n")
    due_s = time.time() + 15
    soon = there.run(f"date -d '@{due_s:.0f}' '+%Y-*-* %H:%M:%S'").strip()
    there.unit("job.timer", f"[Timer]\nOnCalendar={soon}\nAccuracySec=100ms\nPersistent=true\n")
    there.run("systemctl daemon-reload; systemctl start job.timer")
    there.stop({"unit": "bot.service", "units": ["job.service", "job.timer"]})
    assert time.time() < due_s - 1, "the stop came too late for this test"
    time.sleep(due_s + 1 - time.time())
    there.restore({"unit": "bot.service", "units": ["job.service", "job.timer"]})
    time.sleep(1)

    assert there.show("job.timer", "ActiveState") == ["active"]
    assert there.run("ls /tmp/ran 2>/dev/null || true") == ""
