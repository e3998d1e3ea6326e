"""Calls systemctl and parses what it says: hostile text until it has the form that was asked for.

systemctl speaks to process 1 over a socket of its own, so that this works without the message bus too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from breakglass.errors import Denied, ProviderError, Transient, Unsupported
from breakglass_host import safepath
from breakglass_host.systemd import unit_name, unit_pipes

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ASK_S = 10.0
RELOAD_S = 30.0
_CHUNK = 200
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9]{0,63})=(.*)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_one_reload = threading.Lock()

Shown = Mapping[str, str]
"""The properties of one unit, as text."""
PROPERTIES = (
    "Id",
    "Names",
    "LoadState",
    "LoadError",
    "CanStart",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "FragmentPath",
    "DropInPaths",
    "Transient",
    "Slice",
    "ControlGroup",
    "Type",
    "Job",
    "Triggers",
    "Result",
)
_NEEDED = frozenset({"Id", "LoadState", "CanStart", "ActiveState", "SubState"})


def program() -> str | None:
    """Return the path of systemctl; None: not installed."""
    return shutil.which("systemctl", path=PATH)


def absent() -> str:
    """Say why there is no systemd to act on (sd_booted(3)); empty: there is."""
    if not Path("/run/systemd/system").is_dir():
        return "systemd is not process 1 here"
    return "" if program() else "systemctl is not installed"


def run(*arguments: str, timeout_s: float = ASK_S) -> subprocess.CompletedProcess[bytes]:
    """Call systemctl; never asks for a password, never pages.

    Raises:
        Unsupported: there is no systemd.
        Transient: it gave no answer in time, so that what it did is not known.
    """
    where = program()
    if where is None or absent():
        raise Unsupported(absent() or "systemctl is not installed")
    command = [where, "--system", "--no-pager", "--no-ask-password", *arguments]
    try:
        with unit_pipes.fed():
            return subprocess.run(  # noqa: S603 - a fixed program; names from outside follow `--` and are checked
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env={"LC_ALL": "C", "PATH": PATH, "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", "TZ": "UTC"},
                cwd="/",
                timeout=timeout_s,
            )
    except subprocess.TimeoutExpired as error:
        raise Transient(f"systemctl {arguments[0]} gave no answer in {timeout_s:.0f} s") from error


def reload() -> None:
    """Have systemd read all unit files again; one at a time.

    Raises:
        ProviderError: it did not say that it has.
    """
    with _one_reload:
        done = run("daemon-reload", timeout_s=RELOAD_S)
    if done.returncode != 0:
        raise ProviderError(f"daemon-reload failed: {_said(done)}")


def show(names: Sequence[str], properties: Sequence[str] = PROPERTIES) -> tuple[Shown, ...]:
    """Ask for properties of units, in the order of the names; one that is not loaded is loaded for it.

    Raises:
        ProviderError: the answer has not the form that was asked for.
    """
    found: list[Shown] = []
    for start in range(0, len(names), _CHUNK):
        part = names[start : start + _CHUNK]
        for name in part:
            _check(name)
        done = run("show", f"--property={','.join(properties)}", "--", *part)
        if done.returncode != 0:
            raise ProviderError(f"systemctl show failed: {_said(done)}")
        answer = parse(done.stdout, frozenset(properties))
        if len(answer) != len(part):
            raise ProviderError(f"systemctl show answered for {len(answer)} of {len(part)} units")
        found.extend(answer)
    return tuple(found)


def parse(data: bytes, asked: frozenset[str]) -> tuple[Shown, ...]:
    """Read blocks of ``Key=value``; a line that was not asked for, or comes twice, makes it unreadable.

    Raises:
        ProviderError: it is not readable.
    """
    blocks: list[Shown] = []
    for text in data.decode("utf-8", "backslashreplace").strip("\n").split("\n\n"):
        block: dict[str, str] = {}
        for line in text.split("\n"):
            found = _LINE.fullmatch(line)
            if found is None or found[1] not in asked or found[1] in block:
                raise ProviderError(f"systemctl show gave a line that cannot be: {safepath.shown(line)[:80]}")
            block[found[1]] = found[2]
        if missing := (_NEEDED & asked) - block.keys():
            raise ProviderError(f"systemctl show left out {min(missing)}")
        blocks.append(block)
    return tuple(blocks)


def words(value: str) -> tuple[str, ...]:
    """Read a list: a word with special characters stands in quotes, or has them as hexadecimal escapes."""
    found = []
    for quoted, bare in _QUOTED.findall(value):
        if bare:
            found.append(re.sub(r"\\x([0-9a-f]{2})", lambda one: chr(int(one[1], 16)), bare))
        else:
            found.append(re.sub(r"\\(.)", r"\1", quoted))
    return tuple(found)


def names(value: str) -> tuple[str, ...]:
    """Read a list of unit names.

    Raises:
        ProviderError: one is no unit name.
    """
    found = words(value)
    for name in found:
        _check(name)
    return found


def loaded(types: Sequence[str]) -> tuple[str, ...]:
    """Return every unit of these types that systemd has in memory, also inactive ones.

    Raises:
        ProviderError: the list cannot be read.
    """
    done = run("list-units", "--all", "--full", "--plain", "--no-legend", f"--type={','.join(types)}")
    if done.returncode != 0:
        raise ProviderError(f"systemctl list-units failed: {_said(done)}")
    lines = done.stdout.decode("utf-8", "backslashreplace").splitlines()
    found = tuple(line.split()[0] for line in lines if line.strip())
    for name in found:
        _check(name)
    return found


def order(verb: str, units: Sequence[str], *options: str) -> str:
    """Give an order about units; return what systemd said against it, empty: nothing."""
    for name in units:
        _check(name)
    if not units:
        return ""
    done = run(verb, *options, "--", *units)
    return _said(done) if done.returncode != 0 else ""


def await_active(units: Sequence[str], wanted: frozenset[str], within_s: float) -> tuple[Shown, ...]:
    """Ask again until each unit is in one of the wanted states and has no job, or the time is over."""
    until = time.monotonic() + within_s
    while True:
        found = show(units)
        is_there = all(one["ActiveState"] in wanted and not one.get("Job") for one in found)
        if is_there or time.monotonic() >= until:
            return found
        time.sleep(0.05)


def _check(name: str) -> None:
    if why := unit_name.complaint(name):
        raise ProviderError(f"{safepath.shown(name)[:300]} {why}")


_UNANSWERED = re.compile(
    "Failed to connect to bus|Connection (reset|refused|timed out|terminated)"
    "|Transport endpoint is not connected"
)
"""It is starting, ending or being restarted itself: asked again, it may answer."""


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    text = safepath.shown(done.stderr.strip() or done.stdout.strip())[:300]
    if "Access denied" in text or "authentication required" in text:
        raise Denied(f"systemd refused: {text}")
    if _UNANSWERED.search(text):
        raise Transient(f"systemd could not be asked: {text}")
    return text or f"exit status {done.returncode}"
