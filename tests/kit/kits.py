"""Writes kits to spoil, and knows the keys that a few providers' reaches have (DESIGN 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from breakglass.clock import Instant
from breakglass.errors import BreakglassError, MalformedInput, Unsupported
from breakglass.kit.load import load_kit
from breakglass.kit.model import Kit
from breakglass.model.resource import Reach
from breakglass.model.roster import Role
from breakglass.provider import Card, Connection, Provider, Setting, SettingType
from breakglass.testing.operators import make_executor, make_operator, make_roster

NOON = Instant.parse("2026-01-01T12:00:00Z")
ORG = "example.com"
ROLES = (Role.RESPONDER, Role.APPROVER, Role.ADMIN)
SETTINGS = """\
v: 1
org: example.com
version: 1
expires: 2026-02-15T00:00:00Z
drill: false
two_person_rule: enforced
executors:
  - name: ops-bastion-1
    log_key: /etc/breakglass/log.key
"""
AGENT = """\
agent: support-bot
owner: support-platform
class: customer-facing
who_can_stop: any two of the on-call responders; page support-platform
reach:
  - provider: aws
    account: "123456789012"
    region: eu-west-1
    as: arn:aws:iam::123456789012:role/breakglass-executor
    functions: [support-bot-worker]
  - provider: oauth
    issuer: https://login.example.com
    client_id: support-bot
    token: {file: /var/lib/support-bot/token}
deployers:
  - {kind: argocd, namespace: argocd, name: support-bot}
tools:
  - {name: refund, effect: money, credential: stripe key, issuer: Stripe, revoke_at: "https://x", owner: pay}
  - {name: search-tickets, effect: read}
"""
RUNBOOK = """\
v: 1
runbook: hush
version: 3
title: Quietly
steps:
  - {capability: stop_workloads, deadline_s: 30, probe: true}
  - {capability: snapshot_logs, deadline_s: 60}
playbook:
  what_happened: >
    Something
    happened.
  look_at: [the logs]
  impact: [nothing works]
  next_steps: [mend it]
  tell: [the owner]
"""


class StillClock:
    """A clock that stands at noon."""

    def now(self) -> Instant:
        """Return noon."""
        return NOON

    def monotonic_s(self) -> float:
        """Return zero."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Do not wait."""
        del seconds


def _connect(connection: Connection) -> Provider:
    raise Unsupported(f"{connection.reach.provider} is known by its card only")


def _one_target(reach: Reach) -> Sequence[str]:
    return () if "functions" in reach.settings or "roles" in reach.settings else ("no function and no role",)


_AWS = Card(
    name="aws",
    summary="Amazon Web Services",
    capabilities=(),
    settings=(
        Setting("account", SettingType.TEXT, "the account's twelve digits", required=True),
        Setting("region", SettingType.TEXT, "the region", required=True),
        Setting("as", SettingType.TEXT, "the executor's role"),
        Setting("roles", SettingType.TEXTS, "roles of the agent"),
        Setting("functions", SettingType.TEXTS, "functions of the agent"),
        Setting("shared", SettingType.FLAG, "whether others use them"),
    ),
    specs=(),
    connect=_connect,
    check=_one_target,
)
_OAUTH = Card(
    name="oauth",
    summary="An issuer",
    capabilities=(),
    settings=(
        Setting("issuer", SettingType.TEXT, "its URL", required=True),
        Setting("client_id", SettingType.TEXT, "the client"),
        Setting("token", SettingType.MAPPING, "where it lies", required=True),
    ),
    specs=(),
    connect=_connect,
)


def cards(name: str) -> Card | None:
    """Return the card of one of two providers."""
    return {"aws": _AWS, "oauth": _OAUTH}.get(name)


def roster_bytes(*, org: str = ORG, drill: bool = False) -> bytes:
    """Return a roster of three persons and one executor."""
    clock = StillClock()
    people = [make_operator(name, ROLES, clock) for name in ("alice", "bob", "carol")]
    executor, _ = make_executor("ops-bastion-1")
    return make_roster(org, people, [executor], clock, drill=drill).to_bytes()


def write_kit(folder: Path, files: Mapping[str, str | bytes] | None = None) -> Path:
    """Write a kit without mistakes, and over it `files`; return its folder."""
    everything: dict[str, str | bytes] = {
        "breakglass.yaml": SETTINGS,
        "roster.json": roster_bytes(),
        "agents/support-bot.yaml": AGENT,
        "runbooks/hush.yaml": RUNBOOK,
        **(files or {}),
    }
    kit = folder / "kit"
    for name, content in everything.items():
        path = kit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return kit


def load_draft(folder: Path) -> Kit:
    """Read a kit that nobody signed yet."""
    return load_kit(folder, cards, draft=True)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Return every path below a folder and what it holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def refusal(folder: Path) -> MalformedInput:
    """Return how a kit is refused: exit 2, and nothing in its folder touched."""
    before = snapshot(folder)
    with pytest.raises(BreakglassError) as caught:
        load_draft(folder)
    error = caught.value

    assert isinstance(error, MalformedInput)
    assert 2 == error.exit_code
    assert before == snapshot(folder)
    return error
