"""Connects to one cluster: the kubeconfig, the cluster's identity, the executor's own name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from breakglass.canon import Json
from breakglass.errors import Denied, Gone, ProviderError, Unreachable, UsageError
from breakglass.model.plan import Step
from breakglass.provider import Action, Budget, Connection, Discovery, Finding
from breakglass_kubernetes import parts
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.credential import Credential
from breakglass_kubernetes.discover import discover
from breakglass_kubernetes.kinds import NAMESPACES
from breakglass_kubernetes.kubeconfig import Context, Identity, ca_der, read, read_file
from breakglass_kubernetes.objects import Body, part, text, uid_of
from breakglass_kubernetes.pace import BURST, PER_S
from breakglass_kubernetes.pinned import Pinned
from breakglass_kubernetes.preflight import preflight
from breakglass_kubernetes.refusals import CredentialsExpired
from breakglass_kubernetes.settings import KubernetesSettings
from breakglass_kubernetes.whoami import Me, whoami

SANDBOX_MARK = "breakglass.dev/sandbox"


def warm(connection: Connection) -> Callable[[], KubernetesProvider]:
    """Read the kubeconfig; what it returns calls the server, and looks which cluster it is.

    Raises:
        UsageError: a sandbox stands in a real plan.
        Denied: there is no credential; from the second half also: it is refused, or this is another cluster.
        Unreachable: from the second half: nobody answers.
    """
    settings = KubernetesSettings.of(connection.reach.settings)
    if settings.flag("sandbox") and not connection.drill:
        raise UsageError("sandbox is for a drill only", where=connection.reach.where)
    context = _context(settings, connection)
    again: Callable[[], Identity] = lambda: _context(settings, connection).identity  # noqa: E731 - read anew
    credential = Credential(context.identity, connection.clock, where=f"context {context.name}", again=again)
    cluster = Cluster(settings, connection, context, credential)

    def meet() -> KubernetesProvider:
        _check_cluster(cluster, drill=connection.drill)
        return KubernetesProvider(cluster, whoami(cluster))

    return meet


class KubernetesProvider:
    """One cluster, connected."""

    def __init__(self, cluster: Cluster, me: Me) -> None:
        """Act in a cluster that was looked at, as this name."""
        self._cluster, self._me = cluster, me
        pin = self.pin
        actions = (make(self._cluster) for make in parts.ACTION_CLASSES)
        self._actions: Mapping[str, Action] = {made.spec.name: Pinned(made, pin) for made in actions}

    @property
    def pin(self) -> Mapping[str, Json]:
        """Return what says which cluster this is; every target of a plan carries it."""
        settings = self._cluster.settings
        return {
            "server": settings.server,
            "uid": settings.cluster_uid,
            "ca": ca_digest(self._cluster.context.ca_pem),
        }

    @property
    def cluster(self) -> Cluster:
        """Return the executor's calls."""
        return self._cluster

    @property
    def actions(self) -> Mapping[str, Action]:
        """Return the actions by name."""
        return self._actions

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """Return the client's limit: plans reckon with it, and `Pace` holds every call to it."""
        return {"": Budget(PER_S, int(BURST))}

    def discover(self) -> Discovery:
        """Find what the agent is, uses and is driven by here."""
        return discover(self._cluster, self._me, self.pin)

    def preflight(self, steps: Sequence[Step]) -> Sequence[Finding]:
        """Ask the server whether the executor may do each step, and refuse its own branch."""
        return preflight(self._cluster, self._me, steps)

    def close(self) -> None:
        """Let go of connections."""
        self._cluster.close()


def ca_digest(pem: bytes) -> str:
    """Return the sha256 of the CA certificates, however the file is wrapped; empty for the system's roots."""
    return hashlib.sha256(ca_der(pem, where="certificate-authority")).hexdigest() if pem else ""


def _context(settings: KubernetesSettings, connection: Connection) -> Context:
    """Return the executor's context, once it is certain that it means the signed server and CA."""
    if name := settings.text("credential"):
        where, folder = f"credential {name}", None
        data = connection.credentials.secret(name)
    else:
        path = Path(settings.text("kubeconfig") or "~/.kube/config").expanduser()
        where, folder = f"kubeconfig {path}", path.parent
        data = read_file(path, "the executor's kubeconfig", where=where)
    context = read(data, settings.text("as"), where=where, folder=folder)
    if context.server != settings.server:
        raise Denied(
            f"context {context.name} means {context.server}, and the plan means {settings.server}",
            where=where,
        )
    wanted, found = settings.text("ca_sha256"), ca_digest(context.ca_pem)
    if wanted and wanted != found:
        raise Denied(
            f"context {context.name} trusts another certificate authority: {found or 'any of the system'}",
            where=where,
            remedy="a renewed one must be looked at, and written into the inventory",
        )
    return context


def _check_cluster(cluster: Cluster, *, drill: bool) -> None:
    """Look whether this is the cluster that is meant, and whether it is a sandbox exactly if it must be."""
    settings = cluster.settings
    try:
        system: Body = cluster.get(NAMESPACES, "", "kube-system")
    except (Denied, Gone):
        raise
    except CredentialsExpired as error:
        raise Denied(error.what, where=error.where, remedy="renew it, and try again") from error
    except ProviderError as error:
        raise Unreachable(f"the API server {error.what}", where=cluster.where, remedy="try again") from error
    if (found := uid_of(system)) != settings.cluster_uid:
        raise Denied(
            f"this is another cluster: kube-system is {found}, and the plan means {settings.cluster_uid}",
            where=cluster.where,
        )
    marked = text(part(system, "metadata"), "annotations", SANDBOX_MARK) == "true"
    if marked and not (drill and settings.flag("sandbox")):
        raise Denied("this cluster is a sandbox, and the reach does not say so", where=cluster.where)
    if settings.flag("sandbox") and not marked:
        raise Denied("this cluster is no sandbox, and the reach says that it is one", where=cluster.where)
