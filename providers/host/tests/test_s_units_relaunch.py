"""A unit that is stopped does not come back: not by itself, not by others, not by a reboot."""

from __future__ import annotations

import time

import pytest

from breakglass_host.machine import Machine
from providers.host.tests.units_s import Inside, inside, verdicts

ALWAYS = """\
[Unit]
OnFailure=rescue.service
StartLimitIntervalSec=0
[Service]
User=bot
ExecStart=/bin/sleep 1000
ExecStop=/bin/touch /tmp/hook-stop
ExecStopPost=/bin/touch /tmp/hook-post
Restart=always
RestartSec=0
[Install]
WantedBy=multi-user.target
Alias=robot.service
"""
RESCUE = "[Service]\nType=oneshot\nExecStart=/bin/touch /tmp/hook-rescue\n"
RESTLESS = """\
[Unit]
StartLimitIntervalSec=0
[Service]
Type={kind}
GuessMainPID=no
User=bot
ExecStart={start}
Restart=always
RestartSec=0
"""
PROVEN = {"freeze": "contained", "mask": "contained", "kill": "contained", "stop": "contained"}


@pytest.fixture
def there(machine: Machine) -> Inside:
    """Give a machine with the agent's account and unit, which restarts itself."""
    it = inside(machine)
    it.run("useradd --system --uid 1500 bot")
    it.unit("bot.service", ALWAYS)
    it.unit("rescue.service", RESCUE)
    it.run("systemctl daemon-reload && systemctl enable -q --now bot.service")
    return it


def is_off(it: Inside, unit: str = "bot.service") -> bool:
    """Return whether nothing of the agent runs and no hook of it ran."""
    hooks = it.run("ls /tmp | grep ^hook- || true").split()
    runs = it.run("pgrep -u bot || true").split()
    return (it.show(unit, "ActiveState")[0] in ("inactive", "failed"), hooks, runs) == (True, [], [])


def test_a_unit_that_always_restarts_is_stopped_for_good_and_none_of_its_hooks_runs(there: Inside) -> None:
    """Its own commands for stop and failure are the agent's code: a stop does not run them."""
    said = there.stop({"unit": "bot.service"})

    assert verdicts(said).items() >= PROVEN.items(), said
    assert said["steps"]["mask:units"][1] == "platform_evaluator"
    assert any("multi-user.target" in line and "mask refuses" in line for line in said["not_touched"])
    assert not said["doors"]
    time.sleep(2)
    assert is_off(there)
    for name in ("bot.service", "robot.service"):
        assert "masked" in there.run(f"systemctl start {name} 2>&1 || true")


def test_it_is_still_off_after_a_reboot(there: Inside) -> None:
    """The mask lies in /etc, and the unit is still enabled."""
    there.stop({"unit": "bot.service"})
    there.machine.reboot()
    there.run("systemctl is-system-running --wait || true")

    assert there.show("bot.service", "LoadState", "ActiveState") == ["masked", "inactive"]
    assert is_off(there)


def test_other_units_that_need_it_do_not_bring_it_back(there: Inside) -> None:
    """They are left alone, and what they ask for is refused."""
    for key, name in (
        ("Requires", "r"),
        ("BindsTo", "b"),
        ("OnFailure", "f"),
        ("Upholds", "u"),
        ("Wants", "w"),
    ):
        command = "/bin/false" if name == "f" else "/bin/sleep 500"
        text = (
            f"[Unit]\n{key}=bot.service\n[Service]\nExecStart={command}\nRestart=on-failure\nRestartSec=1\n"
        )
        there.unit(f"near-{name}.service", text)
    there.run("systemctl daemon-reload; systemctl start --no-block near-r near-b near-u near-w near-f")
    said = there.stop({"unit": "bot.service"})
    there.run("systemctl start near-r near-b near-u near-w near-f || true")
    time.sleep(1.5)

    assert verdicts(said).items() >= PROVEN.items(), said
    assert is_off(there)
    assert {f"unit near-{one}.service" for one in "rbfuw"} <= {
        line.partition(": ")[0] for line in said["not_touched"]
    }
    assert there.show("near-w.service", "ActiveState") == ["active"]


@pytest.mark.parametrize("kind", ["simple", "forking"])
def test_a_restart_without_delay_never_slips_between_freeze_and_mask(there: Inside, kind: str) -> None:
    """Also of a service whose main process systemd cannot know: frozen elsewhere, it looks ended to it."""
    there.unit("restless.sh", "#!/bin/sh\nsleep 1000 & sleep 1000 & sleep 0.01\n", folder="/opt")
    start = "/bin/sh /opt/restless.sh" if kind == "forking" else "/bin/sh -c 'sleep 0.05'"
    there.unit("bot.service", RESTLESS.format(kind=kind, start=start))
    for _ in range(4):
        there.run(
            "rm -rf /opt/bg/incident; systemctl daemon-reload; systemctl restart bot.service; sleep 0.3"
        )
        said = there.stop({"unit": "bot.service"})

        assert verdicts(said).items() >= PROVEN.items(), said
        assert verdicts(said).get("egress", "contained") == "contained", said
        time.sleep(0.5)
        assert is_off(there), said
        there.restore({"unit": "bot.service"})
        assert there.show("bot.service", "LoadState") == ["loaded"]


def test_systemd_stops_it_where_nothing_was_frozen_or_killed(there: Inside) -> None:
    """An independent way: mask and stop alone."""
    said = there.stop({"unit": "bot.service"}, only="mask stop")

    assert verdicts(said) == {"mask": "contained", "stop": "contained"}, said
    time.sleep(1)
    assert is_off(there)


def test_it_may_be_killed_between_any_two_verbs_and_run_again(there: Inside) -> None:
    """Each run begins where nobody knows what the one before it did."""
    for lives in (2, 5, 9, 14, 20):
        there.run(
            "systemctl is-active -q bot.service || systemctl start bot.service; rm -rf /opt/bg/incident"
        )
        there.stop({"unit": "bot.service"}, die=lives)
        said = there.stop({"unit": "bot.service"})

        assert verdicts(said).items() >= PROVEN.items(), said
        assert is_off(there)
        there.restore({"unit": "bot.service"}, die=lives)
        there.restore({"unit": "bot.service"})
        assert there.show("bot.service", "LoadState", "ActiveState") == ["loaded", "active"]
        assert not there.run("ls -d /etc/systemd/system.control 2>/dev/null || true")
