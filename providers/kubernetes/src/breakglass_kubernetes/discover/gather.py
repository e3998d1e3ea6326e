"""Gathers what is the agent's: what the inventory names, and what carries its label."""

from __future__ import annotations

from breakglass.provider import Proposed
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.ownership import read
from breakglass_kubernetes.scope import Scope
from breakglass_kubernetes.whoami import Me


def gather(cluster: Cluster, me: Me) -> tuple[Found, Proposed]:
    """Return what was found, and what is to be said of it. Raises ProviderError."""
    settings = cluster.settings
    own = settings.flag("own_namespace")
    scope = Scope(
        agent=cluster.connection.agent.name,
        namespaces=settings.namespaces,
        selector=settings.text("selector"),
        own=settings.namespaces if own else (),
        workloads=settings.texts("workloads"),
        accounts=settings.texts("service_accounts"),
        users=settings.texts("users"),
        groups=settings.texts("groups"),
        made_by=settings.texts("field_managers"),
    )
    return Found(scope, read(cluster, scope), user=me.name, user_groups=me.groups), Proposed()
