"""Makes workload identity pools for the tests."""

from __future__ import annotations

import time

from breakglass.errors import Gone
from breakglass_gcp.calls import Calls

_MADE_S = 60.0


def make_pool(owner: Calls, project: str, pool: str) -> None:
    """Make a pool and wait until its operation has put it there."""
    parent = f"v1/projects/{project}/locations/global/workloadIdentityPools"
    query = {"workloadIdentityPoolId": pool}
    owner.rest("iam_rest", "POST", parent, query=query, body={"displayName": pool})
    end = time.monotonic() + _MADE_S
    while not _there(owner, f"{parent}/{pool}"):
        assert time.monotonic() < end, f"no pool {pool} after {_MADE_S:.0f} s"
        time.sleep(0.02)


def _there(owner: Calls, path: str) -> bool:
    try:
        owner.rest("iam_rest", "GET", path)
    except Gone:
        return False
    return True
