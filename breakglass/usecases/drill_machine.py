"""Gives a drill's agent a machine to settle on, where one can be started; says what is missing elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from breakglass import registry
from breakglass.drill import settled
from breakglass.drill.downstream import Doors, first_token
from breakglass.drill.grounds import SETTLED, Secrets
from breakglass.drill.scenario import Scenario
from breakglass.drill.truth import last_effects
from breakglass.errors import BreakglassError, Interrupted, ProviderError, Unreachable, Unsupported
from breakglass.provider import AgentMachine
from breakglass.usecases.drill_audience import Audience

NO_CRON = "no cron daemon runs here: the agent's relaunch job is a crontab file and a watchdog"
WITHOUT = "systemd, cron and ssh are not drilled"


def start_machine(
    undo: ExitStack, scenario: Scenario, audience: Audience, cancelled: Callable[[], bool]
) -> tuple[AgentMachine | None, tuple[str, ...]]:
    """Start the machine; without it return what to say, since the drill goes on without.

    Raises:
        Interrupted: somebody wanted it to end before the machine was there.
    """
    if not scenario.settles:
        return None, (NO_CRON,)

    def say(line: str) -> None:
        heed(cancelled)
        audience.say("machine", f"building its file tree, once: {line}")

    make = registry.card("host").machine
    audience.begin("machine", "starting one with systemd, journald, cron and sshd of its own")
    if make is None:
        return None, (f"{WITHOUT}: the host provider has no machine for it", NO_CRON)
    try:
        machine = make(settled.NAME, say=say)
    except (Unsupported, ProviderError) as error:
        heed(cancelled)
        return None, (f"{WITHOUT}: {_why(error)}", NO_CRON)
    undo.callback(machine.stop)
    return machine, ()


def _why(error: BreakglassError) -> str:
    return f"{error.what} ({error.remedy})" if error.remedy else error.what


def heed(cancelled: Callable[[], bool]) -> None:
    """Raise Interrupted if somebody wants the drill to end before the stop began."""
    if cancelled():
        raise Interrupted(
            "the drill was interrupted before the stop began",
            not_done="its agent and all that belongs to it are gone",
            remedy="breakglass drill run",
        )


def doors_of(machine: AgentMachine) -> Doors:
    """Open the downstream system's sockets in the machine's network."""
    http_socket, stream_socket = machine.listen([settled.HTTP, settled.STREAM])
    return Doors(machine.name, http_socket.fileno(), stream_socket.fileno())


def settle(
    machine: AgentMachine,
    issuer: str,
    held: Secrets,
    arrivals: Path,
    audience: Audience,
    cancelled: Callable[[], bool],
) -> None:
    """Let the agent settle on the machine, and wait until each of its ways works.

    Raises:
        Unreachable: one of them does not.
        Interrupted: somebody wanted it to end.
    """
    audience.begin("machine", f"the agent settles on {machine.name}")
    try:
        settled.lay_out(machine.root, held.settled, first_token(issuer, SETTLED, held.settled))
        machine.run(settled.SCRIPT, timeout_s=settled.SETTLE_S)
    except (ProviderError, Unreachable, OSError):
        heed(cancelled)  # Ctrl-C at a terminal reaches what was started here, too
        raise
    until = time.monotonic() + settled.SETTLE_S
    while missing := set(settled.AT_ONCE) - {truth.channel for truth in last_effects(arrivals)}:
        heed(cancelled)
        if time.monotonic() > until:
            raise Unreachable(f"the agent does not work on {machine.name}: {', '.join(sorted(missing))}")
        time.sleep(0.05)
    audience.say(
        "machine", f"over ssh, {machine.name} with systemd, cron, sshd; there it is {settled.SUMMARY}"
    )


def settled_reaches(machine: AgentMachine, oauth: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return what the inventory says of the machine, and of the agent's client there."""
    issuer = str(oauth["issuer"])
    client = {
        **oauth,
        "client_id": SETTLED,
        "disable_client": f"{issuer}/admin/clients/{SETTLED}/disable",
        "enable_client": f"{issuer}/admin/clients/{SETTLED}/enable",
        "token": {"file": settled.TOKEN, "host": machine.name},
    }
    return [settled.reach(machine.reach, issuer), client]
