"""A machine that answers with crafted bytes gets its own calls refused and nothing else: on real pipes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.model.resource import Resource
from breakglass.provider import Connection, Discovery, EvidenceItem, Proposal, ProposedDoor
from breakglass_host.remote import frames, rewrite
from breakglass_host.remote.address import Address
from breakglass_host.remote.allowance import Allowance
from breakglass_host.remote.link import Cut, Link
from breakglass_host.remote.serving import Serving
from breakglass_host.remote.session import Session
from providers.host.tests.rig_b import connection

PREAMBLE = """
import base64, json, os, sys, time
def send(**m):
    d = json.dumps(m).encode(); raw(len(d).to_bytes(4, "big") + d)
def raw(d):
    d = memoryview(d)
    while d: d = d[os.write(1, d):]
def read():
    n = int.from_bytes(sys.stdin.buffer.read(4), "big"); return json.loads(sys.stdin.buffer.read(n))
"""


@contextmanager
def hostile(code: str, made: Connection) -> Iterator[Link]:
    """Speak to a program of the attacker's over pipes, as to ssh."""
    process = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    link = Link(process, "bot-7", Serving(made, "root@bot-7", Allowance()), first=b"", said="")
    try:
        yield link
    finally:
        link.close()
        assert process.poll() is not None


def call_twice(link: Link) -> None:
    """Make two calls: a second answer to the first one comes before that of the second."""
    for _ in range(2):
        link.call("observe", "x", {})
        time.sleep(0.2)


@pytest.fixture
def made(tmp_path: Path) -> Connection:
    """Return the executor's side of a connection."""
    return connection(tmp_path / "incident")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raw(b'\\xff' * 100); time.sleep(60)", "a message of 4294967295 bytes"),
        ("raw((0).to_bytes(4, 'big')); time.sleep(60)", "a message of 0 bytes"),
        ("raw(b'\\0\\0\\0\\5hello'); time.sleep(60)", "not JSON"),
        ("raw(b'\\0\\0\\0\\2[]'); time.sleep(60)", "not an object"),
        ("send(k='answer', id=99, ok=1); time.sleep(60)", "not asked"),
        ("send(k='answer', id=[1], ok=1); time.sleep(60)", "not asked"),
        ("m = read(); [send(k='answer', id=m['of']['id'], ok=1) for _ in '12']; time.sleep(60)", "not asked"),
        ("send(k='hello', at_ms=1); time.sleep(60)", "not asked"),
        ("send(k='pong'); time.sleep(60)", "an ask without a number"),
        ("send(k='ask', ask=1, what='secret', name='x'); time.sleep(60)", "cannot be asked"),
        ("send(k='chunk', ask=1, data=''); time.sleep(60)", "was not asked"),
        ("send(k='ask', ask=1, what='evidence', name='x'); time.sleep(60)", "source is no text"),
        (
            (
                "send(k='ask', ask=1, what='evidence', name='x', source='s')\n"
                "send(k='chunk', ask=1, data=base64.b64encode(bytes(1 << 20)).decode()); time.sleep(60)"
            ),
            "a piece of",
        ),
        (
            (
                "for n in range(999): send(k='ask', ask=n, what='evidence', name=str(n), source='s')\n"
                "time.sleep(60)"
            ),
            "too many asks",
        ),
        ("m = read(); send(k='answer', id=m['of']['id'], error={'class': 7}); time.sleep(60)", "class"),
        ("sys.exit(3)", "ssh ended"),
        ("sys.stderr.write('Connection reset by peer\\n'); sys.exit(255)", "Connection reset by peer"),
    ],
)
def test_what_no_runner_of_ours_sends_cuts_the_connection(code: str, why: str, made: Connection) -> None:
    """The call fails at once, with the reason; nothing hangs, and the client is ended."""
    started_s = time.monotonic()
    with hostile(code, made) as link, pytest.raises(Cut, match=why):
        call_twice(link)

    assert time.monotonic() - started_s < 40


def test_an_answer_that_comes_after_a_cut_is_no_foul(made: Connection) -> None:
    """It was on its way when the executor could send no more and gave the connection up."""
    late = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "m = read(); os.close(0); time.sleep(0.5)\n"
        "for _ in 'ab': send(k='answer', id=m['of']['id'], ok=1)\n"
        "time.sleep(0.2)"
    )
    with hostile(late, made) as link:
        with ThreadPoolExecutor(2) as callers:
            first = callers.submit(link.call, "observe", "x", {})
            time.sleep(0.2)
            second = callers.submit(link.call, "observe", "x", {})
            assert isinstance(first.exception(10), Cut)
            assert isinstance(second.exception(10), Cut)
        time.sleep(0.8)

        assert not link.is_foul


def test_many_calls_on_one_foul_connection_count_once(made: Connection) -> None:
    """Eight calls wait while one frame is foul: the machine is still listened to over the next connection."""
    foul = "for n in range(8): read()\nraw(b'\\0\\0\\0\\2[]'); time.sleep(60)"
    good = "while True: m = read(); send(k='answer', id=m['of']['id'], ok=7)"
    with hostile(foul, made) as first, hostile(good, made) as second:
        links = iter((first, second))
        session = Session(lambda _within_s: next(links), "bot-7", within_s=5)
        with ThreadPoolExecutor(8) as callers:
            asked = [callers.submit(session.call, "observe", "x", {}) for _ in range(8)]

        assert [7] * 8 == [one.result() for one in asked]
        assert first.is_foul


def test_evidence_is_not_taken_faster_than_it_is_kept(made: Connection) -> None:
    """A few pieces wait for a slow disk, and no more: who sends on without leave is cut off."""
    code = (
        "send(k='ask', ask=1, what='evidence', name='x', source='s')\n"
        "for _ in range(99): send(k='chunk', ask=1, data=base64.b64encode(bytes(1 << 18)).decode())\n"
        "time.sleep(60)"
    )
    slow = replace(made, evidence=SlowDisk())
    with hostile(code, slow) as link, pytest.raises(Cut, match="without leave"):
        link.call("observe", "x", {})


class SlowDisk:
    """An evidence sink that takes its time."""

    def put(self, name: str, source: str, chunks: Iterable[bytes]) -> EvidenceItem:
        """Read a piece a second."""
        for _ in chunks:
            time.sleep(1)
        return EvidenceItem(name, "0" * 64, 0, source)


def test_a_flood_is_not_kept(made: Connection) -> None:
    """Half a message of 47 MiB costs 47 MiB, and is given up when the connection ends."""
    code = "raw((47 << 20).to_bytes(4, 'big')); raw(bytes(46 << 20)); sys.exit(0)"
    with hostile(code, made) as link, pytest.raises(Cut, match="ssh ended"):
        link.call("observe", "x", {})


def test_a_machine_cannot_have_what_another_sealed(made: Connection) -> None:
    """Not even with its name and commitment; its own it gets back, and what the signed run sends it."""
    other = made.sealed.put("ssh://root@other /etc/shadow", b"secret")
    mine = made.sealed.put("mine", b"mine")
    serving = Serving(made, "root@bot-7", allowance := Allowance())
    told: list[frames.Message] = []

    def ask(reference: object) -> frames.Message:
        before = len(told)
        serving.take({"k": "ask", "ask": 1, "what": "sealed.get", "reference": reference}, told.append)
        assert wait(lambda: len(told) > before)
        return told[-1]

    allowance.allow({"before": {"objects": {"/x": {"content": [mine]}}}})

    assert "bWluZQ==" == ask(mine)["ok"]
    assert "not of this host" in str(ask(other)["error"])
    assert "error" in ask({"sealed": "../../roster.json", "size": 1, "commitment": mine["commitment"]})


def test_evidence_lies_in_the_machines_own_folder(made: Connection, tmp_path: Path) -> None:
    """It can name nothing outside of it."""
    serving = Serving(made, "root@bot-7", Allowance())
    told: list[frames.Message] = []
    for n, name in enumerate(("../../../x", "/x", "a/../../x", "host/ok.txt")):
        serving.take({"k": "ask", "ask": n, "what": "evidence", "name": name, "source": "s"}, told.append)
        serving.take({"k": "end", "ask": n}, told.append)
    assert wait(lambda: len(told) == 4)

    found = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert [Path("incident/evidence/root@bot-7/host/ok.txt")] == found
    assert 3 == sum("error" in one for one in told)


def test_evidence_that_is_cut_short_leaves_nothing(made: Connection, tmp_path: Path) -> None:
    """A connection that ends in the middle of a piece leaves no half of it."""
    serving = Serving(made, "root@bot-7", Allowance())
    told: list[frames.Message] = []
    serving.take({"k": "ask", "ask": 1, "what": "evidence", "name": "log", "source": "s"}, told.append)
    serving.take({"k": "chunk", "ask": 1, "data": "aGFsZg=="}, told.append)
    assert wait(lambda: bool(told))
    serving.drop()

    assert wait(lambda: len(told) > 1)
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_machine_closes_no_door_of_others() -> None:
    """It names its own files and the deployers that the inventory puts on it, and nothing else."""
    target = Resource("x", "x", "x", {})
    step = Proposal(
        "k",
        "a",
        target,
        withholds=("file:/etc/key", "issuer:https://login.example.com"),
        revokes=("issuer:Stripe", "deployer:argocd/bot", "deployer:unit/own.timer", "file:/a", "keyring:a/b"),
    )
    door = ProposedDoor(Door(DoorKind.NO_STEP, "credential file /x", "", "", "", (), Verdict.UNKNOWN))
    found = Discovery("host local", (), (step,), (door,), endpoints=("https://sandbox",), runner="0" * 64)

    named = rewrite.at_host(
        found, Address("root", "Bot-7", 22), {"deployers": ["unit:own.timer"]}, runner="1" * 64
    )

    assert ("host ssh://root@Bot-7:22", (), "1" * 64) == (named.scope, named.endpoints, named.runner)
    assert ("file://bot-7/etc/key",) == named.proposals[0].withholds
    assert ("deployer:unit/own.timer",) == named.proposals[0].revokes
    assert "credential file /x on bot-7" == named.doors[0].door.name


@pytest.mark.parametrize(
    "found",
    [
        Discovery("s", (), (Proposal("k", "a", Resource("x", "x", "x", {})),) * 257),
        Discovery("s", (Resource("x", "x", "x", {}),) * 1001, ()),
        Discovery("s", (), (Proposal("k", "a", Resource("x", "x", "x", {}), deadline_s=1e6),)),
        Discovery("s", (), (Proposal("k", "a", Resource("x", "x", "x", {}), settle_s=-1.0),)),
    ],
)
def test_a_machine_cannot_make_a_plan_too_large_or_too_long(found: Discovery) -> None:
    """Its reach is not planned, and the others are."""
    with pytest.raises(ProviderError, match="it proposes"):
        rewrite.at_host(found, Address("root", "x", None), {}, runner="")


def test_a_clock_that_is_off_is_said_in_words() -> None:
    """Five seconds are nothing; hours are named."""
    address = Address("root", "bot-7", None)

    assert () == rewrite.clock_notice(address, 4.9)
    [ahead], [behind] = rewrite.clock_notice(address, 10_920.0), rewrite.clock_notice(address, -7.0)
    assert "3 h 2 min ahead of the executor's; times in its logs are shifted by that" == ahead.reason
    assert "7 s behind the executor's" in behind.reason


def wait(condition: Callable[[], bool], within_s: float = 5.0) -> bool:
    """Wait for a thread."""
    until_s = time.monotonic() + within_s
    while not condition() and time.monotonic() < until_s:
        time.sleep(0.005)
    return condition()
