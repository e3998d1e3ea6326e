"""The executor's own name and groups, as the server sees them."""

from __future__ import annotations

from dataclasses import dataclass

from breakglass.errors import ProviderError
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.objects import items, part, text

SELF_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@dataclass(frozen=True, slots=True)
class Me:
    """Who the executor is here."""

    name: str
    groups: tuple[str, ...]


def whoami(cluster: Cluster) -> Me:
    """Ask the server (SelfSubjectReview, 1.28 and later; every identity may).

    Raises:
        ProviderError: it does not answer.
    """
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    said = part(cluster.ask("POST", SELF_REVIEWS, body=body), "status", "userInfo")
    if not (name := text(said, "username")):
        raise ProviderError("does not say who the executor is", where=cluster.where)
    return Me(name, tuple(str(one) for one in items(said, "groups")))
