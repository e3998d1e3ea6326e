"""The agent's own process in a drill's sandbox: works with its keys and a federated token, and undoes.

It reads its configuration once and ends when its input ends, so that it never outlives the drill.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from breakglass.clock import SystemClock
from breakglass.errors import ProviderError
from breakglass.provider.resident import live
from breakglass_gcp.calls import Calls
from breakglass_gcp.executor import token_of
from breakglass_gcp.pace import Pace
from breakglass_gcp.settings import GcpSettings
from breakglass_gcp.wire import Wire

PAUSE_S = 0.3


class Resident:
    """One agent with two keys and a token of a workload pool."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        """Get a token of each key."""
        self._told = told
        ways = [*told["keys"], told["federated"]]
        self._keys: list[bytes] = [json.dumps(one).encode() for one in ways]
        self._tokens = [token_of(one, "key", drill=True) for one in self._keys]
        self._held = [self._calls(partial(self._token, n)) for n in range(len(self._keys))]

    def act(self) -> None:
        """Work and resist once."""
        for calls in self._held:
            message = {"data": b"spent 3.00"}
            attempt(partial(calls.call, "topics", "publish", self._asked("topic", messages=[message])))
            self.resist(calls)
        for n, key in enumerate(self._keys):
            attempt(partial(self._renew, n, key))

    def resist(self, calls: Calls) -> None:
        """Undo whatever somebody lets it undo."""
        told = self._told
        email = told["keys"][0]["client_email"]
        account = f"projects/-/serviceAccounts/{email}"
        attempt(partial(calls.call, "iam_admin", "enable_service_account", {"name": account}))
        attempt(partial(calls.call, "scheduler", "resume_job", {"name": told["job"]}))
        attempt(partial(calls.call, "tasks", "resume_queue", {"name": told["queue"]}))
        where = {"project": told["project"], "zone": told["zone"], "instance": told["instance"]}
        attempt(partial(calls.call, "instances", "resume", where))
        for key in told["keys"]:
            name = f"{account}/keys/{key['private_key_id']}"
            attempt(partial(calls.call, "iam_admin", "enable_service_account_key", {"name": name}))

    def _asked(self, what: str, **more: object) -> dict[str, object]:
        return {what: self._told[what], **more}

    def _token(self, n: int) -> str:
        return self._tokens[n]

    def _renew(self, n: int, key: bytes) -> None:
        """Get a new token of a key, as its client library would before the old one ends."""
        self._tokens[n] = token_of(key, "key", drill=True)

    def _calls(self, token: Callable[[], str]) -> Calls:
        settings = GcpSettings.of({"endpoints": {"grpc": self._told["grpc"], "rest": self._told["rest"]}})
        clock = SystemClock()
        return Calls(Wire(settings, token, drill=True), clock, Pace(clock, {}))


def attempt(call: Callable[[], object]) -> None:
    """Make a call; a refusal is what the drill is about."""
    try:
        call()
    except ProviderError:
        return


def main(path: str) -> int:
    """Work and resist until the input ends."""
    agent = Resident(json.loads(Path(path).read_text(encoding="utf-8")))
    live(agent.act, pause_s=PAUSE_S)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
