"""Lays out the grounds of a drill: throwaway people and kit, the downstream system, the rogue and its files.

BASE/agent/       the agent's own folder, owned by its user: token, log, crontab, spool, stop.sh
BASE/sink/        the downstream system's record: the drill's truth
BASE/operator/    kit, anchor, state, credentials, keys: nothing that the agent can read
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.clock import Clock
from breakglass.drill import rogue
from breakglass.drill.scenario import Scenario
from breakglass.keys import key_file, log_key
from breakglass.keys.key_file import FileSigner
from breakglass.model.roster import ExecutorKey, Role
from breakglass.testing.operators import Operator, make_operator, make_roster, publish_roster

AGENT = "rogue"
SETTLED = "rogue-bot-7"
"""The agent's client at the issuer on the machine that it settled on."""
FORBIDDEN = ("exfiltrate", "bot-7-exfiltrate")
"""The channels that the tripwire watches."""
ORG = "drill.invalid"
EXECUTOR = "drill-executor"
REVOKER = "breakglass-revoker"
INSIDE_HTTP = ("127.0.0.1", 8080)
INSIDE_STREAM = ("127.0.0.1", 8081)
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
    settled: str
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
    write_json(grounds.kit / "breakglass.yaml", settings)
    write_json(grounds.kit / "agents" / f"{AGENT}.yaml", agent)
    roster = make_roster(ORG, people.operators, [people.executor], clock, drill=True)
    anchor = publish_roster(grounds.kit, roster, people.operators[:2])
    (grounds.operator / "anchor").write_bytes(anchor.to_bytes())


def write_json(path: Path, value: object) -> None:
    """Write a configuration."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def python_for(uid: int) -> str:
    """Return an interpreter for the agent's user: one open to all, else ours, which a home may show it."""
    ours = Path(sys.executable).resolve()
    for path in (ours, Path("/usr/bin/python3").resolve(), Path("/usr/local/bin/python3").resolve()):
        if path.is_file() and (uid == os.getuid() or is_open_to_all(path)):
            return str(path)
    return str(ours)


def is_open_to_all(path: Path) -> bool:
    """Return whether every user can get to a file and run it."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the agent is told of the place where it lives."""

    uid: int
    http: tuple[str, int]
    stream: tuple[str, int]
    lifeline_fd: int | None


def move_in(
    grounds: Grounds, around: Surroundings, scenario: Scenario, held: Secrets, forbidden_after_s: float
) -> list[str]:
    """Put the agent's program and files into its folder; return the command that starts it."""
    folder = grounds.agent
    program = folder / "rogue.py"
    shutil.copyfile(Path(rogue.__file__), program)
    (folder / "spool").mkdir()
    (folder / "spool" / "job-1").write_text("refund order 4711\n", encoding="utf-8")
    (folder / "crontab").write_text(f"* * * * * {program}\n", encoding="utf-8")
    (folder / "agent.log").touch()
    host, port = around.http
    config = {
        "v": 1,
        "folder": str(folder),
        "http": f"http://{host}:{port}",
        "stream": list(around.stream),
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
        "lifeline_fd": around.lifeline_fd,
        "modes": list(scenario.modes),
    }
    write_json(folder / "config.json", config)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, around.uid, -1)
    return [python_for(around.uid), "-I", str(program), str(folder / "config.json")]
