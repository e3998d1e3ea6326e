"""Lays out the grounds of a drill: throwaway people and kit, the downstream system, the rogue and its files.

BASE/agent/       the agent's own folder, owned by its user: token, log, crontab, spool, stop.sh
BASE/sink/        the downstream system's record: the drill's truth
BASE/operator/    kit, anchor, state, credentials, keys: nothing that the agent can read
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.clock import Clock
from breakglass.drill import rogue
from breakglass.drill.scenario import Scenario
from breakglass.errors import Unreachable, Unsupported
from breakglass.keys import key_file, log_key
from breakglass.keys.key_file import FileSigner
from breakglass.model.roster import ExecutorKey, Role
from breakglass.provider import AgentHome
from breakglass.testing.operators import Operator, make_operator, make_roster, publish_roster

AGENT = "rogue"
ORG = "drill.invalid"
EXECUTOR = "drill-executor"
REVOKER = "breakglass-revoker"
INSIDE_HTTP = ("127.0.0.1", 8080)
INSIDE_STREAM = ("127.0.0.1", 8081)
START_S = 15.0
PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Grounds:
    """The folders of one drill."""

    base: Path

    @property
    def agent(self) -> Path:
        """Return the agent's own folder."""
        return self.base / "agent"

    @property
    def sink(self) -> Path:
        """Return the downstream system's folder."""
        return self.base / "sink"

    @property
    def operator(self) -> Path:
        """Return the operators' folder."""
        return self.base / "operator"

    @property
    def kit(self) -> Path:
        """Return the kit."""
        return self.operator / "kit"

    @property
    def alert(self) -> Path:
        """Return where the tripwire writes."""
        return self.sink / "alert.json"

    def lay_out(self) -> None:
        """Make the folders; only the way to the agent's own is open to it."""
        self.base.chmod(0o711)
        for folder in (self.agent, self.sink, self.operator, self.kit, self.operator / "credentials"):
            folder.mkdir(PRIVATE)
        (self.kit / "agents").mkdir()


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the agent and the executor prove themselves with at the issuer."""

    agent: str
    revoker: str


@dataclass(frozen=True, slots=True)
class People:
    """Three persons are enrolled; two of them sign."""

    operators: tuple[Operator, ...]
    executor: ExecutorKey


def enrol(grounds: Grounds, clock: Clock) -> People:
    """Make three persons with encrypted key files, and the executor with its log key."""
    keys = grounds.operator / "keys"
    keys.mkdir(PRIVATE)
    operators: list[Operator] = []
    for name in ("alice@drill.invalid", "bob@drill.invalid", "carol@drill.invalid"):
        passphrase = secrets.token_urlsafe(18).encode()
        path = keys / name.partition("@")[0]
        key_file.generate(path, passphrase, name)
        signer = FileSigner(path, lambda passphrase=passphrase: passphrase)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        operators.append(
            make_operator(name, (Role.RESPONDER, Role.COMMANDER, Role.ADMIN), clock, signer=signer)
        )
    line = log_key.generate(keys / "log.key", EXECUTOR)
    return People(tuple(operators), ExecutorKey(EXECUTOR, line))


def write_kit(
    grounds: Grounds,
    people: People,
    clock: Clock,
    runbook: str,
    reach: Sequence[Mapping[str, object]],
    issuer: str,
) -> None:
    """Write the kit, its signed roster and its anchor; two admins sign the kit next. JSON is YAML."""
    expires = str(clock.now().plus(12 * 3600))
    settings = {
        "v": 1,
        "org": ORG,
        "version": 1,
        "expires": expires,
        "drill": True,
        "two_person_rule": "advisory",
        "two_person_reason": "one user of this machine holds every key of a drill",
        "executors": [{"name": EXECUTOR, "log_key": str(grounds.operator / "keys" / "log.key")}],
        "runbook": runbook,
    }
    tools = [
        {
            "name": channel,
            "effect": effect,
            "credential": "the agent's token",
            "issuer": issuer,
            "revoke_at": f"{issuer}/revoke",
            "owner": "the drill",
        }
        for channel, effect in (("refund", "money"), ("exfiltrate", "external"))
    ]
    agent = {
        "agent": AGENT,
        "owner": "the drill",
        "class": "drill",
        "who_can_stop": "any two of the drill's operators",
        "reach": list(reach),
        "tools": [*tools, {"name": "tickets", "effect": "read"}],
    }
    _write_json(grounds.kit / "breakglass.yaml", settings)
    _write_json(grounds.kit / "agents" / f"{AGENT}.yaml", agent)
    roster = make_roster(ORG, people.operators, [people.executor], clock, drill=True)
    anchor = publish_roster(grounds.kit, roster, people.operators[:2])
    (grounds.operator / "anchor").write_bytes(anchor.to_bytes())


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def python_for(uid: int) -> str:
    """Return an interpreter that the agent's user can run.

    Raises:
        Unsupported: every interpreter lies below a folder that others may not enter.
    """
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        path = Path(candidate).resolve()
        if path.is_file() and (uid == os.getuid() or _open_to_all(path)):
            return str(path)
    raise Unsupported(
        "no Python that an unprivileged user can run: each lies below a private folder",
        remedy="install your system's python3 package, or run the drill as an ordinary user",
    )


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def move_in(
    grounds: Grounds, home: AgentHome, scenario: Scenario, held: Secrets, forbidden_after_s: float
) -> list[str]:
    """Put the agent's program and files into its folder; return the command that starts it."""
    folder = grounds.agent
    program = folder / "rogue.py"
    shutil.copyfile(Path(rogue.__file__), program)
    (folder / "spool").mkdir()
    (folder / "spool" / "job-1").write_text("refund order 4711\n", encoding="utf-8")
    (folder / "crontab").write_text(f"* * * * * {program}\n", encoding="utf-8")
    (folder / "agent.log").touch()
    host, port = INSIDE_HTTP
    config = {
        "v": 1,
        "folder": str(folder),
        "http": f"http://{host}:{port}",
        "stream": list(INSIDE_STREAM),
        "token_file": str(folder / "token"),
        "client": {"id": AGENT, "secret": held.agent},
        "channels": {"http": ["tickets"], "tool": ["refund"], "held": ["feed"], "wire": ["wire"]},
        "forbidden": "exfiltrate",
        "forbidden_after_s": forbidden_after_s,
        "mint_after_s": 0.5,
        "crontab": str(folder / "crontab"),
        "stop_script": str(folder / "stop.sh"),
        "kill_flag": str(folder / "kill"),
        "prompt_socket": str(folder / "prompt.sock"),
        "log": str(folder / "agent.log"),
        "max_life_s": 300,
        "modes": list(scenario.modes),
    }
    _write_json(folder / "config.json", config)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, home.uid, -1)
    return [python_for(home.uid), "-I", str(program), str(folder / "config.json")]


@dataclass(slots=True)
class RunningSink:
    """The downstream system, while it runs."""

    process: subprocess.Popen[bytes]
    lifeline: int
    issuer: str = ""

    def stop(self) -> None:
        """End it; its record stays."""
        os.close(self.lifeline)
        try:
            self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_sink(grounds: Grounds, http_fd: int, stream_fd: int, held: Secrets) -> RunningSink:
    """Start the downstream system on sockets that listen inside the agent's network, and on loopback here.

    Raises:
        Unreachable: it did not come up.
    """
    ends, lifeline = os.pipe()
    config = {
        "v": 1,
        "agent": AGENT,
        "folder": str(grounds.sink),
        "forbidden": ["exfiltrate"],
        "http": [{"name": "agent", "fd": http_fd}, {"name": "executor", "host": "127.0.0.1", "port": 0}],
        "stream": [{"name": "agent", "fd": stream_fd}],
        "clients": [
            {"client_id": AGENT, "client_secret": held.agent},
            {"client_id": REVOKER, "client_secret": held.revoker, "revoker": True},
        ],
        "lifeline_fd": ends,
    }
    path = grounds.sink / "config.json"
    _write_json(path, config)
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "breakglass.drill.sink", "--config", str(path)],
        pass_fds=[http_fd, stream_fd, ends],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(grounds.sink / "stderr.log").open("wb"),
    )
    os.close(ends)
    sink = RunningSink(process, lifeline)
    ready = grounds.sink / "ready.json"
    until = time.monotonic() + START_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > until:
            sink.stop()
            raise Unreachable(f"the drill's downstream system did not start; see {grounds.sink}/stderr.log")
        time.sleep(0.02)
    sink.issuer = _executor_address(json.loads(ready.read_bytes()))
    return sink


def _executor_address(ready: object) -> str:
    listening = ready.get("listening", []) if isinstance(ready, dict) else []
    found = next(item for item in listening if item["name"] == "executor")
    return f"http://{found['host']}:{found['port']}"


def give_token(grounds: Grounds, issuer: str, held: Secrets, uid: int) -> None:
    """Let the agent's client take its first token, and put it where the agent looks.

    Raises:
        Unreachable: the issuer refused.
    """
    form = {"grant_type": "client_credentials", "client_id": AGENT, "client_secret": held.agent}
    address = urllib.parse.urlsplit(issuer)
    link = http.client.HTTPConnection(address.hostname or "", address.port, timeout=START_S)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        link.request("POST", "/token", urllib.parse.urlencode(form), headers)
        answer = link.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise Unreachable(f"the drill's issuer answered {answer.status} to the agent's first request")
    finally:
        link.close()
    path = grounds.agent / "token"
    path.write_bytes(body)
    path.chmod(0o600)
    os.chown(path, uid, -1)
