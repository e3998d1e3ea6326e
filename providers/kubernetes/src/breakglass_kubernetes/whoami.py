"""The executor's own name and groups, as the server sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from breakglass.errors import ProviderError
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.objects import items, part, text
from breakglass_kubernetes.own_name import own_name
from breakglass_kubernetes.refusals import CredentialsExpired

SELF_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@dataclass(frozen=True, slots=True)
class Me:
    """Who the executor is here."""

    name: str
    groups: tuple[str, ...]
    pod: str = ""
    """``NS/NAME`` of the pod that its token is bound to; empty: none, or not known."""

    @property
    def account(self) -> str:
        """Return ``NS/NAME`` where it is a service account; else empty."""
        kind, _, rest = self.name.partition(":serviceaccount:")
        namespace, _, name = rest.partition(":")
        return f"{namespace}/{name}" if kind == "system" and namespace and name else ""


def whoami(cluster: Cluster) -> Me:
    """Ask the server (SelfSubjectReview, 1.28 and later; every identity may).

    A webhook can refuse that: then its own credential tells, or the name stays empty.

    Raises:
        ProviderError: the credential is refused, or the server tells no name.
    """
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        said = part(cluster.ask("POST", SELF_REVIEWS, body=body), "status", "userInfo")
    except CredentialsExpired:
        raise
    except ProviderError:
        return Me(*own_name(cluster.shown))
    if not (name := text(said, "username")):
        raise ProviderError("does not say who the executor is", where=cluster.where)
    me = Me(name, tuple(str(one) for one in items(said, "groups")))
    # What a bound token adds (Kubernetes documentation, "Managing Service Accounts", "Bound tokens").
    pods = items(said, "extra", "authentication.kubernetes.io/pod-name")
    namespace = me.account.partition("/")[0]
    return replace(me, pod=f"{namespace}/{pods[0]}") if namespace and pods else me
