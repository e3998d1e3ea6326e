"""Kubernetes Engine v1: clusters, as far as they are looked at; what runs in them is not modelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

TABLE = "container.clusters"
_START = "/google.container.v1.ClusterManager/"


def _get(world: World, call: Call) -> object:
    name = world.normal(call.request.name)
    call.needs("container.clusters.get", name)
    held = world.table(TABLE).get(name)
    if held is None:
        call.fail("NOT_FOUND", f"Not found: {name}.")
    return held


def _make(world: World, asked: Mapping[str, Any]) -> object:
    """Make a cluster, with its workload pool and its nodes' account."""
    from google.cloud import container_v1

    project, location, name = (str(asked[key]) for key in ("project", "location", "cluster"))
    full = f"projects/{project}/locations/{location}/clusters/{name}"
    pool = f"{project}.svc.id.goog" if asked.get("workload_identity", True) else ""
    world.table(TABLE)[full] = container_v1.Cluster(
        name=name,
        location=location,
        id=world.new_id(32),
        endpoint=str(asked.get("endpoint", "192.0.2.10")),
        workload_identity_config={"workload_pool": pool},
        node_config={"service_account": str(asked.get("node_account", "default"))},
        status=container_v1.Cluster.Status.RUNNING,
    )
    return {"name": full}


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {f"{_START}GetCluster": _get}
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], Any]] = {"container.cluster": _make}
