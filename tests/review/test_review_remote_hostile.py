"""A machine whose root is hostile can lie about itself, but cannot keep the others from being stopped."""

from __future__ import annotations

import json
import resource
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from breakglass.drill.grounds import AGENT
from breakglass.errors import Denied, ProviderError
from breakglass.model.plan import Plan
from breakglass.model.resource import Reach
from breakglass.usecases.contain import new_folder, open_stop
from breakglass.usecases.machines import ConnectedMachines
from breakglass.usecases.prepare import StopRequest
from breakglass_host.remote.allowance import MAX_ITEMS, MAX_ONE_LABEL, MAX_SEALED, Allowance
from tests.hosts.fleet import CLOCK, Fleet, fleet
from tests.review.hostile_host import first_in_path, reach, stand_in

GOOD = "def discover(call): answer(call, found(proposals=[step('spool')]))"
Lying = Callable[[str], Fleet]
LONGEST_S = 45.0
"""Of it 14 are waited until a machine that was cut off is asked again; 99 answers would take minutes."""


@pytest.fixture
def lying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lying]:
    """Make an agent on two machines: one that behaves, and one whose root answers with what is given."""
    with fleet([reach("good.drill.invalid"), reach("evil.drill.invalid")]) as made:

        def of(code: str) -> Fleet:
            hosts = {"good.drill.invalid": GOOD, "evil.drill.invalid": code}
            monkeypatch.setenv("PATH", first_in_path(stand_in(tmp_path / "bin", hosts)))
            return made

        yield of


def planned(made: Fleet) -> Plan:
    """Plan a stop, and sign nothing."""
    folder = new_folder(made.site, None, "inc-lying")
    request = StopRequest(AGENT, "", "a test", made.operators[0].name, None, CLOCK.now())
    opened = open_stop(made.site, request, folder, "inc-lying", secrets.token_bytes)
    opened.close()
    return opened.run.plan


@pytest.mark.parametrize(
    "name",
    [
        "{'kind': '\\ud800', 'id': 'x', 'label': 'x', 'params': {}}",
        "{'kind': '', 'id': '', 'label': '', 'params': {}}",
    ],
)
def test_what_one_machine_calls_its_own_does_not_end_the_planning_of_all(lying: Lying, name: str) -> None:
    """A name that no document can hold is spelt out; the other machine's steps are planned."""
    made = lying(f"def discover(call): answer(call, found(principals=[{name}], proposals=[step('spool')]))")

    assert [0, 1] == [step.reach for step in planned(made).steps]


def test_a_machine_does_not_close_the_door_of_a_credential_that_its_issuer_still_takes(lying: Lying) -> None:
    """It withholds a file and says that a step of its own revokes what lies in it: the door stays open."""
    made = lying(
        "def discover(call): answer(call, found(proposals=[step('spool'),"
        " step('secret', 'host.credentials.withhold', 'y', withholds=['file:/t'], revokes=['file:/t'])]))"
    )

    [door] = planned(made).doors
    assert ("file://evil.drill.invalid/t", ()) == (door.name, door.closed_by)


@pytest.mark.parametrize(
    "code",
    [
        (
            "def discover(call):\n"
            "    answer(call, found(proposals=[step('spool')], doors=[door('\\u202e' * (7 << 20))]))"
        ),
        (
            "def discover(call):\n"
            "    for n in range(8):\n"
            "        send(k='ask', ask=n, what='evidence', name='x', source='\\u202e' * (7 << 20))\n"
            "    answer(call, found(proposals=[step('spool')]))"
        ),
        (
            "def discover(call):\n"
            "    answer(call, found(proposals=[step(str(n), target=str(n)) for n in range(99)]))\n"
            "def observe(call): answer(call, state({'a': 'x' * (20 << 20)}))"
        ),
    ],
)
def test_a_machine_that_says_too_much_is_not_listened_to_any_more(lying: Lying, code: str) -> None:
    """Reading it costs neither the executor's memory, nor the time that the other machine's plan needs."""
    made, started_s = lying(code), time.monotonic()
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    plan = planned(made)

    assert 0 in {step.reach for step in plan.steps}
    assert time.monotonic() - started_s < LONGEST_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 800 * 1024


def test_a_machine_that_was_not_planned_is_let_go(lying: Lying, tmp_path: Path) -> None:
    """Its runner does not wait until the stop of the others has ended."""
    gone = tmp_path / "gone"
    made = lying(
        "def discover(call): answer(call, found(proposals=[step('x', 'no.such.action')]))\n"
        f"import atexit; atexit.register(lambda: open({str(gone)!r}, 'w').close())"
    )

    folder = new_folder(made.site, None, "inc-lying")
    request = StopRequest(AGENT, "", "a test", made.operators[0].name, None, CLOCK.now())
    opened = open_stop(made.site, request, folder, "inc-lying", secrets.token_bytes)
    try:
        until_s = time.monotonic() + 10
        while not gone.exists():
            assert time.monotonic() < until_s, "it still runs"
            time.sleep(0.05)
        assert ["ssh://root@evil.drill.invalid"] == [one.scope for one in opened.run.plan.not_planned]
    finally:
        opened.close()


def test_a_flood_of_evidence_and_of_sealed_state_has_an_end() -> None:
    """Each piece is a file and a record of the executor's, whose disk the journal needs."""
    allowance = Allowance()
    for _ in range(MAX_ITEMS):
        allowance.item()
    with pytest.raises(ProviderError, match="pieces of evidence"):
        allowance.item()

    with pytest.raises(ProviderError, match="prior state"):
        allowance.seal("x", bytes(MAX_SEALED + 1))
    allowance = Allowance()
    for n in range(MAX_ONE_LABEL):
        for _look in range(3):
            allowance.seal("crontab", b"%d" % n)
    with pytest.raises(ProviderError, match="prior state"):
        allowance.seal("crontab", b"one more")


class Reader:
    """A provider that reads files."""

    def read_file(self, path: str, *, max_bytes: int) -> bytes:
        """Return who it is."""
        return f"first {path}".encode()[:max_bytes]


def test_two_machines_behind_one_name_do_not_answer_for_each_other() -> None:
    """They differ in the port and in their keys: whose token file is meant cannot be told."""
    machines, reader = ConnectedMachines(), Reader()
    one = Reach("host", {"host": "ssh://root@nat", "host_key": "a"}, "kit:1")
    same = Reach("host", {"host": "ssh://root@nat", "host_key": "a", "unit": "x.service"}, "kit:2")
    other = Reach("host", {"host": "ssh://root@nat:2222", "host_key": "b"}, "kit:3")

    machines.add(one, reader)  # type: ignore[arg-type]  # what is asked of a provider here
    machines.add(same, reader)  # type: ignore[arg-type]  # the same
    assert b"first /t" == machines.read_file("NAT", "/t", max_bytes=9)

    machines.add(other, reader)  # type: ignore[arg-type]  # the same
    with pytest.raises(Denied, match="two machines"):
        machines.read_file("nat", "/t", max_bytes=9)


def test_threads_of_a_machine_end_with_its_connection(lying: Lying) -> None:
    """Asks that were never ended do not keep their threads."""
    made = lying(
        "def discover(call):\n"
        "    for n in range(30): send(k='ask', ask=n, what='evidence', name='x%d' % n, source='s')\n"
        "    answer(call, found(proposals=[step('spool')]))"
    )
    before = threading.active_count()
    assert 2 == len(planned(made).steps)

    until_s = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until_s:
        time.sleep(0.05)
    assert before >= threading.active_count(), json.dumps([t.name for t in threading.enumerate()])
