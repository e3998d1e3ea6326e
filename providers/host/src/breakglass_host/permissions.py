"""What the executor needs on a host, and how to see whether it has it."""

from __future__ import annotations

import os

from breakglass_host import cgroup, nft


def missing() -> dict[str, str]:
    """Return what this host or this account lacks, and what is done instead; empty: nothing."""
    found = {}
    if cgroup.find() is None:
        found["cgroup v2"] = "not mounted: a signal loop is used instead of freeze and kill"
    elif cgroup.writable() is None:
        found["root"] = "cgroup v2 is not ours to write: a signal loop is used instead of freeze and kill"
    if nft.program() is None:
        found["nft"] = "not installed: egress is not cut; only the end of all processes makes that moot"
    if not os.access("/proc/1", os.R_OK):
        found["/proc"] = "other users' processes are hidden (hidepid): what is read may be incomplete"
    return found
