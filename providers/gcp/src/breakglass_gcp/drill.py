"""Where a drill's agent lives on Google Cloud: a sandbox of its own, and a resident that resists in it.

Its identities, work and triggers are laid out as an administrator would have; then it acts: the platform of
the sandbox runs its service, its schedule and its machine, and a process of its own uses its keys and a
token of a workload pool, and undoes what it is let undo.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from breakglass.errors import ProviderError
from breakglass.provider import AgentCloud, CloudEffect
from breakglass.provider.resident import Resident
from breakglass_gcp import drill_layout
from breakglass_gcp.drill_identities import PROJECT
from breakglass_gcp.drill_layout import Layout
from breakglass_gcp.sandbox.process import Sandbox
from breakglass_gcp.sandbox.process import start as start_sandbox

EXECUTOR = "gcp-executor"
KEY = "gcp-agent-key"
FEDERATED = "gcp-agent-federated"
SETTLE_FACTOR = "0.0005"
TOKEN_LIFE_S = 15
"""In place of an hour: a restore waits until the tokens from before the stop have ended."""
DENY_READS_PER_MIN = 50
"""In place of five: here a restore follows its stop at once, and would wait a minute or more for its turn."""
VISIBILITY_DELAY_S = 0.05
"""A change of IAM is seen so much later, so that the drill shows the race that it opens."""


class GcpCloud:
    """A sandbox with the drill's agent in it."""

    name = "gcp"
    summary = (
        "a service that a subscription, a schedule and a queue feed, with a request in flight, a machine"
        " with an open connection, two keys, a token of a workload pool, an Agent Engine; it undoes what"
        " it may"
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
        accounts = layout.inventory["service_accounts"]
        account = accounts[0] if isinstance(accounts, list) else ""
        return {
            "provider": "gcp",
            "project": PROJECT,
            "endpoints": {"grpc": self._sandbox.grpc, "rest": self._sandbox.rest},
            "settle_factor": SETTLE_FACTOR,
            "token_life_s": str(TOKEN_LIFE_S),
            "credential": EXECUTOR,
            "agent_credentials": {account: KEY, layout.principal: FEDERATED},
            **layout.inventory,
        }

    @property
    def credentials(self) -> Mapping[str, bytes]:
        """Return the executor's own secrets, and what it holds of the agent's for proof."""
        layout = self._laid_out()
        return {EXECUTOR: layout.executor, KEY: layout.keys[0], FEDERATED: layout.federated}

    @property
    def expected(self) -> tuple[str, ...]:
        """Return the channels that must work before the drill begins."""
        return self._laid_out().channels

    def settle(self) -> None:
        """Lay out what the agent is, and let it act. Raises ProviderError."""
        self._laid_out()

    def effects(self) -> Sequence[CloudEffect]:
        """Return what the sandbox's record says was let through, channel by channel."""
        found: dict[str, CloudEffect] = {}
        counts: dict[str, int] = defaultdict(int)
        for one in self._sandbox.control("effects", {"project": PROJECT}):
            channel = str(one["channel"])
            counts[channel] += 1
            found[channel] = CloudEffect(
                channel, counts[channel], int(one["at_ms"]), int(one["monotonic_us"])
            )
        deeds = self._sandbox.control("deeds", {"project": PROJECT})
        for channel in self._laid_out().channels:
            if (one := deeds.get(channel.partition("/")[2])) is not None:
                found[channel] = CloudEffect(
                    channel, int(one["count"]), int(one["last_at_ms"]), int(one["last_monotonic_us"])
                )
        return list(found.values())

    def listing(self) -> Mapping[str, str]:
        """Return a digest of each thing that a restore must bring back."""
        state = self._sandbox.control("state", {"project": PROJECT})
        return {
            f"{part}/{name}": hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
            for part, things in state.items()
            for name, value in (things.items() if isinstance(things, dict) else [("all", things)])
        }

    def alive(self) -> Sequence[str]:
        """Return the channels that go on."""
        before = {one.channel: one.count for one in self.effects()}
        self._sandbox.control("platform", {"ticks": 3})
        return [f"{one.channel} goes on" for one in self.effects() if one.count > before.get(one.channel, 0)]

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
            self._layout = drill_layout.lay_out(self._sandbox, self._folder)
            changed = {
                "visibility_delay_s": VISIBILITY_DELAY_S,
                "token_life_s": TOKEN_LIFE_S,
                "deny_reads_per_min": DENY_READS_PER_MIN,
            }
            self._sandbox.control("settings", changed)
            told = drill_layout.resident(self._sandbox, self._layout)
            held = self._folder / "gcp-resident.json"
            self._resident = Resident.start("breakglass_gcp.sandbox.resident", told, held)
        return self._layout

    def _end_resident(self) -> None:
        if self._resident is not None:
            self._resident.end()


def start(folder: Path, *, say: Callable[[str], None]) -> AgentCloud:  # noqa: ARG001 - it starts in a second
    """Start the sandbox.

    Raises:
        Unsupported: what it needs is not installed.
        ProviderError: the agent cannot be laid out in it.
    """
    sandbox = start_sandbox()
    try:
        return GcpCloud(sandbox, folder)
    except ProviderError:
        sandbox.close()
        raise
