"""Stops an agent on a machine that lacks something, or that maps uids; prints one JSON.

``unshare --mount python -m providers.host.tests.lacking_review WHAT FOLDER SETTINGS``, so that nobody else
misses anything. WHAT is nft, cgroup, or the path of a file to put in place of /etc/subuid.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from breakglass.canon import Json
from breakglass.errors import Denied
from breakglass_host import cgroup, nft
from providers.host.tests.rig_a import carry_out, connect
from providers.host.tests.test_a_refusals import step_of


def take_away(what: str) -> None:
    """Change what this process alone sees."""
    if what == "nft":
        program = nft.program()
        assert program is not None
        subprocess.run(["mount", "--bind", "/dev/null", str(Path(program).resolve())], check=True)
        assert nft.program() is None
    elif what.startswith("/"):
        subprocess.run(["mount", "--bind", what, "/etc/subuid"], check=True)
    else:
        while (hierarchy := cgroup.find()) is not None:
            subprocess.run(["umount", hierarchy.mount], check=True)


def main() -> None:
    """Plan, check, carry out every step of the tree in the order of the plan."""
    what, folder, settings = sys.argv[1:]
    take_away(what)
    provider, _ = connect(Path(folder), json.loads(settings))
    found = provider.discover()
    tree_steps = [one for one in found.proposals if one.target.kind in ("process-tree", "network")]
    findings = provider.preflight([step_of(one.target, one.action) for one in tree_steps])
    ended: dict[str, Json] = {}
    for one in tree_steps:
        try:
            judged, _ = carry_out(provider, one)
            ended[one.action] = [judged.verdict.value, judged.grade.value, judged.reason]
        except Denied as error:
            ended[one.action] = ["denied", "none", error.what]
    provider.close()
    result: dict[str, Json] = {
        "steps": ended,
        "refused": [one.message for one in findings if not one.ok],
        "not_touched": [one.resource for one in found.not_touched],
        "doors": [one.door.name for one in found.doors],
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
