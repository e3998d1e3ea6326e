"""An agent that shares the machine's network is cut by cgroup and user, and the machine is not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from breakglass_host import nft
from breakglass_host.sandbox import obstacle
from tests.backends import need


def test_on_the_machines_own_network_only_the_agent_is_cut() -> None:
    """Matched, never the whole namespace; a neighbour connects; the probe is refused; the rules go."""
    need("host", not obstacle(privileged=True), obstacle(privileged=True))
    need("host", nft.program() is not None, "nft is not installed")
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "providers.host.tests.own_network_a"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)

    assert ["match"] == result["how"]
    assert "contained" == result["cut"]
    assert "connected" == result["neighbour"]
    assert ["contained", "refused_as_agent"] == result["probe"][:2], result["probe"]
    assert ["restored"] == result["restored"]
    assert "" == result["rules_left"]
