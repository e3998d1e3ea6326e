"""The executor is killed while its runner lives on, and another goes on at once: only one of them acts."""

from __future__ import annotations

import signal

import pytest

from breakglass_host import procfs
from tests.hosts import lodger
from tests.hosts.cuts import halt
from tests.hosts.cutting import Ground, Usual, ended_of, ground, restore, unlike
from tests.hosts.executors import executors, make_plan
from tests.hosts.eye import FROM_THERE, TO_THERE, Decide, Sight

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

_KILLED = -signal.SIGKILL


@pytest.mark.parametrize(
    ("records", "is_held"),
    [(17, True), (40, False)],
    ids=["held in front of its first change", "in the middle of its work"],
)
def test_killed_while_ssh_lives_on_the_stop_is_resumed_beside_the_old_runner(
    records: int, usual: Usual, *, is_held: bool
) -> None:
    """Its ssh client is stopped, so the machine hears nothing: what the old runner was told it may still do.

    One that was stopped in front of a request wakes up once the new one has changed something. It ends
    without doing it, and the stop ends as one that nobody disturbed.
    """
    with ground("lodge") as on, on.fleet() as ours, executors(ours) as one:
        make_plan(ours)
        old = _Old(on)
        on.eye.watch(old.hold_at_first_change() if is_held else lambda _sight: True)
        on.eye.deaf = True
        killed = one.stop(die=["after", records])
        old.stop_client()
        links = len(on.eye.clients)
        assert lodger.runners(on.machine)
        on.eye.decide = old.wake_when_changed(links)
        resumed = one.resume()
        old.wake()
        left = on.await_no_runner()
        old.end_client()
        undisturbed, found = usual[0], ended_of(on, ours)

        assert (_KILLED, 0, []) == (killed.code, resumed.code, left), (killed.said, resumed.said)
        assert is_held == bool(old.runners)
        assert not any(procfs.is_same(runner) for runner in old.runners)
        assert () == found.wrong
        assert [] == unlike(undisturbed, found)
        assert () == restore(on, ours, None).wrong


class _Old:
    """The runner of the executor that was killed, and its ssh client."""

    def __init__(self, on: Ground) -> None:
        """Hold nothing yet."""
        self._on = on
        self.runners: list[procfs.Process] = []

    def hold_at_first_change(self) -> Decide:
        """Stop the runner where the first request to change something is on its way to it."""

        def decide(sight: Sight) -> bool:
            if sight.way == TO_THERE and sight.verb == "apply" and not self.runners:
                self.runners = halt(self._on.machine)
            return True

        return decide

    def stop_client(self) -> None:
        """Stop the ssh client: the death of the executor goes no further."""
        for client in self._on.eye.clients:
            client.process.send_signal(signal.SIGSTOP)

    def wake_when_changed(self, links: int) -> Decide:
        """Wake the runner up once another one says that it changed something."""

        def decide(sight: Sight) -> bool:
            if sight.way == FROM_THERE and sight.verb == "apply" and sight.link > links:
                self.wake()
            return True

        return decide

    def wake(self) -> None:
        """Let the runner go on, if it still lives."""
        for one in self.runners:
            procfs.send(one, signal.SIGCONT)

    def end_client(self) -> None:
        """Let go of the ssh client."""
        self._on.eye.deaf = False
        for client in self._on.eye.clients:
            if client.process.poll() is None:
                client.process.send_signal(signal.SIGCONT)
