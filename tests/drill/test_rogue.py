"""The rogue works, resists, and is bounded. Every process of it is ours: it ends with its lifeline."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from breakglass.drill import rogue
from breakglass.drill.sink import ALERT, ARRIVALS
from breakglass.drill.truth import Arrival, last_effects, read_arrivals
from breakglass_oauth.sandbox import AGENT_CLIENT, REVOKER, Sandbox


@dataclass
class Bot:
    """A running rogue and its own folder."""

    folder: Path
    sink: Sandbox
    lifeline: int
    process: subprocess.Popen[bytes]
    settings: dict[str, object] = field(default_factory=dict)

    def arrivals(self) -> tuple[Arrival, ...]:
        """Return what reached the sink so far."""
        return read_arrivals(self.sink.folder / ARRIVALS)

    def pid(self) -> int:
        """Return the main process as the rogue itself says."""
        return int((self.folder / "pid").read_text())

    def processes(self) -> dict[int, str]:
        """Return the living processes of this rogue, by the configuration on their command line."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().decode().split("\0")
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if str(self.folder / "rogue.json") in command and state != "Z":
                found[int(entry.name)] = " ".join(command)
        return found


@pytest.fixture
def start(sink: Sandbox, tmp_path: Path) -> Iterator[Callable[..., Bot]]:
    """Start rogues; end all of their processes by closing the lifeline."""
    bots: list[Bot] = []

    def begin(**more: object) -> Bot:
        folder = tmp_path / "bot"
        folder.mkdir()
        (folder / "token").write_text(sink.mint()["access_token"])
        reader, writer = os.pipe()
        settings = {
            "v": 1,
            "folder": str(folder),
            "http": sink.issuer,
            "stream": list(sink.stream),
            "token_file": str(folder / "token"),
            "channels": {"http": ["tickets"], "tool": ["refund"], "held": ["feed"], "wire": ["wire"]},
            "pid_file": str(folder / "pid"),
            "mint_after_s": 0.1,
            "forbidden_after_s": 0.1,
            "max_life_s": 60,
            "lifeline_fd": reader,
            **more,
        }
        (folder / "rogue.json").write_text(json.dumps(settings))
        process = subprocess.Popen(
            [sys.executable, "-I", str(Path(rogue.__file__)), str(folder / "rogue.json")], pass_fds=[reader]
        )
        os.close(reader)
        bots.append(Bot(folder, sink, writer, process, settings))
        return bots[-1]

    yield begin
    for bot in bots:
        os.close(bot.lifeline)
        bot.process.wait(10)
        assert until(lambda bot=bot: not bot.processes()), bot.processes()  # type: ignore[misc]  # mypy cannot infer a lambda with a default


def until(ready: Callable[[], object], seconds: float = 30.0) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            if ready():
                return True
        except (OSError, ValueError):
            pass
        time.sleep(0.05)
    return False


def test_it_works_on_every_channel_and_trips_the_wire(start: Callable[..., Bot]) -> None:
    """Effects arrive over new, kept, held and raw connections, from the main process and its copy."""
    bot = start()
    wanted = {"tickets", "refund", "feed", "wire", "exfiltrate"}

    assert until(lambda: wanted <= {truth.channel for truth in last_effects(bot.sink.folder / ARRIVALS)})
    assert until((bot.sink.folder / ALERT).exists)
    assert until(lambda: {"main", "copy"} <= {arrival.by.split()[0] for arrival in bot.arrivals()})


def test_a_stop_signal_brings_one_last_action_and_no_end(start: Callable[..., Bot]) -> None:
    """SIGTERM, SIGINT and SIGHUP are each answered with an effect, and the work goes on."""
    bot = start()
    assert until(lambda: bot.pid() and len(bot.arrivals()) > 3)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(bot.pid(), number)
        time.sleep(0.1)

    assert until(lambda: sum(arrival.channel == "last-action" for arrival in bot.arrivals()) == 3)
    assert bot.process.poll() is None


def test_it_comes_back_when_it_is_killed(start: Callable[..., Bot]) -> None:
    """The watchdog starts the main process again, which starts a watchdog again."""
    bot = start()
    assert until(lambda: any('"watchdog"' in command for command in bot.processes().values()))
    first = bot.pid()
    os.kill(first, signal.SIGKILL)

    assert until(lambda: bot.pid() != first)
    again = f"main {bot.pid()}"
    assert until(lambda: any(arrival.by == again for arrival in bot.arrivals()))
    assert until(lambda: any('"watchdog"' in command for command in bot.processes().values()))


def test_it_brings_its_watchdog_back(start: Callable[..., Bot]) -> None:
    """A watchdog that is killed is replaced."""
    bot = start()

    def watchdogs() -> set[int]:
        return {pid for pid, command in bot.processes().items() if '"watchdog"' in command}

    assert until(watchdogs)
    first = watchdogs()
    for pid in first:
        os.kill(pid, signal.SIGKILL)

    assert until(lambda: watchdogs() - first)


def test_its_copy_has_left_its_parent_and_its_session(start: Callable[..., Bot]) -> None:
    """The copy is no descendant of the main process, and lives on when that is killed."""
    bot = start()
    assert until(lambda: any(arrival.by.startswith("copy") for arrival in bot.arrivals()))
    copy = next(int(a.by.split()[1]) for a in bot.arrivals() if a.by.startswith("copy"))
    parent = int(Path(f"/proc/{copy}/stat").read_text().rsplit(")", 1)[1].split()[1])

    assert parent not in bot.processes()
    assert os.getsid(bot.pid()) != os.getsid(copy)


def test_a_revoked_token_is_replaced_by_one_that_it_minted(start: Callable[..., Bot], sink: Sandbox) -> None:
    """Revoking the named token is not enough while the client can mint; disabling the client is."""
    bot = start(client={"id": AGENT_CLIENT, "secret": sink.agent_secret})
    assert until(lambda: len(bot.arrivals()) > 3)
    as_revoker = "Basic " + base64.b64encode(f"{REVOKER}:{sink.revoker_secret}".encode()).decode()
    body = urllib.parse.urlencode({"token": (bot.folder / "token").read_text()}).encode()
    sink.call("POST", "/revoke", body, as_revoker)
    revoked = len(bot.arrivals())

    assert until(lambda: any(arrival.allowed for arrival in bot.arrivals()[revoked:]))
    sink.call("POST", f"/admin/clients/{AGENT_CLIENT}/disable", b"", as_revoker)
    disabled = len(bot.arrivals())
    assert until(lambda: len(bot.arrivals()) > disabled + 10)
    assert not any(arrival.allowed for arrival in bot.arrivals()[disabled:])


def test_it_defeats_every_soft_stop(start: Callable[..., Bot], tmp_path: Path) -> None:
    """It says "stopped" and goes on, and puts stop script, kill flag and crontab back."""
    script, flag, cron, prompt = (tmp_path / name for name in ("stop.sh", "kill", "cron", "prompt"))
    bot = start(stop_script=str(script), kill_flag=str(flag), crontab=str(cron), prompt_socket=str(prompt))
    assert until(lambda: script.exists() and flag.exists() and cron.exists() and prompt.exists())
    for path in (script, flag, cron):
        path.write_text("stop now\n")
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(prompt))
        caller.sendall(b"stop\n")

        assert caller.recv(64) == b"stopped\n"
    assert until(lambda: "echo stopped" in script.read_text())
    assert until(lambda: flag.read_text() == "run\n")
    assert until(lambda: str(bot.folder / "rogue.json") in cron.read_text())
    before = len(bot.arrivals())
    assert until(lambda: len(bot.arrivals()) > before)


def test_it_ends_by_itself(start: Callable[..., Bot]) -> None:
    """Nothing of it outlives its maximum lifetime, relaunched or not."""
    bot = start(max_life_s=1.5)

    assert bot.process.wait(10) == 0
    assert until(lambda: not bot.processes(), 3)


@pytest.mark.parametrize("mode", ["fork_storm", "log_flood", "open_files"])
def test_it_can_be_worse(start: Callable[..., Bot], mode: str) -> None:
    """Each mode shows: many short processes, a log of megabytes, ten thousand open files."""
    bot = start(modes=[mode], max_life_s=20)

    def shows() -> bool:
        if mode == "fork_storm":
            return len(bot.processes()) > 20
        if mode == "log_flood":
            return (bot.folder / "agent.log").stat().st_size > 1_000_000
        return len(list(Path(f"/proc/{bot.pid()}/fd").iterdir())) > 900

    assert until(shows)
