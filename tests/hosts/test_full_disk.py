"""A host whose disk is full is stopped all the same; what needs room there stays open, with the reason."""

from __future__ import annotations

from breakglass.model.action import Verdict
from breakglass_host.machine import obstacle, start
from tests.backends import need
from tests.hosts import resident
from tests.hosts.fleet import fleet, reach

NEED_ROOM = {"host.account.lock", "host.cron.block_relaunch"}
"""Each replaces a file of /etc as a whole; links and moves need no room."""


def test_a_host_whose_disk_is_full_is_stopped_and_what_could_not_be_written_is_said() -> None:
    """Nothing of the agent runs, no unit can start again, and the plan's undo works once there is room."""
    why = obstacle()
    need("systemd", not why, why)
    with start("bot-1") as machine:
        resident.settle(machine)
        before = resident.files(machine)
        machine.run(
            "dd if=/dev/zero of=/fill bs=1M 2>/dev/null; dd if=/dev/zero of=/rest bs=1 2>/dev/null; true"
        )
        settings = reach(machine, user=resident.ACCOUNT, unit="bot.service", units=[*resident.UNITS[1:]])
        with fleet([settings]) as ours:
            _, done = ours.stop()
            unproven = {
                step.action: step.reason
                for step in done.report.steps
                if step.verdict is not Verdict.CONTAINED
            }

            assert Verdict.NOT_CONTAINED is done.report.verdict
            assert NEED_ROOM == set(unproven)
            assert all("No space left on device" in reason for reason in unproven.values()), unproven
            assert "" == "\n".join(resident.processes(machine).splitlines()[1:])
            machine.run("rm -f /fill /rest")
            _, back = ours.restore()

            assert Verdict.CONTAINED is back.verdict
            assert [] == resident.unlike(before, resident.files(machine))
