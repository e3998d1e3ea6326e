"""Sets a drill up and takes it down: the agent's place, the downstream system, the kit."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from breakglass import registry
from breakglass.clock import Clock
from breakglass.drill.downstream import RunningSink, give_token, start_sink
from breakglass.drill.grounds import (
    AGENT,
    INSIDE_HTTP,
    INSIDE_STREAM,
    REVOKER,
    Grounds,
    People,
    Secrets,
    enrol,
    move_in,
    write_kit,
)
from breakglass.drill.scenario import Scenario
from breakglass.errors import Unsupported
from breakglass.provider import AgentHome
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.kit_signing import kit_sign
from breakglass.usecases.site import Site, open_site


@dataclass(frozen=True, slots=True)
class Stage:
    """What the screen is told: a stage of the drill begins."""

    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class Ground:
    """A drill that is set up: the agent works, and the kit describes it."""

    grounds: Grounds
    people: People
    site: Site
    home: AgentHome
    sink: RunningSink
    notes: tuple[str, ...]


@contextmanager
def drill_ground(
    scenario: Scenario, environ: Mapping[str, str], clock: Clock, tell: Callable[[Stage], None]
) -> Iterator[Ground]:
    """Set the drill up, and take every part of it down again."""
    base = Path(tempfile.mkdtemp(prefix="breakglass-drill-"))
    home: AgentHome | None = None
    sink: RunningSink | None = None
    try:
        grounds = Grounds(base)
        grounds.lay_out()
        tell(Stage("enrol", "three throwaway persons and an executor; two will sign"))
        people = enrol(grounds, clock)
        home, notes = _make_home(grounds)
        held = Secrets(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        (grounds.operator / "credentials" / REVOKER).write_text(held.revoker, encoding="utf-8")
        (grounds.operator / "credentials" / REVOKER).chmod(0o600)
        tell(Stage("agent", f"{scenario.name}: {scenario.summary}"))
        command = move_in(grounds, home, scenario, held, forbidden_after_s=1.0)
        started = home.start(
            command,
            env={"PATH": "/usr/bin:/bin"},
            cwd=grounds.agent,
            listen=[INSIDE_HTTP, INSIDE_STREAM],
        )
        http_socket, stream_socket = started.listeners
        sink = start_sink(grounds, http_socket.fileno(), stream_socket.fileno(), held)
        give_token(grounds, sink.issuer, held, home.uid)
        write_kit(grounds, people, clock, scenario.runbook, _reaches(grounds, home, sink.issuer), sink.issuer)
        for operator in people.operators[:2]:
            kit_sign(grounds.kit, operator.signer, card_or_none, clock.now())
        site = open_site(grounds.kit, environ, clock, card_or_none)
        yield Ground(grounds, people, site, home, sink, notes)
    finally:
        if home is not None:
            home.stop()
        if sink is not None:
            sink.stop()
        shutil.rmtree(base, ignore_errors=True)


def _make_home(grounds: Grounds) -> tuple[AgentHome, tuple[str, ...]]:
    """Make the agent's place with root's means where they are, else as this user.

    Raises:
        Unsupported: neither can be had, with the reason of each.
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
        notes = [
            "no cron daemon runs here: the agent's relaunch job is a crontab file and a watchdog process"
        ]
        if not privileged:
            notes.append(
                "an ordinary user's drill: the agent shares your uid, so it is kept apart by namespaces alone"
            )
        return home, (*reasons, *notes)
    raise Unsupported(
        "; ".join(reasons), remedy="run the drill as root, or where user namespaces are allowed"
    )


def _reaches(grounds: Grounds, home: AgentHome, issuer: str) -> list[Mapping[str, object]]:
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
        "token": {"file": token},
        "settle_s": "1",
    }
    return [host, oauth]
