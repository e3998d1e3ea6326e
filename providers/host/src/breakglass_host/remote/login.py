"""Holds the one command that is run on another machine, and what it says before the runner is up.

The login shell may be any, and may talk: so the command has no quote, backslash or exclamation mark within
its quotes, and what counts is a line that begins with a marker which is new for each connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from breakglass_host.remote.address import Address
from breakglass_host.remote.bundle import Bundle

_LONGEST_LINE = 1024
NOISE = 1024 * 1024
"""So much may be said before the marker."""
_START = (
    "import os;s=open(os.dup(0),%crb%c);"
    "exec(s.read(int(s.readline())),{%c__name__%c:%c__main__%c,%cstream%c:s})"
).replace("%c", '"')
_FIND = (
    "read -r m||exit 90;PATH=/usr/bin:/bin:/usr/local/bin:/usr/sbin:/sbin;LC_ALL=C;export PATH LC_ALL;"
    "f=;o=;"
    "for n in python3 python3.14 python3.13 python3.12 python3.11;do "
    'p=$(command -v "$n")||continue;'
    'v=$("$p" -I -S -B -c "import sys;print(*sys.version_info[:2])" 2>/dev/null </dev/null)||continue;'
    'case $v in "3 1"[1-9]|"3 "[2-9][0-9])f=$p;break;;[0-9]*)o="$v $p";;esac;done;'
    'if [ -z "$f" ];then echo;if [ -n "$o" ];then echo "$m old $o";else echo "$m nopython";fi;exit 91;fi;'
    'if [ "$2" = plain ]||[ "$(id -u)" = 0 ];then exec "$f" -I -S -B -X utf8 -c "$1" "$m";fi;'
    'command -v sudo >/dev/null||{ echo;echo "$m nosudo";exit 92; };'
    'sudo -n -- "$f" -I -S -B -X utf8 -c "$1" "$m";r=$?;'
    'if [ "$r" = 1 ];then echo;echo "$m sudo $f";fi;exit "$r"'
)


def command(*, without_sudo: bool) -> str:
    """Return the command: it finds a Python, becomes root where it must, and starts what comes on stdin."""
    return f"exec /bin/sh -c '{_FIND}' sh '{_START}' {'plain' if without_sudo else 'sudo'}"


def opening(marker: str, program: Bundle) -> bytes:
    """Return what is sent first: the marker, the source that unpacks, the program."""
    boot = program.boot.encode()
    head = f"{marker}\n{len(boot)}\n".encode() + boot
    return head + f"{len(program.data)} {program.sha256}\n".encode() + program.data


@dataclass(frozen=True, slots=True)
class Word:
    """What the command said: ``up``, or why not."""

    word: str
    detail: str


class Listening:
    """Finds the marker in what a machine says first."""

    def __init__(self, marker: str) -> None:
        """Keep the marker."""
        self._pattern = re.compile(
            rb"(?:^|\n)" + marker.encode() + rb" ([a-z]{1,20})(?: ([^\n]{0,600}))?\r?\n"
        )
        self._kept = b""
        self._heard = 0

    @property
    def noise(self) -> str:
        """Return the end of what was said instead of the word."""
        return self._kept.decode("utf-8", "replace")

    @property
    def is_flooded(self) -> bool:
        """Return whether more was said than a login may say."""
        return self._heard > NOISE

    def feed(self, data: bytes) -> tuple[Word, bytes] | None:
        """Take what was read; return the word and what came after it, None: go on reading."""
        self._heard += len(data)
        self._kept += data
        found = self._pattern.search(self._kept)
        if found is None:
            self._kept = self._kept[-_LONGEST_LINE:]
            return None
        detail = (found[2] or b"").decode("utf-8", "replace")
        return Word(found[1].decode(), detail), self._kept[found.end() :]


def sudoers_line(address: Address, python: str) -> str:
    """Return what lets the login become root without a password."""
    return f"{address.user} ALL=(root) NOPASSWD: {python}"
