"""The journal of an agent on a real machine: what is its own, since the incident began, without secrets."""

from __future__ import annotations

import io
import json
import subprocess
import time
from pathlib import Path

import pytest

from breakglass.canon import Json
from breakglass.model.action import Verdict
from breakglass_host import collect_once
from breakglass_host.actions import journal_export
from breakglass_host.journald.export_format import Entry, entries
from breakglass_host.machine import Machine
from providers.host.tests.rig_b import connection
from providers.host.tests.rig_evidence_s import Seen, ask
from tests.backends import need

AGENT: dict[str, Json] = {"unit": "bot.service", "user": "bot"}
TOKEN = "quokka-7731-wombat-tail"  # noqa: S105 - planted
FORGE = """
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("/run/systemd/journal/socket")
s.send(b"MESSAGE=forged\\nUNIT=ssh.service\\n_SYSTEMD_UNIT=ssh.service\\nAPI_KEY=hunter2hunter2\\n")
s.send(b"MESSAGE=blob\\nBLOB\\n" + (30).to_bytes(8, "little") + b"\\x01\\n\\xff password=opensesame99 ok\\n")
"""
FAT = """
import os, socket
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
d.connect("/run/systemd/journal/socket")
def send(data):
    fd = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    __import__("fcntl").fcntl(fd, 1033, 15)  # all seals: journald takes no other
    socket.send_fds(d, [b""], [fd])
    os.close(fd)
for n in range(80):
    send(b"MESSAGE=fat %d\\nBLOB\\n" % n + (700000).to_bytes(8, "little") + os.urandom(700000) + b"\\n")
for n in range(40):
    send(b"MESSAGE=wide %d\\n" % n + b"".join(b"F%d=%d x\\n" % (m, n * 1000 + m) for m in range(900)))
"""


def run_as_agent(machine: Machine, script: str, *properties: str, wait: bool = True) -> None:
    """Run a shell script as the agent's service."""
    options = " ".join(f"-p {one}" for one in properties)
    mode = "--wait" if wait else ""
    machine.run(
        "id -u bot >/dev/null 2>&1 || useradd -m bot; systemctl reset-failed bot.service 2>/dev/null;"
        f"cat >/tmp/script <<'EOF'\n{script}\nEOF\n"
        f"systemd-run -q {mode} --collect --unit=bot.service --uid=bot {options} sh /tmp/script",
        timeout_s=60,
    )


def exported(machine: Machine, since_ms: int | None = None, **more: Json) -> Seen:
    """Export the journal of the agent."""
    answer, [seen] = ask(machine, "journal_export", {**AGENT, **more}, since_ms=since_ms)

    assert [] == answer["not_touched"]
    return seen


def verified(path: Path) -> None:
    """Pass a journal file through the journalctl of this machine."""
    done = subprocess.run(
        ["journalctl", f"--file={path}", "--verify"], capture_output=True, timeout=60, check=False
    )

    assert 0 == done.returncode, done.stderr


def messages(path: Path) -> list[str]:
    """Return the messages of a journal file, as journalctl reads them."""
    command = ["journalctl", f"--file={path}", "--output=json", "--all", "--no-pager", "--quiet"]
    lines = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.splitlines()
    return [str(json.loads(line)["MESSAGE"]) for line in lines]


def parsed(path: Path) -> list[Entry]:
    """Return the entries of an export."""
    return [one for one, _ in entries(io.BytesIO(path.read_bytes()), largest=1 << 28)]


def test_the_entries_of_unit_and_user_since_the_incident_are_exported_in_both_forms(machine: Machine) -> None:
    """Neither what was before, nor what others log; journalctl there and here reads and verifies the file."""
    run_as_agent(machine, "echo before the incident")
    machine.run("sleep 1.1")
    began = int(time.time() * 1000)
    run_as_agent(machine, "echo of the unit")
    machine.run("su -l bot -c 'logger of the session'; logger of somebody else; systemctl restart cron")
    seen = exported(machine, began)
    found = messages(seen.ending(".journal"))
    inside = "/" + str(seen.ending(".journal").relative_to(machine.root))
    asked = (
        f"journalctl --sync; journalctl -o json --all -q --since=@{began // 1000}"
        " _UID=1000 + _PID=1 UNIT=bot.service"
    )
    expected = [json.loads(line) for line in machine.run(asked).stdout.splitlines()]

    assert Verdict.CONTAINED == seen.step["verdict"], seen.step
    assert {"of the unit", "of the session"} <= set(found)
    assert not {"before the incident", "of somebody else"} & set(found)
    assert {one["MESSAGE"] for one in expected} <= set(found)
    assert "PASS" in machine.run(f"journalctl --file={inside} --verify 2>&1").stdout
    verified(seen.ending(".journal"))
    times = {one["__REALTIME_TIMESTAMP"] for one in expected}
    assert times <= {str(one.realtime) for one in parsed(seen.ending(".export"))}


def test_systemds_own_importer_reads_the_export(machine: Machine, tmp_path: Path) -> None:
    """The export is in the format that systemd-journal-remote takes, and every entry comes out of it."""
    program = Path("/lib/systemd/systemd-journal-remote")
    need("systemd", program.exists(), "systemd-journal-remote is not installed")
    run_as_agent(machine, "echo one; echo two; printf 'a\\001b\\n'")
    seen = exported(machine)
    made = tmp_path / "made.journal"
    subprocess.run([program, f"--output={made}", seen.ending(".export")], check=True, capture_output=True)
    entries_read = subprocess.run(
        ["journalctl", f"--file={made}", "--quiet", "--output=json"], check=True, capture_output=True
    ).stdout.splitlines()

    verified(made)
    assert seen.facts("journal")["entries"] == len(entries_read)


def test_forged_fields_neither_hide_an_entry_nor_make_one_the_agents(machine: Machine) -> None:
    """What journald itself sets decides; what the agent claimed is kept as it was, and counted."""
    run_as_agent(machine, f"python3 -c '{FORGE}'")
    machine.run(
        "useradd other; su other -c \"logger --journald <<'X'\nMESSAGE=not mine\nUNIT=bot.service\nX\""
    )
    seen = exported(machine)
    [forged] = [one for one in parsed(seen.ending(".export")) if one.first(b"MESSAGE") == b"forged"]

    assert (b"ssh.service", b"bot.service") == (forged.first(b"UNIT"), forged.first(b"_SYSTEMD_UNIT"))
    assert "not mine" not in messages(seen.ending(".journal"))
    assert json.loads(seen.ending(".json").read_text())["entries_that_claim_a_unit"] >= 1


def test_no_secret_gets_out_in_either_form(machine: Machine) -> None:
    """Learnt from the environment, told by a name, in a binary field, and a private key line by line."""
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nshort\n-----END PRIVATE KEY-----"
    script = f"echo using {TOKEN} now\necho '{key}'\npython3 -c '{FORGE}'\necho plain words\nsleep 300"
    run_as_agent(machine, script, f"Environment=API_TOKEN={TOKEN}", wait=False)
    machine.run("for n in $(seq 50); do journalctl -q -u bot | grep -q plain && break; sleep 0.1; done")
    seen = exported(machine)
    everything = seen.everything
    said = subprocess.run(
        ["journalctl", f"--file={seen.ending('.journal')}", "--output=export", "--all"],
        capture_output=True, check=True, timeout=60,
    ).stdout  # fmt: skip  # one command

    for secret in (TOKEN.encode(), b"opensesame99", b"hunter2hunter2", b"MIIEvQIBADAN", b"=short\n"):
        assert secret not in everything + said, secret
    assert b"plain words" in said
    assert b"[REDACTED:known:" in said
    [changed] = [one for one in parsed(seen.ending(".export")) if b"using" in one.first(b"MESSAGE")]
    assert ";x=" not in changed.cursor
    assert {len(one.first(b"_BOOT_ID")) for one in parsed(seen.ending(".export"))} == {32}
    verified(seen.ending(".journal"))


def test_a_flood_is_cut_on_both_sides_in_time_and_said(machine: Machine) -> None:
    """The first and the last entries are there, with the cursors around what is not."""
    machine.run(
        "mkdir -p /etc/systemd/journald.conf.d; printf '[Journal]\\nSystemMaxUse=400M\\nRateLimitBurst=0\\n'"
        " >/etc/systemd/journald.conf.d/a.conf; systemctl restart systemd-journald"
    )
    flood = "import sys\nfor n in range(100000): print('agent step', n)"
    run_as_agent(machine, f'echo first of all; python3 -c "{flood}"; echo last of all')
    machine.run("journalctl --sync", timeout_s=60)
    seen = exported(machine)
    found = messages(seen.ending(".journal"))
    facts = seen.facts("journal")

    assert float(seen.step["took_s"]) < collect_once.BUDGET_S + 5
    assert {"first of all", "last of all"} <= set(found)
    assert facts["entries"] == len(found) == 20_000
    assert "partial: cut after" in seen.step["reason"]
    left = machine.run(f"journalctl -q --after-cursor='{facts['cut']['after']}' -n 1 -o cat -u bot").stdout
    assert left.strip()
    verified(seen.ending(".journal"))


def test_a_flood_of_large_or_of_countless_fields_is_cut_in_time_too(machine: Machine) -> None:
    """Eighty messages of 700 kB each, and then forty of nine hundred fields."""
    machine.run(
        "mkdir -p /etc/systemd/journald.conf.d; printf '[Journal]\\nSystemMaxUse=400M\\nRateLimitBurst=0\\n'"
        " >/etc/systemd/journald.conf.d/a.conf; systemctl restart systemd-journald"
    )
    (machine.root / "opt/fat.py").write_text(FAT)
    run_as_agent(machine, "echo first of all; python3 /opt/fat.py; echo last of all")
    seen = exported(machine)

    assert float(seen.step["took_s"]) < collect_once.BUDGET_S + 5
    assert {"first of all", "last of all"} <= set(messages(seen.ending(".journal")))
    assert "partial: cut after" in seen.step["reason"]
    assert seen.facts("journal")["values_shortened"] > 0
    verified(seen.ending(".journal"))


def test_rotated_files_and_an_earlier_boot_are_read_too(machine: Machine) -> None:
    """Cursors and boots are named."""
    run_as_agent(machine, "echo in the first boot")
    machine.run("journalctl --rotate")
    run_as_agent(machine, "echo after the rotation")
    machine.reboot()
    run_as_agent(machine, "echo in the second boot")
    seen = exported(machine)
    facts = seen.facts("journal")

    wanted = {"in the first boot", "after the rotation", "in the second boot"}
    assert wanted <= set(messages(seen.ending(".journal")))
    assert 2 == len(facts["boots"])
    assert facts["stored"] == "persistent"
    verified(seen.ending(".journal"))


def test_a_damaged_journal_gives_what_is_left_of_it_and_what_journalctl_says(machine: Machine) -> None:
    """Its complaint is part of the evidence."""
    run_as_agent(machine, "echo in the damaged file")
    machine.run("journalctl --rotate; for f in /var/log/journal/*/*@*.journal; do truncate -s 100 $f; done")
    run_as_agent(machine, "echo in the whole file")
    seen = exported(machine)

    assert "in the whole file" in messages(seen.ending(".journal"))
    assert "truncated" in json.loads(seen.ending(".json").read_text())["journalctl_said"]
    assert Verdict.UNKNOWN == seen.step["verdict"]


@pytest.mark.parametrize("storage", ["volatile", "none"])
def test_where_nothing_lasts_that_is_said(machine: Machine, storage: str) -> None:
    """journald.conf(5), Storage=."""
    machine.run(
        f"mkdir -p /etc/systemd/journald.conf.d; printf '[Journal]\\nStorage={storage}\\n'"
        " >/etc/systemd/journald.conf.d/a.conf; systemctl restart systemd-journald;"
        " rm -rf /var/log/journal/*; systemctl restart systemd-journald"
    )
    run_as_agent(machine, "echo something")
    facts = exported(machine).facts("journal")

    assert storage in str(facts["stored"]), facts


def test_what_the_agent_rotated_away_is_not_passed_over(machine: Machine) -> None:
    """A hundred entries of many fields fill a hundred files, and journald removes the oldest."""
    run_as_agent(machine, "echo first of all")
    (machine.root / "opt/fat.py").write_text(
        FAT.replace("range(80)", "range(0)").replace("range(40)", "range(120)")
    )
    run_as_agent(machine, "python3 /opt/fat.py")
    seen = exported(machine)

    assert "first of all" not in messages(seen.ending(".journal"))
    assert seen.facts("journal")["journal_begins"] > seen.facts("journal")["since"]


def test_where_there_is_no_journald_nothing_is_proposed_and_that_is_said(tmp_path: Path) -> None:
    """Once, in words."""
    if journal_export.has_journal():
        pytest.skip("journald runs here")
    proposed = journal_export.propose(
        connection(tmp_path / "i", {"host": "local", "user": "4242"}), None, "kill"
    )

    assert ((), 1) == (proposed.proposals, len(proposed.not_touched))
