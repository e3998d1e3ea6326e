"""A token that lies on another machine is read through the connection to that machine, and revoked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from breakglass.errors import Denied
from breakglass.model.action import Grade, Verdict
from breakglass.model.resource import Reach
from breakglass.provider import Provider
from breakglass.usecases.machines import ConnectedMachines, machine_of
from breakglass_host import CARD as HOST
from breakglass_oauth import CARD
from breakglass_oauth.sandbox import Sandbox
from providers.oauth.tests.rig_oauth import OPENED, REVOKE, connection, plan_stop


def machines(sandbox: Sandbox, folder: Path, url: str) -> ConnectedMachines:
    """Return the connections of an agent: this machine, under another one's name."""
    found = ConnectedMachines()
    reach = Reach("host", {"host": "local", "user": "4242"}, "kit:1")
    local = HOST.connect(replace(connection(sandbox, {}, folder / "host"), reach=reach))
    found.add(Reach("host", {"host": url}, "kit:2"), local)
    return found


def issuer_reach(sandbox: Sandbox, folder: Path, token: Path, host: str, url: str) -> Provider:
    """Connect the issuer's reach; its token lies on `host`."""
    settings = {
        **sandbox.settings(token),
        "token": {"file": str(token), "host": host},
        "settle_s": "0",
    }
    beside = machines(sandbox, folder, url)
    made = CARD.connect(replace(connection(sandbox, settings, folder / "inc"), machines=beside))
    OPENED.append(made)
    return made


def test_a_token_on_another_machine_is_revoked(issuer: Sandbox, tmp_path: Path) -> None:
    """Its bytes come through the machine's own connection; what it closes is named with the machine."""
    token = tmp_path / "token"
    value = issuer.mint()["access_token"]
    token.write_text(f"{value}\n")
    provider = issuer_reach(issuer, tmp_path, token, "bot-7.example.com", "ssh://ops@bot-7.example.com:22")

    stop = plan_stop(provider, {})
    history = stop.run()[REVOKE]
    [proposal] = [one for one in provider.discover().proposals if one.action == REVOKE]

    assert (Verdict.CONTAINED, Grade.PLATFORM_EVALUATOR) == (history.verdict, history.grade)
    assert issuer.effect("refund", value) == 401
    assert f"file://bot-7.example.com{token}" in proposal.revokes
    assert f"file:{token}" not in proposal.revokes
    assert value.encode() not in stop.documents()


def test_a_token_on_a_machine_that_no_reach_names_is_said(issuer: Sandbox, tmp_path: Path) -> None:
    """Nothing is read from anywhere else, and the plan says that the listing failed."""
    token = tmp_path / "token"
    token.write_text(f"{issuer.mint()['access_token']}\n")
    provider = issuer_reach(issuer, tmp_path, token, "bot-8.example.com", "ssh://ops@bot-7.example.com")

    [incomplete] = provider.discover().incomplete

    assert "no reach of this agent is connected to bot-8.example.com" in incomplete


@pytest.mark.parametrize("trap", ["link", "folder", "large"])
def test_a_trap_on_the_other_machine_is_not_read(issuer: Sandbox, tmp_path: Path, trap: str) -> None:
    """A link to another's secret, a folder and a file without end stay unread."""
    token = tmp_path / "token"
    secret = tmp_path / "secret"
    secret.write_text("not-the-agents-own\n")
    if trap == "link":
        token.symlink_to(secret)
    elif trap == "folder":
        token.mkdir()
    else:
        token.write_bytes(b"x" * 70_000)
    beside = machines(issuer, tmp_path, "ssh://ops@bot-7")

    with pytest.raises(Denied):
        beside.read_file("bot-7", str(token), max_bytes=65_536)


def test_the_name_of_a_machine_is_bare() -> None:
    """Login, port and case do not matter; an entry that is no machine has none."""

    def name(host: object) -> str:
        return machine_of(Reach("host", {"host": host}, "kit:1"))  # type: ignore[dict-item]  # wrong types on purpose

    assert "bot-7.example.com" == name("ssh://ops@Bot-7.example.com:2222")
    assert "fd00::7" == name("ssh://ops@[fd00::7]:22")
    assert "local" == name("local")
    assert "" == name("ssh://[broken")
    assert "" == name(None)
