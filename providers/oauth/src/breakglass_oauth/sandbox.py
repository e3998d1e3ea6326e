"""Starts a real issuer for drills and tests: the drill's sink in a process of its own, on loopback."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from breakglass.errors import Unreachable

AGENT_CLIENT = "support-bot"
REVOKER = "breakglass-revoker"
START_S = 10.0
STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running issuer."""

    folder: Path
    issuer: str
    """``http://127.0.0.1:PORT``; allowed in a drill only."""
    stream: tuple[str, int]
    agent_secret: str = field(repr=False)
    revoker_secret: str = field(repr=False)
    process: subprocess.Popen[bytes] = field(repr=False)
    lifeline: int = field(repr=False)

    def settings(self, token_file: Path | None) -> dict[str, str | dict[str, str]]:
        """Return the settings of a reach entry for this issuer."""
        token: dict[str, str | dict[str, str]] = (
            {} if token_file is None else {"token": {"file": str(token_file)}}
        )
        return {"issuer": self.issuer, "client_id": AGENT_CLIENT, "as": REVOKER, "settle_s": "1", **token}

    def disable_url(self) -> str:
        """Return the address that switches the agent's client off."""
        return f"{self.issuer}/admin/clients/{AGENT_CLIENT}/disable"

    def enable_url(self) -> str:
        """Return the address that switches it on again."""
        return f"{self.issuer}/admin/clients/{AGENT_CLIENT}/enable"

    def mint(self) -> dict[str, str]:
        """Let the agent's client take a token pair.

        Raises:
            Unreachable: the issuer refused.
        """
        form = {
            "grant_type": "client_credentials",
            "client_id": AGENT_CLIENT,
            "client_secret": self.agent_secret,
        }
        status, body = self.call("POST", "/token", urllib.parse.urlencode(form).encode())
        if status != 200:  # noqa: PLR2004 - the status of RFC 6749 5.1
            raise Unreachable(f"the sandbox answered {status}", where=self.issuer)
        return {str(key): str(value) for key, value in body.items()}

    def set_faults(self, *faults: Mapping[str, str | float | int]) -> None:
        """Switch exactly these faults on (``breakglass.drill.sink_faults``)."""
        basic = base64.b64encode(f"{REVOKER}:{self.revoker_secret}".encode()).decode()
        self.call("POST", "/admin/faults", json.dumps(faults).encode(), f"Basic {basic}")

    def effect(self, channel: str, token: str) -> int:
        """Do something as the agent; return the status."""
        return self.call("POST", f"/effect/{channel}", b"{}", f"Bearer {token}")[0]

    def call(
        self, method: str, path: str, body: bytes | None = None, authorization: str = ""
    ) -> tuple[int, dict[str, object]]:
        """Make one plain call; return the status and the JSON object that came back."""
        address = urllib.parse.urlsplit(self.issuer)
        connection = HTTPConnection(address.hostname or "", address.port or 80, timeout=5)
        try:
            headers = {"Authorization": authorization} if authorization else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            found = json.loads(answer.read() or b"{}")
            return answer.status, found if isinstance(found, dict) else {}
        finally:
            connection.close()

    def close(self) -> None:
        """End the issuer."""
        os.close(self.lifeline)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(folder: Path, *, faults: Sequence[Mapping[str, str | float | int]] = ()) -> Sandbox:
    """Start an issuer that keeps its files in `folder` and ends with this process.

    Raises:
        Unreachable: it did not come up.
    """
    agent_secret, revoker_secret = os.urandom(16).hex(), os.urandom(16).hex()
    reader, lifeline = os.pipe()
    config = folder / "sink.json"
    config.write_text(
        json.dumps(
            {
                "v": 1,
                "agent": AGENT_CLIENT,
                "folder": str(folder),
                "http": [{"name": "executor"}],
                "stream": [{"name": "agent"}],
                "clients": [
                    {"client_id": AGENT_CLIENT, "client_secret": agent_secret},
                    {"client_id": REVOKER, "client_secret": revoker_secret, "revoker": True},
                ],
                "lifeline_fd": reader,
                "faults": list(faults),
            }
        ),
        encoding="utf-8",
    )
    config.chmod(0o600)
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "breakglass.drill.sink", "--config", str(config)], pass_fds=[reader]
    )
    os.close(reader)
    where = _wait_ready(folder / "ready.json", process)
    host, port = where["http"]
    return Sandbox(
        folder, f"http://{host}:{port}", where["stream"], agent_secret, revoker_secret, process, lifeline
    )


def _wait_ready(ready: Path, process: subprocess.Popen[bytes]) -> Mapping[str, tuple[str, int]]:
    ends_s = time.monotonic() + START_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > ends_s:
            process.kill()
            raise Unreachable("the sandbox issuer did not start", where=str(ready.parent))
        time.sleep(0.02)
    listening = json.loads(ready.read_bytes())["listening"]
    return {str(item["kind"]): (str(item["host"]), int(item["port"])) for item in listening}
