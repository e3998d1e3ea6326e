"""What the agent's own units start is the agent's, whatever runs when the plan is made."""

from __future__ import annotations

import pytest

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
        steps = {one.action: list(one.target.params.get("units") or ()) for one in found.proposals}
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
