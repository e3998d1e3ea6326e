"""What the agent's own units start is the agent's, whatever runs when the plan is made."""

from __future__ import annotations

import pytest

from breakglass.model.action import Verdict
from breakglass_host.learning import texts
from breakglass_host.machine import Machine
from providers.host.tests.machines import connect_to

_SETTLE = """set -e
useradd -m -s /bin/bash bot
service() { printf '[Service]\\nUser=bot\\nExecStart=/bin/sleep 1000\\n' >"/etc/systemd/system/$1"; }
service bot.service; service 'w@.service'; service tick.service; service other.service
printf '[Timer]\\nOnActiveSec=1h\\n' >/etc/systemd/system/tick.timer
printf '[Timer]\\nOnActiveSec=1h\\nUnit=other.service\\n' >/etc/systemd/system/odd.timer
systemctl daemon-reload; systemctl start bot.service
"""


@pytest.fixture
def host(machine: Machine) -> Machine:
    """Give a machine with an agent that is several units."""
    machine.run(_SETTLE)
    return machine


def planned(host: Machine, *units: str) -> tuple[list[str], dict[str, list[str]]]:
    """Return the open doors of a plan, and the units of each step."""
    provider = connect_to(host, {"user": "bot", "unit": "bot.service", "units": [*units]})
    try:
        found = provider.discover()
        steps = {one.action: texts(one.target.params, "units") for one in found.proposals}
        return [one.door.name for one in found.doors if not one.closed_by], steps
    finally:
        provider.close()


def test_an_instance_of_a_named_template_is_no_neighbour(host: Machine) -> None:
    """Otherwise the agent's user would be shared, and its account, keys and sessions left alone."""
    host.run("systemctl start w@1.service w@2.service")
    doors, steps = planned(host, "w@.service")

    assert [] == doors
    assert "host.account.lock" in steps


def test_what_a_named_timer_starts_by_its_own_name_is_the_agent_s(host: Machine) -> None:
    """It is masked and stopped too, and its processes are no neighbour's."""
    host.run("systemctl start tick.service")
    doors, steps = planned(host, "tick.timer")

    assert [] == doors
    assert "tick.service" in steps["host.systemd.stop_units"]
    assert "host.account.lock" in steps


def test_what_a_named_timer_starts_under_another_name_is_a_door(host: Machine) -> None:
    """A file of the agent's may name any unit: a neighbour is not stopped for it, and it is told."""
    doors, steps = planned(host, "odd.timer")

    assert 1 == len([one for one in doors if "other.service" in one])
    assert "other.service" not in steps["host.systemd.stop_units"]


def undone(host: Machine, units: list[str], between: str) -> dict[str, str]:
    """Stop the units, let somebody work on them, undo it; return the outcomes of the undo."""
    provider = connect_to(host, {"user": "bot", "unit": units[0], "units": [*units[1:]]})
    try:
        outcomes: dict[str, str] = {}
        priors = []
        for one in provider.discover().proposals:
            if one.action in ("host.systemd.mask_units", "host.systemd.stop_triggers"):
                action = provider.actions[one.action]
                before = action.observe(one.target)
                action.apply(one.target, before, "token")
                priors.append((action, one.target, before))
        host.run("systemctl stop " + " ".join(units))
        host.run(between)
        for action, target, before in sorted(priors, key=lambda one: "trigger" in one[0].spec.name):
            done = action.revert(target, before, action.observe(target))
            outcomes |= {key: str(value) for key, value in done.objects.items()}
        return outcomes
    finally:
        provider.close()


def test_what_was_disabled_meanwhile_is_not_started_by_the_undo(host: Machine) -> None:
    """A person turned it off while it was stopped: that counts, and it is told."""
    host.run(
        "printf '[Install]\\nWantedBy=multi-user.target\\n' | tee -a /etc/systemd/system/bot.service"
        " >>/etc/systemd/system/tick.timer; systemctl enable --now bot.service tick.timer"
    )
    off = "rm /etc/systemd/system/multi-user.target.wants/bot.service; rm /etc/systemd/system/*/tick.timer"
    found = undone(host, ["bot.service", "tick.timer", "tick.service"], off)

    assert ("drifted", "drifted") == (found["run:bot.service"], found["run:tick.timer"])
    assert "active" not in host.run("systemctl is-active bot tick.timer", check=False).stdout.split()


def test_what_somebody_put_in_the_place_of_a_mask_is_neither_removed_nor_started(host: Machine) -> None:
    """It is theirs: the undo says that it was left alone, and does not go round in circles."""
    mine = "/etc/systemd/system.control/bot.service"
    text = "[Service]\\nExecStart=/bin/touch /run/started\\n"
    new = f"rm {mine}; printf '{text}' >{mine}; systemctl daemon-reload"
    found = undone(host, ["bot.service"], new)

    assert "drifted" == found["unit:bot.service"]
    assert "run:bot.service" not in found
    host.run(f"test -f {mine}; test ! -e /run/started")


def test_a_unit_file_that_the_agent_made_a_link_to_a_secret_is_not_copied(host: Machine) -> None:
    """A linked unit file may lie in its home: what it puts there later must not lead to root's files."""
    host.run(
        "install -d -o bot /home/bot/u; cp /etc/systemd/system/other.service /home/bot/u/mine.service;"
        "systemctl link --now /home/bot/u/mine.service; systemctl start mine.service;"
        "ln -sf /etc/shadow /home/bot/u/mine.service; chown -h bot: /home/bot/u/mine.service"
    )
    provider = connect_to(host, {"user": "bot", "unit": "mine.service"})
    try:
        found = provider.discover()
        step = next(one for one in found.proposals if one.action == "host.systemd.mask_units")
        state = provider.actions[step.action].observe(step.target)
    finally:
        provider.close()
    unit = state.objects["unit:mine.service"]

    assert isinstance(unit, dict)
    assert isinstance(files := unit["files"], list)
    assert [False] == ["content" in one for one in files if isinstance(one, dict)]


def test_a_pipe_in_the_place_of_a_unit_file_does_not_hang_process_1(host: Machine) -> None:
    """A linked unit file may lie in the agent's home, unnamed: a pipe there would hang every reload."""
    host.run(
        "install -d -o bot /home/bot/u; cp /etc/systemd/system/other.service /home/bot/u/odd.service;"
        "systemctl link --now /home/bot/u/odd.service; rm /home/bot/u/odd.service;"
        "mkfifo /home/bot/u/odd.service; chown -R bot: /home/bot/u"
    )
    provider = connect_to(host, {"user": "bot", "unit": "bot.service"})
    try:
        found = provider.discover()
        step = next(one for one in found.proposals if one.action == "host.systemd.mask_units")
        action = provider.actions[step.action]
        action.apply(step.target, action.observe(step.target), "token")
        judged = action.judge(step.target, action.observe(step.target))
    finally:
        provider.close()

    assert Verdict.CONTAINED is judged.verdict
    assert "masked" in host.run("systemctl show -P LoadState bot.service").stdout
