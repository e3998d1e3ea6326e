"""A machine whose root answers the executor with whatever it likes: a stand-in for `ssh` speaks for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from breakglass.canon import Json

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5IGjPl8Zm8W8PSP1mFfkCvMv3mWbWjvCEvaPDXv1pX"  # of no machine
_STAND_IN = """#!{python}
import base64, itertools, json, os, sys, threading, time
IN = sys.stdin.buffer
marker = IN.readline().split()[0].decode()
IN.read(int(IN.readline()))
IN.read(int(IN.readline().split()[0]))
LOCK = threading.Lock()
def raw(data):
    data = memoryview(data)
    with LOCK:
        while data:
            data = data[os.write(1, data):]
def send(**message):
    data = json.dumps(message).encode()
    raw(len(data).to_bytes(4, "big") + data)
def answer(call, ok):
    send(k="answer", id=call["id"], ok=ok)
def found(**more):
    return {{"scope": "x", "principals": [], "proposals": [], "doors": [], "not_touched": [], "endpoints": [],
            "incomplete": [], "runner": ""}} | more
def step(key, action="host.spool.pause", target="x", **more):
    return {{"key": key, "action": action, "target": {{"kind": "host.tree", "id": target, "label": target,
            "params": {{}}}}, "after": [], "best_grade": None, "settle_s": None, "deadline_s": None,
            "calls": None, "window_s": None, "moot_by": [], "affects": [], "withholds": [], "revokes": []
            }} | more
def door(name="d", **more):
    return {{"door": {{"kind": "no_step", "name": name, "reason": "", "remedy": "", "owner": "",
            "closed_by": [], "verdict": "unknown"}} | more, "closed_by": []}}
def state(objects, complete=True, note=""):
    return {{"objects": objects, "complete": complete, "note": note}}
def discover(call): answer(call, found())
def preflight(call):
    steps = call["args"]["steps"]
    answer(call, [{{"step": one["n"], "ok": True, "message": "", "alone": False}} for one in steps])
def observe(call): answer(call, state({{}}))
def apply(call): answer(call, None)
def probe(call): answer(call, None)
def revert(call): answer(call, {{"objects": {{}}, "reason": ""}})
def read_file(call): answer(call, "")
def told(message): pass
{code}
raw(b"\\n" + marker.encode() + b" up\\n")
while head := IN.read(4):
    message = json.loads(IN.read(int.from_bytes(head, "big")))
    kind = message["k"]
    if kind == "hello":
        send(k="hello", at_ms=int(time.time() * 1000))
    elif kind == "ping":
        send(k="pong")
    elif kind == "bye":
        break
    elif kind == "call":
        threading.Thread(target=globals()[message["of"]["verb"]], args=(message["of"],), daemon=True).start()
    elif kind in ("told", "more"):
        told(message)
"""


def stand_in(folder: Path, hosts: dict[str, str]) -> Path:
    """Write an `ssh` that speaks, for each host by name, as its code says; return the folder for PATH."""
    folder.mkdir()
    lines = ["#!/bin/sh", 'while [ "$1" != -- ]; do shift; done', 'case "$2" in']
    for name, code in hosts.items():
        program = folder / f"{name}.py"
        program.write_text(_STAND_IN.format(python=sys.executable, code=code))
        lines.append(f"{name}) exec {sys.executable} -I -S {program};;")
    ssh = folder / "ssh"
    ssh.write_text("\n".join([*lines, "esac", "exit 255", ""]))
    ssh.chmod(0o755)
    return folder


def first_in_path(folder: Path) -> str:
    """Return a PATH in which the stand-in comes first."""
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def reach(name: str, **more: Json) -> dict[str, Json]:
    """Return how an inventory names such a machine."""
    return {"provider": "host", "host": f"ssh://root@{name}", "host_key": HOST_KEY, "user": "daemon"} | more
