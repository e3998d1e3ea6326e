"""A program that we run as the agent's user, to ask whether it is refused, is nobody's neighbour."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from breakglass_host import exclusive, procfs
from breakglass_host.sandbox import obstacle
from breakglass_host.tree import Tree
from tests.backends import need

_UID = 60_417


@contextmanager
def running() -> Iterator[subprocess.Popen[bytes]]:
    """Run a program as the agent's user."""
    with subprocess.Popen(["/bin/sleep", "60"], user=_UID, group=_UID, extra_groups=[]) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def agent() -> Iterator[Tree]:
    """Start the agent, which its inventory names by a process and a user."""
    why = obstacle(privileged=True)
    need("host", not why, why)
    with running() as process:
        found = procfs.process(process.pid)
        assert found is not None
        yield Tree("pid-file:/run/bot", uid=_UID, pid=found.pid, start=found.start, boot=procfs.boot_id())


def test_a_probe_of_our_own_is_waited_for_and_is_no_neighbour(agent: Tree) -> None:
    """Steps run side by side: one asks as the agent while another looks who else is that user."""
    with running() as probe:
        table = procfs.scan()
        with exclusive.OWN_PROBE:
            found: list[tuple[str, ...]] = []
            asking = threading.Thread(
                target=lambda: found.append(exclusive.uid_is_shared(None, agent, table))
            )
            asking.start()
            asking.join(0.3)
            assert [] == found
            probe.kill()
            probe.wait()
        asking.join(10.0)

    assert [()] == found


def test_what_stays_when_no_probe_runs_is_a_neighbour(agent: Tree) -> None:
    """Somebody else's program under that user is in the way as before, whoever started it."""
    with running() as other:
        [why] = exclusive.uid_is_shared(None, agent, procfs.scan())

    assert f"process {other.pid} (sleep) belongs to process" in why
