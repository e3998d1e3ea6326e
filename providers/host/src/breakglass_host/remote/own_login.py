"""Says when an agent runs as the account that we log in with: it could answer in the machine's place.

Such an agent can change what its own login shell does, before sudo. The inventory is refused where it names
one account for both; here is what else can be seen while the agent does not lie yet.
"""

from __future__ import annotations

import os
from dataclasses import replace

from breakglass.canon import JsonObject
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import Discovery, ProposedDoor
from breakglass_host import membership, procfs


def warned(found: Discovery, settings: JsonObject, incident: str) -> Discovery:
    """Return the discovery with an open door where the login is the agent's account too."""
    login = os.environ.get("SUDO_UID", "")
    uid = int(login) if login.isascii() and login.isdecimal() else os.getuid()
    if uid == 0 or not any(uid in procfs.uids(one.pid) for one in membership.members(settings, incident)):
        return found
    door = Door(
        DoorKind.PRIVILEGED,
        f"user {uid}, which breakglass logs in as",
        "the agent runs as that account too, and can answer in this machine's place",
        "log in with an account that is not the agent's",
        "whoever runs this host",
        (),
        Verdict.UNKNOWN,
    )
    return replace(found, doors=(*found.doors, ProposedDoor(door)))
