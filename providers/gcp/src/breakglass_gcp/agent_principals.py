"""Finds which principals the agent is: service accounts, federated ones, and identities of Agent Engine.

An engine with identityType AGENT_IDENTITY is no service account: its effectiveIdentity is the name of a
principal (Vertex AI reference, ReasoningEngineSpec), and there is nothing to disable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from breakglass.errors import Gone, ProviderError
from breakglass_gcp.actions.account_choice import choose, is_googles, others_of
from breakglass_gcp.found import Found
from breakglass_gcp.messages import text
from breakglass_gcp.project import Project

ACCOUNT = "principal://iam.googleapis.com/projects/-/serviceAccounts/"

_KUBERNETES = re.compile(r"/workloadIdentityPools/([^/]+\.svc\.id\.goog)/subject/ns/([^/]+)/sa/([^/]+)$")


@dataclass(frozen=True, slots=True)
class Principals:
    """Everybody that the agent is in this reach."""

    accounts: tuple[str, ...] = ()
    """E-mail addresses of those that no one else is cut off with, or where that is accepted."""
    undisabled: tuple[str, ...] = ()
    """Those of the accounts that no step can disable: of Google's, and of other projects."""
    others: tuple[str, ...] = ()
    """``principal://...`` and ``principalSet://...``."""
    engines: tuple[str, ...] = ()
    """Those of the others that are identities of Agent Engine."""
    incomplete: tuple[str, ...] = ()

    @property
    def denied(self) -> tuple[str, ...]:
        """Return all of them as deny policies name them (IAM API v2 reference, DenyRule)."""
        return (*(denied_name(one) for one in self.accounts), *self.others)


def denied_name(identity: str) -> str:
    """Return an e-mail address or a principal as deny policies name it."""
    return identity if "://" in identity else f"{ACCOUNT}{identity}"


def member_name(identity: str) -> str:
    """Return an e-mail address or a principal as allow policies name it."""
    return identity if "://" in identity else f"serviceAccount:{identity}"


def member_names(identity: str) -> tuple[str, ...]:
    """Return every name that allow policies may have for an identity.

    GKE documentation, "Workload Identity Federation for GKE": a Kubernetes service account is also
    ``serviceAccount:POOL[NAMESPACE/NAME]``.
    """
    found = _KUBERNETES.search(identity)
    older = (f"serviceAccount:{found[1]}[{found[2]}/{found[3]}]",) if found else ()
    return (member_name(identity), *older)


def pool_start(principal: str) -> str:
    """Return what the names of sets of the same pool or trust domain contain."""
    path = principal.partition("://")[2]
    for mark in ("/subject/", "/attribute.", "/group/", "/*", "/resources/", "/ns/"):
        if mark in path:
            return path.partition(mark)[0]
    return path


def principals(project: Project, found: Found) -> Principals:
    """Read the engines' identities, and join all that the agent is."""
    engines: list[str] = []
    missed: list[str] = []
    for name in found.of("agent_engines"):
        try:
            engines += _engine_identity(project, name)
        except Gone:
            continue
        except ProviderError as error:
            missed.append(f"identity of Agent Engine {name}: {error}"[:500])
    others = tuple(dict.fromkeys((*found.of("principals"), *engines)))
    accounts = tuple(dict.fromkeys((*found.identities, *found.of("service_accounts"))))
    own = {one.email for one in choose(project, found).own}
    ours = tuple(one for one in accounts if one in own or _is_ours(project, found, one))
    return Principals(
        ours,
        tuple(one for one in ours if one not in own),
        others,
        tuple(dict.fromkeys(engines)),
        tuple(missed),
    )


def _is_ours(project: Project, found: Found, email: str) -> bool:
    """Return whether an account that cannot be disabled may lose its rights here.

    A service agent of Google's works for every resource of its service in the project.
    """
    if email == project.me:
        return False
    if email in project.settings.texts("accept_blast_radius"):
        return True
    alone = email in found.identities and not others_of(found, email)
    return alone and not is_googles(project, email)


def _engine_identity(project: Project, name: str) -> tuple[str, ...]:
    location, _, engine = name.partition("/")
    path = f"v1/{project.name}/locations/{location}/reasoningEngines/{engine}"
    seen = project.rest("aiplatform", "GET", path, location=location)
    if text(seen, "spec", "identityType") != "AGENT_IDENTITY":
        return ()
    identity = text(seen, "spec", "effectiveIdentity").removeprefix("principal://")
    return (f"principal://{identity}",) if identity else ()
