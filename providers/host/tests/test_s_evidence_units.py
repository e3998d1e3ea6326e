"""Unit files of an agent on a real machine: all that systemd reads of them, past what the agent planted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.model.action import Verdict
from breakglass_host.machine import Machine
from breakglass_host.redact import Redactor
from breakglass_host.unit_redaction import redacted
from providers.host.tests.rig_evidence_s import Seen, ask

AGENT: dict[str, Json] = {"unit": "bot.service", "user": "bot"}
TOKEN = "quokka-7731-wombat-tail"  # noqa: S105 - planted
SETUP = f"""
useradd -m bot
mkdir -p /etc/systemd/system/bot.service.d /opt/bot
cat >/opt/bot/bot.service <<'EOF'
[Service]
User=bot
Environment=API_TOKEN={TOKEN} PLAIN=visible
ExecStart=/bin/sh -c 'while :; do sleep 1; done'
[Install]
WantedBy=multi-user.target
Alias=helper.service
EOF
printf '[Service]\\nNice=3\\n' >/etc/systemd/system/bot.service.d/nice.conf
printf '[Timer]\\nOnBootSec=1h\\n[Install]\\nWantedBy=timers.target\\n' >/etc/systemd/system/bot.timer
systemctl enable -q --now /opt/bot/bot.service
systemctl enable -q --now bot.timer
"""
PLANT = """
mkdir -p ~/.config/systemd/user ~/elsewhere/deep.service.d; cd ~/.config/systemd/user
printf '[Service]\\nExecStart=/home/bot/run --token opensesame99\\n' >real.service
ln -s /etc/shadow shadow.service; mkfifo pipe.service; truncate -s 1G huge.service
ln -s ~/elsewhere/hidden.service away.service; echo '[Service]' >~/elsewhere/hidden.service
ln -s ~/elsewhere/deep.service.d real.service.d; echo '[Service]' >~/elsewhere/deep.service.d/a.conf
ln -s ../.. loop.service.d; ln -s /etc other.service.d
mkdir -p ~/.local/share; ln -s ~/elsewhere ~/.local/share/systemd
"""


def copied(machine: Machine) -> Seen:
    """Copy the unit files of the agent."""
    _, [seen] = ask(machine, "unit_files", AGENT)
    return seen


def lines(seen: Seen, name: str) -> dict[str, dict[str, Any]]:
    """Return the lines of a piece of evidence by path."""
    found = [json.loads(line) for line in seen.files[name].read_text().splitlines()]
    return {one["path"]: one for one in found}


def test_files_drop_ins_links_and_properties_of_the_agents_units_are_copied(machine: Machine) -> None:
    """With the file behind a link, the links that enable it, and the timer of the same name."""
    machine.run(SETUP)
    seen = copied(machine)
    found = lines(seen, "unit-files.jsonl")

    assert Verdict.CONTAINED == seen.step["verdict"], seen.step
    assert "/opt/bot/bot.service" == found["/etc/systemd/system/bot.service"]["target"]
    assert "PLAIN=visible" in found["/opt/bot/bot.service"]["text"]
    assert "[Service]\nNice=3\n" == found["/etc/systemd/system/bot.service.d/nice.conf"]["text"]
    assert "OnBootSec=1h" in found["/etc/systemd/system/bot.timer"]["text"]
    wants = "/etc/systemd/system/multi-user.target.wants/bot.service"
    assert "/opt/bot/bot.service" == found[wants]["target"]
    assert "/etc/systemd/system/helper.service" in found
    shown = seen.files["units.txt"].read_text()
    assert {"Id=bot.service", "Id=bot.timer", "User=bot"} <= set(shown.splitlines())
    assert f"{TOKEN}".encode() not in seen.everything
    assert "Environment=API_TOKEN=[REDACTED:named:" in shown


def test_what_the_agent_planted_leads_nowhere_and_hides_nothing(machine: Machine) -> None:
    """Links to others' files, pipes, a file of a gigabyte, loops; its own files behind links are read."""
    machine.run(SETUP)
    machine.run(f"su -l bot -s /bin/sh <<'X'\n{PLANT}\nX")
    shadow = machine.run("head -1 /etc/shadow").stdout.strip().encode()
    seen = copied(machine)
    found = lines(seen, "user-units.jsonl")
    user = "/home/bot/.config/systemd/user"

    assert Verdict.CONTAINED == seen.step["verdict"], seen.step
    assert float(seen.step["took_s"]) < 5
    assert "ExecStart=/home/bot/run --token [REDACTED" in found[f"{user}/real.service"]["text"]
    assert ("/etc/shadow", None) == (
        found[f"{user}/shadow.service"]["target"],
        found[f"{user}/shadow.service"].get("text"),
    )
    assert shadow not in seen.everything
    assert "pipe" == found[f"{user}/pipe.service"]["kind"]
    assert 1 << 30 == found[f"{user}/huge.service"]["size"]
    assert "[Service]\n" == found[f"{user}/away.service"]["text"]
    assert "[Service]\n" == found[f"{user}/real.service.d/a.conf"]["text"]
    assert f"{user}/other.service.d" in found
    assert not [path for path in found if path.startswith(f"{user}/other.service.d/")]
    assert "[Service]\n" == found["/home/bot/.local/share/systemd/hidden.service"]["text"]
    assert sum(file.stat().st_size for file in seen.files.values()) < 1 << 20


def test_ten_thousand_planted_files_are_bounded_and_that_is_said(machine: Machine) -> None:
    """A stop does not wait for them."""
    machine.run(SETUP)
    machine.run(
        "su -l bot -s /bin/sh -c 'mkdir -p ~/.config/systemd/user; cd ~/.config/systemd/user;"
        " seq 10000 | xargs -I{} -n 1 -P 1 echo x{}.service | xargs touch'",
        timeout_s=60,
    )
    seen = copied(machine)

    assert float(seen.step["took_s"]) < 5
    assert "partial" in seen.step["reason"]
    assert len(lines(seen, "user-units.jsonl")) < 1_100


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (b'Environment="DB_PASSWORD=two words" A=b', b"two words"),
        (b"ExecStart=/usr/bin/run --api-key=abcd1234efgh -v", b"abcd1234efgh"),
        (b"ExecStart=/usr/bin/run \\\n  --password opensesame \\\n  -v", b"opensesame"),
        (b"SetCredential=name:the value of it", b"the value"),
        (b"SetCredentialEncrypted=name: Whxqht", b"Whxqht"),
        (b"# token: abcdefgh", b"abcdefgh"),
        (b"ExecStart=/usr/bin/curl -u bot:opensesame http://x/", b"opensesame"),
        (b"-----BEGIN PRIVATE KEY-----\nabcd\n-----END PRIVATE KEY-----", b"abcd"),
    ],
)
def test_secrets_of_a_unit_file_are_taken_out(line: bytes, secret: bytes) -> None:
    """Wherever systemd lets them stand."""
    data = b"[Service]\nUser=bot\n" + line + b"\nNice=3\n"
    found = redacted(Redactor(b"k" * 32), data)

    assert secret not in found
    assert b"User=bot\n" in found
    assert found.endswith(b"\nNice=3\n") or b"PRIVATE" in line


def test_what_is_no_secret_of_a_unit_file_stays_readable() -> None:
    """Long paths, numbers and names of properties."""
    data = (
        b"[Unit]\nDescription=Support bot\n[Service]\nExecStart=-/opt/Agent7/bin/runner-2024 --port 8080\n"
        b"TimeoutStartUSec=1min 30s\nInvocationID=b0f5f9a7cb0f5f9a7cb0f5f9a7cbaaaa\n"
    )

    assert data == redacted(Redactor(b"k" * 32), data)
