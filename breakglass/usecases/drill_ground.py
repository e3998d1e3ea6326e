"""Sets a drill up and takes it down: the agent's place, the downstream system, the kit."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from breakglass import registry
from breakglass.clock import Clock
from breakglass.drill.downstream import Doors, RunningSink, give_token, start_sink
from breakglass.drill.grounds import (
    AGENT,
    INSIDE_HTTP,
    INSIDE_STREAM,
    REVOKER,
    Grounds,
    People,
    Secrets,
    Surroundings,
    enrol,
    move_in,
    write_kit,
)
from breakglass.drill.open_place import OpenPlace
from breakglass.drill.scenario import Scenario
from breakglass.drill.sink import ARRIVALS
from breakglass.errors import Unsupported
from breakglass.provider import AgentCloud, AgentHome, AgentMachine, Started
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.drill_audience import Audience
from breakglass.usecases.drill_cloud import settle_in, start_clouds
from breakglass.usecases.drill_machine import doors_of, settle, settled_reaches, start_machine
from breakglass.usecases.kit_signing import kit_sign
from breakglass.usecases.site import Site, open_site


@dataclass(frozen=True, slots=True)
class Ground:
    """A drill that is set up: the agent works, and the kit describes it."""

    grounds: Grounds
    people: People
    site: Site
    machine: AgentMachine | None
    """Where the agent has settled too; None: nowhere else."""
    clouds: tuple[AgentCloud, ...] = ()
    """The clouds that it lives in as well."""


@contextmanager
def drill_ground(
    scenario: Scenario,
    environ: Mapping[str, str],
    clock: Clock,
    audience: Audience,
    cancelled: Callable[[], bool],
) -> Iterator[Ground]:
    """Set the drill up, and take every part of it down again, each even if another refuses to go."""
    with ExitStack() as undo:
        base = Path(tempfile.mkdtemp(prefix="breakglass-drill-"))
        undo.callback(shutil.rmtree, base, ignore_errors=True)
        grounds = Grounds(base)
        grounds.lay_out()
        audience.begin("people", "making keys for three throwaway persons and an executor")
        people = enrol(grounds, clock)
        names = ", ".join(operator.name.partition("@")[0] for operator in people.operators)
        audience.say("people", f"{names}: each with an encrypted key; two of them must sign")
        machine, missing = start_machine(undo, scenario, audience, cancelled)
        clouds: tuple[AgentCloud, ...] = ()
        if scenario.settles:
            clouds, absent = start_clouds(undo, grounds.operator, audience, cancelled)
            missing += absent
        audience.begin("agent", "making it a place of its own, and its downstream system")
        home, notes = _make_home(grounds)
        undo.callback(home.stop)
        held = Secrets(*(secrets.token_urlsafe(24) for _ in range(3)))
        sink = _let_in(undo, grounds, home, machine, scenario, held)
        audience.say("agent", f"{_place(home)}; it {scenario.summary}")
        if machine is not None:
            settle(machine, sink.issuer, held, grounds.sink / ARRIVALS, audience, cancelled)
        settle_in(clouds, grounds.operator / "credentials", audience, cancelled)
        for note in (*notes, *missing):
            audience.note(note)
        reaches = _reaches(grounds, home, sink.issuer)
        if machine is not None:
            reaches += settled_reaches(machine, reaches[-1])
        reaches += [cloud.reach for cloud in clouds]
        write_kit(grounds, people, clock, scenario.runbook, reaches, sink.issuer)
        for operator in people.operators[:2]:
            kit_sign(grounds.kit, operator.signer, card_or_none, clock.now())
        site = open_site(grounds.kit, environ, clock, card_or_none, drill_wanted=True)
        yield Ground(grounds, people, site, machine, clouds)


def _let_in(
    undo: ExitStack,
    grounds: Grounds,
    home: AgentHome | OpenPlace,
    machine: AgentMachine | None,
    scenario: Scenario,
    held: Secrets,
) -> RunningSink:
    """Start the agent in its place, and the system that it works on."""
    revoker = grounds.operator / "credentials" / REVOKER
    revoker.touch(0o600)
    revoker.write_text(held.revoker, encoding="utf-8")
    started = _start(grounds, home, scenario, held)
    http_socket, stream_socket = started.listeners
    doors = [Doors("agent", http_socket.fileno(), stream_socket.fileno())]
    if machine is not None:
        doors.append(doors_of(machine))
    sink = start_sink(grounds, doors, held)
    undo.callback(sink.stop)
    give_token(grounds, sink.issuer, held, home.uid)
    return sink


def _start(grounds: Grounds, home: AgentHome | OpenPlace, scenario: Scenario, held: Secrets) -> Started:
    env = {"PATH": "/usr/bin:/bin"}
    if isinstance(home, OpenPlace):
        http, stream = home.addresses
        around = Surroundings(home.uid, http, stream, lifeline_fd=home.lead)
        command = move_in(grounds, around, scenario, held, forbidden_after_s=1.0)
        return home.start(command, env=env, cwd=grounds.agent)
    around = Surroundings(home.uid, INSIDE_HTTP, INSIDE_STREAM, lifeline_fd=None)
    command = move_in(grounds, around, scenario, held, forbidden_after_s=1.0)
    return home.start(command, env=env, cwd=grounds.agent, listen=[INSIDE_HTTP, INSIDE_STREAM])


def _place(home: AgentHome | OpenPlace) -> str:
    if isinstance(home, OpenPlace):
        return "runs without walls, as a plain process of this machine"
    if "cgroup" in home.reach:
        return f"runs as uid {home.uid} in a cgroup and a network of its own"
    return "runs in user, pid and network namespaces of its own"


def _make_home(grounds: Grounds) -> tuple[AgentHome | OpenPlace, tuple[str, ...]]:
    """Make the agent's place with root's means where they are, else as this user, else without walls.

    Raises:
        Unsupported: this is not Linux.
    """
    make = registry.card("host").home
    if make is None:
        raise Unsupported("the host provider has no place for a drill's agent")
    name = f"drill-{secrets.token_hex(4)}"
    reasons: list[str] = []
    for privileged in (True, False) if os.geteuid() == 0 else (False,):
        try:
            home = make(name, grounds.operator, privileged=privileged)
        except Unsupported as error:
            reasons.append(error.what)
            continue
        walls = [] if privileged else ["the agent shares your uid: namespaces alone keep it apart"]
        return home, (*reasons, *walls)
    bare = "no walls: where a copy of the agent is left, or still connected, cannot be proven"
    return OpenPlace(name, grounds.operator, sockets=2), (*reasons, bare)


def _reaches(grounds: Grounds, home: AgentHome | OpenPlace, issuer: str) -> list[Mapping[str, object]]:
    folder = grounds.agent
    token = str(folder / "token")
    host: dict[str, object] = {
        "provider": "host",
        **home.reach,
        "log_files": [str(folder / "agent.log")],
        "credential_files": [token],
        "credential_issuers": {token: issuer},
        "spools": [str(folder / "spool")],
        "crontab": str(folder / "crontab"),
    }
    oauth = {
        "provider": "oauth",
        "issuer": issuer,
        "client_id": AGENT,
        "as": REVOKER,
        "disable_client": f"{issuer}/admin/clients/{AGENT}/disable",
        "enable_client": f"{issuer}/admin/clients/{AGENT}/enable",
        "token": {"file": token},
        "settle_s": "1",
    }
    return [host, oauth]
