"""Finds what the agent is, uses and is driven by in one cluster; each part proposes its own."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.provider import Discovery, Notes, Proposed
from breakglass_kubernetes import parts
from breakglass_kubernetes.actions.webhooks import first
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.discover.calls import with_calls
from breakglass_kubernetes.discover.compose import in_order_of_undo
from breakglass_kubernetes.discover.gather import gather
from breakglass_kubernetes.pinned import pin_proposal
from breakglass_kubernetes.whoami import Me


def discover(cluster: Cluster, me: Me, pin: Mapping[str, Json]) -> Discovery:
    """Join what the parts propose for all that is the agent's here."""
    gathered = gather(cluster, me)
    found, proposed = gathered.found, gathered.proposed
    notes = Notes()
    for propose in parts.PROPOSE:
        proposed = proposed.plus(
            notes.attempt(lambda propose=propose: propose(cluster, found), Proposed())  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        )
    ordered = in_order_of_undo(first(proposed.proposals))
    return Discovery(
        scope=f"kubernetes {cluster.settings.server}",
        principals=gathered.principals,
        proposals=tuple(pin_proposal(one, pin) for one in with_calls(ordered, found)),
        doors=proposed.doors,
        not_touched=proposed.not_touched,
        endpoints=(cluster.settings.server,) if cluster.settings.flag("sandbox") else (),
        incomplete=(*proposed.incomplete, *notes.incomplete),
    )
