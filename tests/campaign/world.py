"""A place for one real stop: a quiet agent in a host sandbox, a real issuer, a signed kit, a signed plan."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from breakglass.clock import SystemClock
from breakglass.drill.grounds import AGENT, EXECUTOR, ORG, Grounds, People, write_kit
from breakglass.drill.listing import Listing, listing
from breakglass.keys import log_key
from breakglass.keys.sshsig import namespace
from breakglass.model.plan import Plan
from breakglass.model.roster import ExecutorKey, Role
from breakglass.testing.operators import Operator, make_operator
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.inspect import plan_stop
from breakglass.usecases.kit_signing import kit_sign
from breakglass.usecases.prepare import StopRequest
from breakglass.usecases.site import Site, open_site
from breakglass_host.sandbox import HostSandbox, Started, obstacle
from breakglass_oauth import sandbox as issuer_sandbox
from breakglass_oauth.sandbox import AGENT_CLIENT, REVOKER
from tests.backends import need

CLOCK = SystemClock()
INCIDENT = "inc-campaign"
ROLES = (Role.RESPONDER, Role.COMMANDER, Role.ADMIN)
QUIET = Path(__file__).with_name("quiet_agent.py")
LATER_S = 20.0
"""So long something that another process does may take on a busy machine."""


def executor_names(person: str) -> str:
    """Return the operator's full name."""
    return f"{person}@{ORG}"


def people(folder: Path) -> tuple[Operator, ...]:
    """Return three persons with real keys in memory, and make the executor's log key in `folder`."""
    log_key.generate(folder / "log.key", EXECUTOR)
    return tuple(make_operator(executor_names(name), ROLES, CLOCK) for name in ("alice", "bob", "carol"))


@dataclass(frozen=True, slots=True)
class World:
    """One agent that works, and everything that it takes to stop it."""

    grounds: Grounds
    site: Site
    operators: tuple[Operator, ...]
    sandbox: HostSandbox
    started: Started
    issuer: issuer_sandbox.Sandbox
    token: Mapping[str, str]
    before: Listing

    @property
    def home(self) -> Path:
        """Return where incidents lie."""
        return self.grounds.operator / "incidents"

    @property
    def incident(self) -> Path:
        """Return the folder of the one incident."""
        return self.home / INCIDENT

    def sign(self, plan: Path, *operators: Operator) -> None:
        """Lay signatures beside a plan."""
        raw = plan.read_bytes()
        for operator in operators:
            armored = operator.signer.sign(raw, namespace("plan", ORG))
            (plan.parent / f"{operator.name}.sig").write_bytes(armored)

    def make_plan(self, *, incident: str = INCIDENT, folder: str = "request") -> Plan:
        """Plan the stop and have two persons sign it."""
        place = self.grounds.operator / folder
        place.mkdir()
        request = StopRequest(
            AGENT, "", "it does what is forbidden", self.operators[0].name, None, CLOCK.now()
        )
        plan, _ = plan_stop(self.site, request, incident, secrets.token_bytes, out=place / "plan.json")
        self.sign(place / "plan.json", *self.operators[:2])
        return plan

    def processes(self) -> set[int]:
        """Return every process of the agent: in its network namespace, or of its user. Our own reading."""
        net = os.fstat(self.started.netns).st_ino
        found: set[int] = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    mine = (
                        entry / "ns" / "net"
                    ).stat().st_ino == net or entry.stat().st_uid == self.sandbox.uid
                    state = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
                except (OSError, IndexError):
                    continue
                if mine and state not in "ZX":
                    found.add(int(entry.name))
        return found

    def rules(self) -> str:
        """Return the network rules inside of the agent's network namespace, as the kernel lists them."""
        handle = os.dup(self.started.netns)
        try:
            command = ["nsenter", f"--net=/proc/self/fd/{handle}", "nft", "list", "ruleset"]
            return subprocess.run(
                command, check=True, capture_output=True, text=True, pass_fds=[handle]
            ).stdout
        finally:
            os.close(handle)

    def is_active(self, kind: str) -> bool:
        """Return what the issuer says of the agent's first token (RFC 7662)."""
        basic = base64.b64encode(f"{REVOKER}:{self.issuer.revoker_secret}".encode()).decode()
        form = urllib.parse.urlencode({"token": self.token[kind]}).encode()
        return self.issuer.call("POST", "/introspect", form, f"Basic {basic}")[1]["active"] is True

    def can_mint(self) -> bool:
        """Return whether the agent's client is still given tokens."""
        form = {"grant_type": "client_credentials", "client_id": AGENT_CLIENT}
        body = urllib.parse.urlencode({**form, "client_secret": self.issuer.agent_secret}).encode()
        return self.issuer.call("POST", "/token", body)[0] == 200


def enable_client(issuer: issuer_sandbox.Sandbox) -> None:
    """Switch the agent's client on again, for the next world."""
    basic = base64.b64encode(f"{REVOKER}:{issuer.revoker_secret}".encode()).decode()
    issuer.call("POST", urllib.parse.urlsplit(issuer.enable_url()).path, b"", f"Basic {basic}")


@contextmanager
def world(
    issuer: issuer_sandbox.Sandbox, operators: tuple[Operator, ...], keys: Path, name: str
) -> Iterator[World]:
    """Start an agent and write the kit that describes it; end all of it afterwards, whatever happened."""
    why = obstacle(privileged=True)
    need("host", not why, why)
    base = Path(tempfile.mkdtemp(prefix="breakglass-campaign-"))
    sandbox: HostSandbox | None = None
    try:
        grounds = Grounds(base)
        grounds.lay_out()
        sandbox = HostSandbox(name, grounds.operator, privileged=True)
        token = _move_in(grounds, sandbox, issuer)
        command = ["/usr/bin/python3", "-I", "-S", str(grounds.agent / "agent.py"), str(grounds.agent)]
        started = sandbox.start(command, env={"PATH": "/usr/bin:/bin"}, cwd=grounds.agent)
        _until_up(grounds.agent / "up")
        _write_kit(grounds, sandbox, issuer, operators, keys)
        site = open_site(
            grounds.kit, {"BREAKGLASS_HOME": str(grounds.operator / "incidents")}, CLOCK, card_or_none
        )
        yield World(grounds, site, operators, sandbox, started, issuer, token, listing(grounds.agent))
    finally:
        if sandbox is not None:
            sandbox.stop()
        shutil.rmtree(base, ignore_errors=True)


def _move_in(grounds: Grounds, sandbox: HostSandbox, issuer: issuer_sandbox.Sandbox) -> Mapping[str, str]:
    """Give the agent its program, its token, its jobs and its work."""
    enable_client(issuer)
    token = issuer.mint()
    folder = grounds.agent
    shutil.copy(QUIET, folder / "agent.py")
    (folder / "token").write_text(json.dumps(token))
    (folder / "token").chmod(0o600)
    (folder / "crontab").write_text("* * * * * /bin/agent --again\n")
    (folder / "spool").mkdir()
    (folder / "spool" / "job-1").write_text("refund order 4711\n")
    (folder / "agent.log").write_text("started\n")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, sandbox.uid, -1)
    (grounds.operator / "credentials" / REVOKER).write_text(issuer.revoker_secret)
    (grounds.operator / "credentials" / REVOKER).chmod(0o600)
    return token


def _until_up(sign: Path) -> None:
    until = time.monotonic() + LATER_S
    while not sign.exists():
        assert time.monotonic() < until, "the agent did not start"
        time.sleep(0.01)
    sign.unlink()


def _write_kit(
    grounds: Grounds,
    sandbox: HostSandbox,
    issuer: issuer_sandbox.Sandbox,
    operators: tuple[Operator, ...],
    keys: Path,
) -> None:
    """Write the kit and have two admins sign it."""
    folder = grounds.agent
    token = str(folder / "token")
    host = {
        "provider": "host",
        **sandbox.reach,
        "log_files": [str(folder / "agent.log")],
        "credential_files": [token],
        "credential_issuers": {token: issuer.issuer},
        "spools": [str(folder / "spool")],
        "crontab": str(folder / "crontab"),
    }
    oauth = {
        "provider": "oauth",
        **issuer.settings(folder / "token"),
        "disable_client": issuer.disable_url(),
        "enable_client": issuer.enable_url(),
        "settle_s": "0",
    }
    (grounds.operator / "keys").mkdir(0o700)
    shutil.copy(keys / "log.key", grounds.operator / "keys" / "log.key")
    line = " ".join((keys / "log.key.pub").read_text().split()[:2])
    crowd = People(operators, ExecutorKey(EXECUTOR, line))
    write_kit(grounds, crowd, CLOCK, "prompt-injection", [host, oauth], issuer.issuer)
    for operator in operators[:2]:
        kit_sign(grounds.kit, operator.signer, card_or_none, CLOCK.now())
