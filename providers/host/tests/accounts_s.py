"""What the tests of accounts share: a machine with two accounts, and our actions run inside of it.

Each call is a process of its own that keeps nothing, so that every verb works from what was recorded, as it
does after a kill. The program's own sources are laid into the machine, with root's rights alone.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import breakglass
import breakglass_host
from breakglass_host.machine import Machine

BOT, ALICE = "bot", "alice"
_AT = "opt/breakglass-test"
_DRIVER = """
import contextlib, json, pathlib, sys
from breakglass.clock import SystemClock
from breakglass.errors import Unsettled
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed
from breakglass.model.resource import AgentRef, Reach, State, recordable
from breakglass.provider import Connection, Outcome
import importlib
asked = json.loads(sys.stdin.read())
folder = pathlib.Path("/root/incident")
where = IncidentFolder.open(folder) if folder.exists() else IncidentFolder.create(folder)
reach = Reach("host", {"host": "local", **asked["settings"]}, where="kit:1")
connection = Connection(reach=reach, agent=AgentRef("bot", "platform", None), incident="inc-1", drill=True,
    clock=SystemClock(), evidence=None, sealed=FolderSealed(where), credentials=None)
module = importlib.import_module("breakglass_host.actions." + asked["part"])
found = module.propose(connection, "freeze", "kill")
answer = {
    "keys": [one.key for one in found.proposals],
    "grades": [str(one.best_grade) for one in found.proposals],
    "targets": [dict(one.target.params) for one in found.proposals],
    "doors": [[one.door.name, one.door.reason, list(one.closed_by)] for one in found.doors],
    "not_touched": [[one.resource, one.reason] for one in found.not_touched],
    "incomplete": list(found.incomplete),
}
kept = pathlib.Path("/root/prior-" + asked["part"] + ".json")
plan = pathlib.Path("/root/plan-" + asked["part"] + ".json")
if asked["verb"] != "propose":
    from breakglass.model.resource import Resource
    if plan.exists():
        target = Resource(**json.loads(plan.read_text()))
    else:
        one = found.proposals[0].target
        target = Resource(one.kind, one.id, one.label, dict(one.params))
        wanted = {"kind": one.kind, "id": one.id, "label": one.label, "params": target.params}
        plan.write_text(json.dumps(wanted))
    action = module.ACTION_CLASSES[0](connection)
    known = json.loads(kept.read_text()) if kept.exists() else {}
def looked():
    # As the engine does: what may be otherwise in a moment is read again.
    while True:
        with contextlib.suppress(Unsettled):
            return action.observe(target)
if asked["verb"] == "stop":
    for round_ in range(asked["rounds"]):
        before = recordable(looked())
        if action.judge(target, before).verdict == "contained":
            break
        known = {**before.objects, **known}
        kept.write_text(json.dumps(known))
        with contextlib.suppress(Unsettled):  # the next round reads it anew
            action.apply(target, before, "token")
if asked["verb"] in ("stop", "look"):
    state = looked()
    judged, proof = action.judge(target, state), action.probe(target)
    answer |= {"verdict": judged.verdict, "reason": judged.reason, "complete": state.complete,
        "proof": proof and [proof.verdict, proof.reason, proof.grade], "objects": dict(state.objects)}
if asked["verb"] == "restore":
    done = action.revert(target, State(known), action.observe(target))
    again = action.revert(target, State(known), action.observe(target))
    answer |= {"first": dict(done.objects), "again": dict(again.objects), "reason": done.reason}
print(json.dumps(answer))
"""


def prepare(machine: Machine) -> None:
    """Make two accounts, each with a password and a key for ssh, and lay our sources into the machine."""
    at = machine.root / _AT
    shutil.rmtree(at, ignore_errors=True)
    at.mkdir(mode=0o700)
    ignore = shutil.ignore_patterns("__pycache__")
    for package in (breakglass, breakglass_host):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, at / source.name, ignore=ignore)
    (at / "driver.py").write_text(_DRIVER)
    for name in (BOT, ALICE):
        machine.run(
            f"useradd -m -s /bin/bash {name} && echo {name}:secret-{name} | chpasswd"
            f" && install -d -o {name} -g {name} -m 700 /home/{name}/.ssh"
            f" && ssh-keygen -q -t ed25519 -N '' -f /root/key-{name}"
            f" && install -o {name} -g {name} -m 600 /root/key-{name}.pub /home/{name}/.ssh/authorized_keys"
        )


def call(machine: Machine, verb: str, part: str, *, rounds: int = 4, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 - settings of an inventory are JSON
    """Run one verb of one part as root inside: propose, stop, look or restore."""
    asked = {"verb": verb, "part": part, "rounds": rounds, "settings": {"user": BOT, **settings}}
    (machine.root / "root" / "asked.json").write_text(json.dumps(asked))
    done = machine.run(f"cd / && PYTHONPATH=/{_AT} python3 /{_AT}/driver.py < /root/asked.json", timeout_s=60)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def ssh(machine: Machine, user: str) -> bool:
    """Log in with the key of an account, as anybody who holds it would."""
    done = machine.run(
        "ssh -n -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        f" -o LogLevel=ERROR -o ConnectTimeout=5 -i /root/key-{user} {user}@127.0.0.1 id -un",
        check=False,
    )
    return done.stdout.strip() == user


_SU = """
import os, pty, select, sys, time
os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[2]))
pid, at = pty.fork()
if pid == 0:
    os.execv("/usr/bin/su", ["su", sys.argv[1], "-c", "echo I-AM-$(id -un)"])
said, sent, until = b"", False, time.monotonic() + 10
while time.monotonic() < until:
    if not select.select([at], [], [], 0.2)[0]:
        continue
    try:
        more = os.read(at, 1024)
    except OSError:
        break
    said += more
    if b"assword" in said and not sent:
        sent = True
        time.sleep(0.1)
        os.write(at, sys.argv[4].encode() + b"\\n")
    if not more:
        break
os.waitpid(pid, 0)
print(said.decode(errors="replace"))
"""


def su(machine: Machine, user: str) -> str:
    """Become an account by its password, typed at a terminal by another ordinary user; return the screen."""
    (machine.root / "root" / "su.py").write_text(_SU)
    return machine.run(
        f"python3 /root/su.py {user} $(id -u nobody) $(id -g nobody) secret-{user}", check=False, timeout_s=30
    ).stdout


def listing(machine: Machine, *paths: str) -> str:
    """Return what stands at paths, with mode, owner, time of change and a digest of the content."""
    return machine.run(
        # A folder's size is the file system's own affair: on an overlay it tells what was copied up.
        f"find {' '.join(paths)} -type d -printf '%p d %m %u %g %T@\\n'"
        " -o -printf '%p %y %m %u %g %T@ %s %l\\n' | sort;"
        f" find {' '.join(paths)} -type f -exec sha256sum {{}} + | sort"
    ).stdout
