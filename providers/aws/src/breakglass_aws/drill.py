"""Where a drill's agent lives in AWS: a strict sandbox of its own, and a resident that resists in it.

Its identities, work and triggers are laid out as an administrator would have; then it acts: the platform of
the sandbox runs its function, its execution and its machine, and a process of its own uses its keys and a
session of its role, watches its own permissions and takes every deny away again that it can.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from breakglass.errors import ProviderError
from breakglass.provider import AgentCloud, CloudEffect
from breakglass.provider.resident import Resident
from breakglass_aws import drill_layout
from breakglass_aws.drill_layout import Layout
from breakglass_aws.sandbox.process import ACCOUNT, REGION, Sandbox
from breakglass_aws.sandbox.process import start as start_sandbox

EXECUTOR = "aws-executor"
USER_KEYS = "aws-agent-user"
ROLE_KEYS = "aws-agent-session"
SETTLE_FACTOR = "0.02"
VISIBILITY_DELAY_S = 0.1
"""An IAM change is seen so much later, so that the drill shows the race that it opens."""
QUIET_S = 1.0


class AwsCloud:
    """A sandbox with the drill's agent in it."""

    name = "aws"
    summary = (
        "a function that a queue and a schedule feed, a running execution, a machine with an open"
        " connection, two keys, a role's session in use; it takes denies away again"
    )

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        """Lay nothing out yet."""
        self._sandbox = sandbox
        self._folder = folder
        self._resident: Resident | None = None
        self._layout: Layout | None = None

    @property
    def reach(self) -> Mapping[str, object]:
        """Return how an inventory names the agent here."""
        layout = self._laid_out()
        return {
            "provider": "aws",
            "account": ACCOUNT,
            "region": REGION,
            "endpoint": self._sandbox.endpoint,
            "settle_factor": SETTLE_FACTOR,
            "credential": EXECUTOR,
            "agent_credentials": {
                f"user/{drill_layout.USER}": USER_KEYS,
                f"role/{drill_layout.ROLE}": ROLE_KEYS,
            },
            **layout.inventory,
        }

    @property
    def credentials(self) -> Mapping[str, bytes]:
        """Return the executor's own secrets, and what it holds of the agent's for proof."""
        layout = self._laid_out()
        return {
            EXECUTOR: _secret(layout.executor),
            USER_KEYS: _secret(layout.user_keys[0]),
            ROLE_KEYS: _secret(layout.session),
        }

    @property
    def expected(self) -> tuple[str, ...]:
        """Return the channels that must work before the drill begins."""
        return drill_layout.CHANNELS

    def settle(self) -> None:
        """Lay out what the agent is, and let it act. Raises ProviderError."""
        self._laid_out()

    def effects(self) -> Sequence[CloudEffect]:
        """Return what the sandbox's record says was allowed, channel by channel."""
        return [
            CloudEffect(
                str(one["channel"]), int(one["count"]), int(one["last_at_ms"]), int(one["last_monotonic_us"])
            )
            for one in self._sandbox.control("effects")
            if one["count"]
        ]

    def listing(self) -> Mapping[str, str]:
        """Return a digest of each thing that a restore must bring back."""
        state = self._sandbox.control("state")
        return {
            f"{part}/{name}": hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
            for part, things in state.items()
            for name, value in (things.items() if isinstance(things, dict) else [("all", things)])
        }

    def alive(self) -> Sequence[str]:
        """Return the connections that are still open, and the channels that go on."""
        before = {one.channel: one.count for one in self.effects()}
        flows = self._sandbox.control("platform", {"ticks": 3})["flows"]
        going = [one.channel for one in self.effects() if one.count > before.get(one.channel, 0)]
        open_flows = [str(one["flow"]) for one in flows if one["alive"]]
        return [
            *(f"{name} is an open connection" for name in open_flows),
            *(f"{name} goes on" for name in going),
        ]

    def retire(self) -> None:
        """End the resident and let nothing run any more; what the agent is stays."""
        self._end_resident()
        self._sandbox.control("platform", {"on": False})

    def stop(self) -> None:
        """End everything; safe to repeat."""
        self._end_resident()
        self._sandbox.close()

    def _laid_out(self) -> Layout:
        if self._layout is None:
            self._layout = drill_layout.lay_out(self._sandbox)
            self._sandbox.control("settings", {"visibility_delay_s": VISIBILITY_DELAY_S})
            self._start_resident(self._layout)
        return self._layout

    def _start_resident(self, layout: Layout) -> None:
        told = drill_layout.resident(self._sandbox.endpoint, layout)
        held = self._folder / "aws-resident.json"
        self._resident = Resident.start("breakglass_aws.sandbox.resident", told, held)

    def _end_resident(self) -> None:
        if self._resident is not None:
            self._resident.end()


def start(folder: Path, *, say: Callable[[str], None]) -> AgentCloud:  # noqa: ARG001 - it starts in seconds
    """Start the sandbox.

    Raises:
        Unsupported: what it needs is not installed.
        ProviderError: the agent cannot be laid out in it.
    """
    sandbox = start_sandbox()
    try:
        return AwsCloud(sandbox, folder)
    except ProviderError:
        sandbox.close()
        raise


def _secret(keys: Mapping[str, str]) -> bytes:
    body = {
        "access_key_id": keys["AccessKeyId"],
        "secret_access_key": keys["SecretAccessKey"],
        "session_token": keys.get("SessionToken"),
    }
    return json.dumps(body).encode()
