"""Writes and reads the nftables rules that cut an agent's traffic: one table for each incident.

A cgroup is matched by its inode, resolved when the rule is loaded: a cgroup that is made again escapes, so
the inode stands in the rule's comment and is compared. The path is resolved under /sys/fs/cgroup while the
level counts from the v2 root. nft 1.0.6 takes one statement a line and nothing after ``reject`` on a line
that closes a block.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass

from breakglass_host import subuid
from breakglass_host.cgroup import Hierarchy
from breakglass_host.tree import Tree

_COMMENT = re.compile(r'comment "(breakglass [^"]*)"')


@dataclass(frozen=True, slots=True)
class Selector:
    """Whose packets are refused."""

    match: str
    """In nft's words; empty: everybody's."""
    comment: str


WHOLE = Selector("", "breakglass whole")
_ANSWERS = "tcp flags & rst == rst counter accept"
"""A refusal passes the output hook itself, and so does what tells a peer that its connection was destroyed;
without this the agent, and its peers, would wait."""


def program() -> str | None:
    """Return the path of nft, which an ordinary user may not have on PATH; None: not installed."""
    return shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def table_name(incident: str) -> str:
    """Return the table of an incident."""
    return "breakglass_" + re.sub(r"[^A-Za-z0-9]", "_", incident)


def selectors(wanted: Tree, hierarchy: Hierarchy | None) -> tuple[Selector, ...]:
    """Return what matches the agent by the cgroup and the user that are its alone."""
    found = []
    if wanted.cgroup and hierarchy is not None and (inode := hierarchy.inode(wanted.cgroup)):
        level = wanted.cgroup.count("/")
        match = f'socket cgroupv2 level {level} "{hierarchy.rule_path(wanted.cgroup)}"'
        found.append(Selector(match, f"breakglass cgroup {inode}"))
    if wanted.uid is not None:
        found.append(Selector(f"meta skuid {wanted.uid}", f"breakglass user {wanted.uid}"))
        for one in subuid.ranges(wanted.uid):
            words = f"{one.start}-{one.stop - 1}"
            found.append(Selector(f"meta skuid {words}", f"breakglass users {words}"))
    return tuple(found)


def arm_script(table: str, chain: str, wanted: tuple[Selector, ...]) -> str:
    """Return the script that makes the chain hold exactly these rules, in one transaction."""
    lines = [
        f"add table inet {table}",
        f"add chain inet {table} {chain} {{ type filter hook output priority -10; policy accept; }}",
        f"flush chain inet {table} {chain}",
    ]
    for one in wanted:
        for verdict in (_ANSWERS, "meta l4proto tcp counter reject with tcp reset", "counter reject"):
            words = f"{one.match} {verdict}".strip()
            lines.append(f'add rule inet {table} {chain} {words} comment "{one.comment}"')
    return "\n".join(lines) + "\n"


def disarm_script(table: str, chain: str, *, last: bool) -> str:
    """Return the script that removes the chain, and the table with its last chain."""
    return f"delete table inet {table}\n" if last else f"delete chain inet {table} {chain}\n"


def armed(listing: str) -> tuple[str, ...] | None:
    """Return the comments of the rules in a listed chain; None when a rule is not ours."""
    rules = [line.strip() for line in listing.splitlines() if "counter" in line or "reject" in line]
    found = [match[1] for line in rules if (match := _COMMENT.search(line))]
    return tuple(dict.fromkeys(found)) if len(found) == len(rules) else None
