"""A machine for real (non-drill) kits, whose places are fixed: private mounts over /etc and /var/lib.

Every command is started in a mount namespace of its own, in which /etc is a copy with /etc/breakglass in it
and /var/lib another folder; nothing outside of the test sees them.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from breakglass.clock import SystemClock
from breakglass.keys import log_key
from breakglass.keys.secret_key import SecretKey
from breakglass.keys.sshsig import namespace
from breakglass.model.roster import ExecutorKey, KeyStore, OperatorKey, Person, Role
from breakglass.testing.operators import (
    DAY_S,
    MemorySigner,
    Operator,
    make_operator,
    make_roster,
    publish_roster,
)
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.kit_signing import kit_sign
from breakglass_host import cgroup
from breakglass_host.sandbox import HostSandbox, obstacle
from tests.backends import need

CLOCK = SystemClock()
ORG = "example.com"
AGENT = "support-bot"
ROLES = (Role.RESPONDER, Role.COMMANDER, Role.ADMIN)
HERE = socket.gethostname().split(".", 1)[0]
_MOUNTS = 'mount --bind "$0/etc" /etc && mount --bind "$0/lib" /var/lib && exec "$@"'


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with an executor, a real kit and an agent that works."""

    base: Path
    operators: tuple[Operator, ...]
    second_key: MemorySigner
    """Another key of the first person."""
    sandbox: HostSandbox

    @property
    def config(self) -> Path:
        """Return what the machine calls /etc/breakglass."""
        return self.base / "etc" / "breakglass"

    @property
    def log_key(self) -> str:
        """Return the public half of the executor's log key."""
        kind, key, *_ = (self.config / "log.key.pub").read_text().split()
        return f"{kind} {key}"

    @property
    def ledger(self) -> Path:
        """Return what must be remembered across incidents."""
        return self.base / "lib" / "breakglass" / "ledger.jsonl"

    def breakglass(
        self, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line on this machine."""
        inside = ["unshare", "-m", "sh", "-c", _MOUNTS, str(self.base)]
        variables = {"PATH": os.environ["PATH"], "BREAKGLASS_HOME": str(self.base / "incidents")}
        return subprocess.run(
            [*inside, sys.executable, "-m", "breakglass", *arguments],
            env={**variables, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def plan(self) -> Path:
        """Plan a stop by the command line; return the file."""
        folder = Path(tempfile.mkdtemp(prefix="plan-", dir=self.base))
        person = self.operators[0].name
        reason = "sends what it should not"
        made = self.breakglass(
            "plan", AGENT, "-o", str(folder / "plan.json"), "--reason", reason, "--as", person
        )
        assert made.returncode == 0, made.stderr
        return folder / "plan.json"

    def stop(
        self, plan: Path, signatures: Sequence[Path], environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a signed plan by the command line."""
        given = [word for path in signatures for word in ("--signature", str(path))]
        return self.breakglass("stop", "--plan", str(plan), *given, "--json", environ=environ)

    def is_untouched(self) -> bool:
        """Return whether the agent runs, unfrozen, and no plan was ever claimed."""
        hierarchy = cgroup.find()
        assert hierarchy is not None
        claims = self.ledger.read_text().count("ledger.claimed") if self.ledger.exists() else 0
        path = self.sandbox.cgroup
        return not claims and not hierarchy.is_set_to_freeze(path) and len(hierarchy.pids(path)) == 1


def sign(plan: Path, *operators: Operator) -> list[Path]:
    """Sign the plan's bytes as they are now."""
    return [sign_with(plan, operator.signer, operator.name) for operator in operators]  # type: ignore[arg-type]  # every one here is in memory


def sign_with(plan: Path, signer: MemorySigner, name: str) -> Path:
    """Sign with this very key."""
    path = plan.parent / f"{name}.sig"
    path.write_bytes(signer.sign(plan.read_bytes(), namespace("plan", ORG)))
    return path


@contextmanager
def machine(tools: Sequence[Mapping[str, str]] = ()) -> Iterator[Machine]:
    """Set the machine up, and take it down; `tools` are what the agent can do elsewhere."""
    why = obstacle(privileged=True)
    need("host", not why, why)
    base = Path(tempfile.mkdtemp(prefix="breakglass-machine-"))
    sandbox = HostSandbox(f"machine-{secrets.token_hex(4)}", base, privileged=True)
    try:
        base.chmod(0o711)
        sandbox.start(["/bin/sleep", "300"], env={"PATH": "/usr/bin:/bin"}, cwd=Path("/"))
        shutil.copytree("/etc", base / "etc", symlinks=True, ignore_dangling_symlinks=True)
        (base / "lib").mkdir()
        operators, second = _people()
        made = Machine(base, operators, second, sandbox)
        _write_kit(made, tools)
        yield made
    finally:
        sandbox.stop()
        shutil.rmtree(base, ignore_errors=True)


def _people() -> tuple[tuple[Operator, ...], MemorySigner]:
    """Enrol three persons; the first has two keys."""
    first, *others = (make_operator(f"{name}@{ORG}", ROLES, CLOCK) for name in ("alice", "bob", "carol"))
    second = MemorySigner(SecretKey.generate())
    key = OperatorKey(pub=second.public_line, store=KeyStore.FILE, not_after=CLOCK.now().plus(DAY_S))
    person = Person(first.name, ROLES, (*first.person.keys, key))
    return (Operator(person, first.signer), *others), second


def _write_kit(made: Machine, tools: Sequence[Mapping[str, str]]) -> None:
    kit = made.config / "kit"
    (kit / "agents").mkdir(parents=True)
    line = log_key.generate(made.config / "log.key", HERE)
    settings = {
        "v": 1,
        "org": ORG,
        "version": 1,
        "expires": str(CLOCK.now().plus(DAY_S)),
        "two_person_rule": "advisory",
        "two_person_reason": "a test's machine",
        "executors": [{"name": HERE, "log_key": "/etc/breakglass/log.key"}],
        "runbook": "runaway",
    }
    agent = {
        "agent": AGENT,
        "owner": "the tests",
        "class": "test",
        "who_can_stop": "any two of them",
        "reach": [{"provider": "host", **made.sandbox.reach}],
        "tools": [{"name": "tickets", "effect": "read"}, *tools],
    }
    (kit / "breakglass.yaml").write_text(json.dumps(settings))
    (kit / "agents" / f"{AGENT}.yaml").write_text(json.dumps(agent))
    roster = make_roster(ORG, made.operators, [ExecutorKey(HERE, line)], CLOCK, drill=False)
    anchor = publish_roster(kit, roster, made.operators[:2])
    (made.config / "anchor").write_bytes(anchor.to_bytes())
    for operator in made.operators[:2]:
        kit_sign(kit, operator.signer, card_or_none, CLOCK.now())
