"""Units that would put the agent back are paused on a real systemd, or said, and come back."""

from __future__ import annotations

import time

from breakglass.canon import Json
from breakglass.model.action import Verdict
from breakglass_host.machine import Machine
from providers.host.tests.machines import connect_to
from providers.host.tests.rig_b import stop
from providers.host.tests.units_s import Inside, inside

RUN = """[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo run >> /root/deployed; sleep 600'
TimeoutStartSec=infinity
"""
TIMER = """[Timer]
OnActiveSec=1
OnUnitInactiveSec=1
AccuracySec=100ms
[Install]
WantedBy=timers.target
"""
DAEMON = """[Service]
ExecStart=/bin/sh -c "trap '' TERM; while :; do sleep 1; done"
Restart=always
RestartSec=0
"""


def settings(*deployers: str) -> dict[str, Json]:
    """Return an inventory that names deployers, and an agent that runs nothing."""
    return {"unit": "support-bot.service", "deployers": list(deployers)}


def deployer(machine: Machine) -> Inside:
    """Put the product, an agent and two deployers into a machine."""
    world = inside(machine)
    world.unit("support-bot.service", "[Service]\nExecStart=/bin/sleep infinity\n")
    world.unit("deploy-bot.service", RUN)
    world.unit("deploy-bot.timer", TIMER)
    world.unit("agentd.service", DAEMON)
    world.run(
        "systemctl daemon-reload; systemctl enable --now deploy-bot.timer; systemctl start agentd.service"
    )
    until = time.monotonic() + 10
    while "run" not in world.run("cat /root/deployed 2>/dev/null", check=False) and time.monotonic() < until:
        time.sleep(0.1)
    return world


def test_a_timer_and_its_running_job_are_paused_and_come_back_exactly(machine: Machine) -> None:
    """The run in the middle is ended, nothing starts another one, and the listing is the same afterwards."""
    world = deployer(machine)
    listed = world.listing()
    named = settings("unit:deploy-bot.timer", "unit:agentd.service")
    said = world.stop(named, only="deployer")

    steps = {key: one[:2] for key, one in said["steps"].items() if key.startswith("deployer:")}
    assert {
        "deployer:unit/deploy-bot.timer": ["contained", "platform_evaluator"],
        "deployer:unit/agentd.service": ["contained", "platform_evaluator"],
    } == steps
    runs = world.run("cat /root/deployed").count("run")
    time.sleep(4)
    assert runs == world.run("cat /root/deployed").count("run")
    for unit in ("deploy-bot.timer", "deploy-bot.service", "agentd.service"):
        assert ["masked", "no"] == world.show(unit, "LoadState", "CanStart")
        assert world.run(f"systemctl is-active {unit}", check=False).strip() in ("inactive", "failed")
    world.restore(named)

    assert listed == world.listing()
    assert ["loaded", "active"] == world.show("deploy-bot.timer", "LoadState", "ActiveState")
    assert ["loaded", "active"] == world.show("agentd.service", "LoadState", "ActiveState")


def test_what_is_absent_vital_or_odd_stays_a_door(machine: Machine) -> None:
    """Nothing that the inventory names is passed over in silence, and no vital unit is ever masked."""
    world = inside(machine)
    odd = (
        "unit:absent.timer",
        "unit:ssh.service",
        "unit:a b.service",
        "unit:dbus.socket",
        "cron:/etc/cron.d/x",
    )
    said = world.stop(settings(*odd), only="deployer")

    assert [] == [key for key in said["steps"] if key.startswith("deployer:")]
    doors = " ".join(str(one) for one in said["doors"])
    assert [name for name in odd if f"deployer {name}" not in doors] == []
    assert "loaded" == world.show("ssh.service", "LoadState")[0]


def test_from_another_machine_it_is_paused_and_put_back_alike(machine: Machine) -> None:
    """Over ssh: a timer and a cron table are paused, a missing engine is said, and all comes back."""
    (machine.root / "etc/systemd/system/deploy-bot.service").write_text(RUN)
    (machine.root / "etc/systemd/system/deploy-bot.timer").write_text(TIMER)
    (machine.root / "etc/cron.d/deploy-bot").write_text("* * * * * root echo cron >> /root/deployed\n")
    machine.run("systemctl daemon-reload; systemctl enable --now deploy-bot.timer")
    listing = "stat -c '%n %i %a %Y' /etc/cron.d/*; find /etc/systemd -printf '%p %m %T@ %l\\n' | sort"
    listed = machine.run(listing).stdout
    named = ["unit:deploy-bot.timer", "cron:/etc/cron.d/deploy-bot"]
    provider = connect_to(machine, {"user": "nobody", "deployers": [*named], "containers": ["podman:bot"]})
    try:
        found = provider.discover()
        steps = [one for one in found.proposals if one.key.startswith("deployer:")]
        before = {one.key: stop(provider.actions[one.action], one.target, rounds=2) for one in steps}

        assert [f"deployer:{one.replace(':', '/')}" for one in named] == [one.key for one in steps]
        for one in steps:
            action = provider.actions[one.action]
            assert Verdict.CONTAINED is action.judge(one.target, action.observe(one.target)).verdict
        assert "podman is not installed on this host" in [one.door.reason for one in found.doors]
        for one in reversed(steps):
            action = provider.actions[one.action]
            action.revert(one.target, before[one.key], action.observe(one.target))
    finally:
        provider.close()
    assert listed == machine.run(listing).stdout
