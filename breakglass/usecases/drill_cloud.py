"""Gives a drill's agent the clouds whose sandbox can be started here, and says which are not drilled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from breakglass import registry
from breakglass.clock import Instant
from breakglass.drill.listing import Listing
from breakglass.drill.truth import ChannelTruth
from breakglass.errors import BreakglassError, ProviderError, Unreachable, Unsupported
from breakglass.provider import AgentCloud
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.drill_audience import Audience
from breakglass.usecases.drill_machine import heed

SETTLE_S = 30.0


def start_clouds(
    undo: ExitStack, folder: Path, audience: Audience, cancelled: Callable[[], bool]
) -> tuple[tuple[AgentCloud, ...], tuple[str, ...]]:
    """Start every sandbox that is available; return them, and what to say of the others.

    Raises:
        Interrupted: somebody wanted it to end.
    """
    found: list[AgentCloud] = []
    notes: list[str] = []
    for name in registry.names():
        card = card_or_none(name.name)
        if card is None or card.cloud is None:
            continue
        heed(cancelled)
        audience.begin(card.name, "starting a sandbox of it for the agent")
        try:
            registry.require(card)
            cloud = card.cloud(folder, say=lambda line, title=card.name: audience.say(title, line))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        except (Unsupported, ProviderError) as error:
            heed(cancelled)
            remedy = f" ({error.remedy})" if error.remedy else ""
            notes.append(f"{card.name} is not drilled: {error.what}{remedy}")
            continue
        undo.callback(cloud.stop)
        found.append(cloud)
    return tuple(found), tuple(notes)


def settle_in(
    clouds: Sequence[AgentCloud], credentials: Path, audience: Audience, cancelled: Callable[[], bool]
) -> None:
    """Let the agent settle in each cloud, and wait until it works there; keep the executor's own secrets.

    Raises:
        Unreachable: one of its ways does not work.
        Interrupted: somebody wanted it to end.
    """
    for cloud in clouds:
        audience.begin(cloud.name, "the agent settles there")
        for name, secret in cloud.credentials.items():
            path = credentials / name
            path.touch(0o600)
            path.write_bytes(secret)
        try:
            cloud.settle()
            _await_work(cloud, cancelled)
        except BreakglassError:
            heed(cancelled)  # Ctrl-C at a terminal reaches what was started here, too
            raise
        audience.say(cloud.name, cloud.summary)


def _await_work(cloud: AgentCloud, cancelled: Callable[[], bool]) -> None:
    until = time.monotonic() + SETTLE_S
    while missing := set(cloud.expected) - {one.channel for one in cloud.effects()}:
        heed(cancelled)
        if time.monotonic() > until:
            raise Unreachable(f"the agent does not work in {cloud.name}: {', '.join(sorted(missing))}")
        time.sleep(0.1)


def cloud_truths(cloud: AgentCloud) -> tuple[ChannelTruth, ...]:
    """Return what the sandbox's own record says was the last thing that the agent could do there."""
    return tuple(
        ChannelTruth(
            f"{cloud.name}: {one.channel}", Instant(one.last_at_ms), one.last_monotonic_us, one.count
        )
        for one in sorted(cloud.effects(), key=lambda one: one.channel)
    )


def cloud_listing(cloud: AgentCloud) -> Listing:
    """Return what a restore must bring back there, in the form of the agent's files."""
    return {f"{cloud.name}: {name}": (0, 0, 0, digest) for name, digest in sorted(cloud.listing().items())}


def still_alive(clouds: Sequence[AgentCloud]) -> tuple[str, ...]:
    """Return what still acts as the agent in a cloud."""
    return tuple(f"{cloud.name}: {what}" for cloud in clouds for what in cloud.alive())


def retire(clouds: Sequence[AgentCloud]) -> None:
    """End the agent in every cloud, so that what it was can be put back."""
    for cloud in clouds:
        cloud.retire()
