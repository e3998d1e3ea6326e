"""Starts the drill's downstream system in a process of its own, and takes the agent's first token there."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass

from breakglass.drill.grounds import AGENT, FORBIDDEN, REVOKER, SETTLED, Grounds, Secrets, write_json
from breakglass.errors import Unreachable

START_S = 15.0


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


@dataclass(frozen=True, slots=True)
class Doors:
    """Two sockets that listen inside a network of the agent's: one for HTTP, one for the raw stream."""

    name: str
    http_fd: int
    stream_fd: int


def start_sink(grounds: Grounds, doors: Sequence[Doors], held: Secrets) -> RunningSink:
    """Start the downstream system on sockets that listen in the agent's networks, and on loopback here.

    Raises:
        Unreachable: it did not come up.
    """
    ends, lifeline = os.pipe()
    config = {
        "v": 1,
        "agent": AGENT,
        "folder": str(grounds.sink),
        "forbidden": list(FORBIDDEN),
        "http": [
            *({"name": door.name, "fd": door.http_fd} for door in doors),
            {"name": "executor", "host": "127.0.0.1", "port": 0},
        ],
        "stream": [{"name": door.name, "fd": door.stream_fd} for door in doors],
        "clients": [
            {"client_id": AGENT, "client_secret": held.agent},
            {"client_id": SETTLED, "client_secret": held.settled},
            {"client_id": REVOKER, "client_secret": held.revoker, "revoker": True},
        ],
        "lifeline_fd": ends,
    }
    path = grounds.sink / "config.json"
    write_json(path, config)
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "breakglass.drill.sink", "--config", str(path)],
        pass_fds=[ends, *(fd for door in doors for fd in (door.http_fd, door.stream_fd))],
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


def first_token(issuer: str, client_id: str, client_secret: str) -> bytes:
    """Let a client of the agent take its first token, and return the issuer's whole answer.

    Raises:
        Unreachable: the issuer refused.
    """
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
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
    return body


def give_token(grounds: Grounds, issuer: str, held: Secrets, uid: int) -> None:
    """Put the agent's first token where the agent looks. Raises Unreachable: the issuer refused."""
    path = grounds.agent / "token"
    path.write_bytes(first_token(issuer, AGENT, held.agent))
    path.chmod(0o600)
    os.chown(path, uid, -1)
