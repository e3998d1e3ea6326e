"""Knows the subordinate uids of an account: what runs under them in rootless containers is its own."""

from __future__ import annotations

from pathlib import Path

_SUBUID = Path("/etc/subuid")


def ranges(uid: int, path: Path = _SUBUID) -> tuple[range, ...]:
    """Return the uids that newuidmap(1) lets this account map (subuid(5)); odd lines are skipped."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    names = {str(uid), _name(uid)}
    found = []
    for line in lines:
        name, first, count = ([*line.split(":"), "", ""])[:3]
        if name in names and first.isdecimal() and count.isdecimal() and int(first) > 0:
            found.append(range(int(first), int(first) + int(count)))
    return tuple(found)


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
