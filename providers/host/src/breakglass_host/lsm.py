"""Says which security module may stand behind a refusal: the kernel gives the same errno for all."""

from __future__ import annotations

from pathlib import Path


def enforcing(root: str = "/") -> str:
    """Name the module that is enforcing over this process; empty: none that says so.

    Source: selinux(8), /sys/fs/selinux/enforce; aa_getcon(2), /proc/self/attr/current of AppArmor, whose
    answer ends in the mode of the profile.
    """
    if _line(Path(root, "sys/fs/selinux/enforce")) == "1":
        return "SELinux is enforcing here"
    for path in ("proc/self/attr/apparmor/current", "proc/self/attr/current"):
        if (found := _line(Path(root, path))).endswith(" (enforce)"):
            return f"AppArmor holds this process in {found.removesuffix(' (enforce)')[:100]}"
    return ""


def _line(path: Path) -> str:
    try:
        return path.read_bytes().rstrip(b"\0\n").decode("ascii", "backslashreplace")
    except OSError:
        return ""
