"""Names of units: which are well formed, which nobody may stop, and which cgroup each has.

systemd.unit(5): ASCII letters, digits, ``:-_.``, the backslash, one ``@`` before an instance, a known suffix,
and no more than 255 characters.
"""

from __future__ import annotations

import fnmatch
import re

WORKLOADS = frozenset({"service", "scope", "slice"})
TRIGGERS = frozenset({"timer", "socket", "path"})
_SUFFIXES = WORKLOADS | TRIGGERS | {"device", "mount", "automount", "swap", "target"}
_NAME = re.compile(r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\@-]*)?\.([a-z]+)")
_MAX = 255
_VITAL = (
    "init.scope",
    "-.slice",
    "system.slice",
    "user.slice",
    "machine.slice",
    "systemd-*",
    "system-systemd*",
    "dbus.*",
    "dbus-*",
    "ssh.*",
    "ssh@*",
    "sshd.*",
    "sshd@*",
    "sshd-*",
    "system-ssh*",
    "cron.*",
    "crond.*",
    "atd.*",
    "getty@*",
    "serial-getty@*",
    "console-getty.*",
    "user@0.service",
    "user-0.slice",
)


def complaint(name: str) -> str:
    """Say why a name is not that of a unit; empty: it is."""
    found = _NAME.fullmatch(name)
    if found is None or len(name) > _MAX:
        return "is not the name of a unit (systemd.unit(5))"
    if found[2] not in _SUFFIXES:
        return f"does not end in one of {', '.join(sorted(_SUFFIXES))}"
    return ""


def suffix(name: str) -> str:
    """Return the type of a unit by its name."""
    return name.rpartition(".")[2]


def is_template(name: str) -> bool:
    """Return True for ``bot@.service``."""
    return name.rpartition(".")[0].endswith("@") and name.count("@") == 1


def instance_of(name: str, template: str) -> bool:
    """Return True for an instance of a template, not for the template itself."""
    head, _, tail = template.rpartition("@")
    return name != template and name.startswith(f"{head}@") and name.endswith(tail) and not is_template(name)


def template_of(name: str) -> str:
    """Return the template of an instance; empty: it is none."""
    head, at, rest = name.partition("@")
    return f"{head}@.{suffix(name)}" if at and not rest.startswith(".") else ""


def vital(name: str) -> str:
    """Say why nobody may stop a unit of this name, whoever calls it the agent's; empty: it may be."""
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in _VITAL):
        return "the machine, or the operators' way into it, depends on it"
    return ""


def slice_path(name: str) -> str:
    """Return the cgroup of a slice: ``a-b.slice`` lies in ``a.slice`` (systemd.slice(5))."""
    if name == "-.slice":
        return ""
    parts = name.removesuffix(".slice").split("-")
    return "".join(f"/{escaped('-'.join(parts[: n + 1]) + '.slice')}" for n in range(len(parts)))


def escaped(name: str) -> str:
    """Return the name of a unit's folder: what would read like a file of the kernel's gets a ``_`` in front.

    Source: systemd, src/basic/cgroup-util.c, cg_escape(); the same rule stands in its CGROUP_DELEGATION text.
    """
    is_kernels = name[:1] in "_." or name in ("notify_on_release", "release_agent", "tasks")
    head = name.partition(".")[0]
    controllers = {"cgroup", "cpu", "cpuacct", "cpuset", "io", "blkio", "memory", "devices", "pids", "misc"}
    return f"_{name}" if is_kernels or head in controllers else name
