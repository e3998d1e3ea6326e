"""An agent in the network namespace that the executor is in, as on most machines; prints one JSON.

Run under ``unshare --net``: what is "the machine's network" here is nobody else's.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from breakglass.canon import Json
from breakglass_host import cgroup, nft
from breakglass_host.visible import make_visible
from providers.host.tests.rig_a import ROGUE, carry_out, connect, proposal

FREEZE, KILL, CUT = "host.cgroup.freeze_tree", "host.cgroup.kill_tree", "host.nft.cut_egress"
UID = 64_996
PATH = f"/breakglass-drill/own-network-{os.getpid()}"


@contextmanager
def agent_here(folder: Path, port: int) -> Iterator[None]:
    """Run a streaming rogue in a cgroup of its own, as its own user, in our network namespace."""
    hierarchy = cgroup.writable()
    assert hierarchy is not None
    hierarchy.create(PATH)
    (folder / "rogue_a.py").write_bytes(ROGUE.read_bytes())
    make_visible([sys.base_prefix, sys.prefix, str(folder)], UID)
    script = (
        'echo $$ > "$0/cgroup.procs"; exec setpriv --reuid=$1 --regid=$1 --clear-groups --no-new-privs \\\n'
    )
    script += '  --inh-caps=-all --bounding-set=-all "$2" "$3" stream "127.0.0.1-$4"'
    arguments = [hierarchy.folder(PATH), str(UID), sys.executable, str(folder / "rogue_a.py"), str(port)]
    with subprocess.Popen(["sh", "-c", script, *arguments]) as child:
        try:
            yield
        finally:
            child.kill()
            for path in (
                PATH,
                *(f"/{hold.name}" for hold in Path(hierarchy.mount).glob("breakglass-own-network-*")),
            ):
                hierarchy.kill(path)
                hierarchy.await_events(path, within_s=5, frozen=False)
                hierarchy.remove(path)


def main() -> None:
    """Cut, freeze, kill, probe, restore; say what a neighbour saw meanwhile."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's own folder is closed to the agent's user
        Path(name).chmod(0o755)
        _run(Path(name))


def _run(folder: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with socket.create_server(("127.0.0.1", 0)) as listener, agent_here(folder, listener.getsockname()[1]):
        listener.settimeout(20)
        stream, _ = listener.accept()
        settings = {"host": "local", "cgroup": PATH, "user": str(UID)}
        provider, _ = connect(folder, settings, "own-network")
        found = provider.discover()
        cut = proposal(found, CUT)
        judged, before = carry_out(provider, cut)
        with socket.create_connection(listener.getsockname(), timeout=5):
            neighbour = "connected"
        for name in (FREEZE, KILL):
            carry_out(provider, proposal(found, name))
        action = provider.actions[CUT]
        probed = action.probe(cut.target)
        assert probed is not None
        back = action.revert(cut.target, before, action.observe(cut.target))
        rules = subprocess.run([nft.program() or "nft", "list", "ruleset"], capture_output=True, check=True)
        freeze = proposal(found, FREEZE).target
        seen = provider.actions[FREEZE].observe(freeze)
        provider.actions[FREEZE].revert(freeze, seen, seen)
        stream.close()
        nets = cut.target.params["nets"]
        result: dict[str, Json] = {
            "how": [str(one.get("how")) for one in nets if isinstance(one, dict)]
            if isinstance(nets, list)
            else [],
            "cut": judged.verdict.value,
            "probe": [probed.verdict.value, probed.grade.value, probed.reason],
            "neighbour": neighbour,
            "restored": [one.value for one in back.objects.values()],
            "rules_left": rules.stdout.decode(),
        }
        sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
