"""Login records of an agent's account on a real machine: who came in, from where, and what it did."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

from breakglass.canon import Json
from breakglass.model.action import Verdict
from breakglass_host.machine import Machine
from providers.host.tests.rig_evidence_s import Seen, ask

AGENT: dict[str, Json] = {"user": "bot"}
LOGIN = """
useradd -m -s /bin/sh bot; useradd -m other
mkdir -p /home/bot/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/id
cp /root/id.pub /home/bot/.ssh/authorized_keys
chown -R bot /home/bot/.ssh; touch /var/log/lastlog
ssh -tt -o StrictHostKeyChecking=no -i /root/id bot@127.0.0.1 true </dev/null
su -l bot -c true; su -l other -c true
"""


def copied(machine: Machine) -> Seen:
    """Copy the login records of the agent."""
    _, [seen] = ask(machine, "login_records", AGENT)
    return seen


def lines(seen: Seen, name: str) -> list[dict[str, Any]]:
    """Return the lines of a piece of evidence."""
    return [json.loads(line) for line in seen.files[name].read_text().splitlines()]


def record(
    kind: int, user: str, line: str, seconds: int, host: str = "", address: Sequence[int] = (0, 0, 0, 0)
) -> bytes:
    """Return a record of wtmp, laid out by hand from utmp(5)."""
    head = struct.pack("<h2xi", kind, 4242)
    texts = struct.pack("32s4s32s256s", line.encode(), b"ts/0", user.encode(), host.encode())
    return head + texts + struct.pack("<hhiii4I20x", 0, 0, 7, seconds, 250_000, *address)


def test_logins_over_ssh_and_su_are_found_and_other_accounts_are_not(machine: Machine) -> None:
    """In wtmp, in lastlog and in the journal."""
    machine.run(LOGIN, check=False, timeout_s=40)
    seen = copied(machine)
    records, journal = lines(seen, "logins.jsonl"), lines(seen, "login-journal.jsonl")

    assert Verdict.CONTAINED == seen.step["verdict"], seen.step
    [login] = [one for one in records if one["source"] == "/var/log/wtmp" and one["type"] == "user"]
    assert ("127.0.0.1", "bot") == (login["address"], login["user"])
    assert login["time"].startswith("20")
    assert login["time"].endswith("Z")
    assert abs(login["epoch_s"] - int(machine.run("date +%s").stdout)) < 120
    assert [one for one in records if one["source"] == "/var/log/lastlog"]
    messages = [one["message"] for one in journal]
    assert [one for one in messages if "Accepted publickey for bot from 127.0.0.1" in one]
    assert [one for one in messages if "(to bot) root" in one]
    assert not [one for one in messages if "other" in one]
    assert all({"time", "epoch_us", "cursor", "program", "uid"} <= one.keys() for one in journal)


def test_every_kind_of_record_is_read_and_what_others_typed_is_not(machine: Machine) -> None:
    """A password typed as a name stays where it is; a record that is cut in the middle is said."""
    machine.run("useradd -m bot")
    ipv6 = struct.unpack("<4I", bytes.fromhex("20010db8000000000000000000000001"))
    wtmp = record(7, "bot", "pts/5", 1_700_000_000, "host.example.com", ipv6) + record(
        8, "", "pts/5", 1_700_000_600
    )
    btmp = record(6, "hunter2hunter2", "ssh:notty", 1_700_000_001) + record(
        6, "bot", "ssh:notty", 1_700_000_002
    )
    (machine.root / "var/log/wtmp").write_bytes(wtmp + record(7, "bot", "pts/6", 1_700_000_003)[:100])
    (machine.root / "var/log/btmp").write_bytes(btmp)
    seen = copied(machine)
    found = [one for one in lines(seen, "logins.jsonl") if "log/" in one["source"]]

    assert [
        ("user", "2023-11-14T22:13:20.250Z", "2001:db8::1", "host.example.com"),
        ("dead", "2023-11-14T22:23:20.250Z", "", ""),
        ("login", "2023-11-14T22:13:22.250Z", "", ""),
    ] == [(one["type"], one["time"], one["address"], one["host"]) for one in found]
    assert b"hunter2" not in seen.everything
    assert "ends within a record" in seen.step["reason"]
    assert Verdict.UNKNOWN == seen.step["verdict"]


DATABASES = """
import os, sqlite3
os.makedirs("/var/lib/wtmpdb"); os.makedirs("/var/lib/lastlog", exist_ok=True)
w = sqlite3.connect("/var/lib/wtmpdb/wtmp.db")
w.execute("CREATE TABLE wtmp(ID INTEGER PRIMARY KEY, Type INTEGER, User TEXT, Login INTEGER, Logout INTEGER,"
          " TTY TEXT, RemoteHost TEXT, Service TEXT)")
row = "INSERT INTO wtmp VALUES(?, 3, ?, 1700000000000000, NULL, ?, ?, ?)"
w.execute(row, (1, "bot", "pts/1", "10.0.0.9", "sshd"))
w.execute(row, (2, "other", "pts/2", "", "sshd"))
w.commit()
l = sqlite3.connect("/var/lib/lastlog/lastlog2.db")
l.execute("CREATE TABLE Lastlog2(Name TEXT, Time INTEGER, TTY TEXT, RemoteHost TEXT, Service TEXT)")
l.execute("INSERT INTO Lastlog2 VALUES(?, 1700000001, ?, ?, ?)", ("bot", "pts/1", "10.0.0.9", "sshd"))
l.commit()
"""
AUTH_LOG = """Nov 1 10:00:00 m sshd[1]: Accepted password for bot from 10.0.0.9 port 4242 ssh2
Nov 1 10:00:01 m sshd[2]: Accepted password for robot from 10.0.0.9 port 4242 ssh2
Nov 1 10:00:02 m sudo: bot : TTY=pts/1 ; PWD=/home/bot ; USER=root ; COMMAND=/bin/x --password opensesame9
"""


def test_rows_of_the_new_databases_and_lines_of_auth_log_are_copied(machine: Machine) -> None:
    """wtmpdb(8), lastlog2(8), and what a syslog daemon writes: who and from where, without secrets."""
    (machine.root / "root/make.py").write_text(DATABASES)
    (machine.root / "var/log/auth.log").write_text(AUTH_LOG)
    machine.run("useradd -m bot; python3 /root/make.py")
    seen = copied(machine)
    rows = [one["row"] for one in lines(seen, "logins.jsonl") if one["type"] == "row"]
    accepted, *others = AUTH_LOG.splitlines()
    [first, sudo] = seen.files["auth.log"].read_text().splitlines()

    assert [("bot", 1_700_000_000_000_000), ("bot", None)] == [
        (one.get("User") or one.get("Name"), one.get("Login")) for one in rows
    ]
    assert accepted == first
    assert sudo.startswith(others[1].partition("opensesame")[0])
    assert "opensesame" not in sudo


def test_a_session_that_is_open_is_listed(machine: Machine) -> None:
    """As logind knows it."""
    awaited = "for n in $(seq 50); do test -e /run/systemd/users/1000 && break; sleep 0.1; done"
    machine.run(f"useradd -m bot; loginctl enable-linger bot; {awaited}")
    seen = copied(machine)
    [user] = [one for one in lines(seen, "logins.jsonl") if one["source"] == "/run/systemd/users/1000"]

    assert "bot" == user["values"]["NAME"]
