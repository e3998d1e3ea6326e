"""Says what the agent made that goes on without it: bindings of others, tokens, certificates."""

from __future__ import annotations

from breakglass_kubernetes.discover.claims import Claims
from breakglass_kubernetes.kinds import CLUSTER_ROLE_BINDINGS, Kind
from breakglass_kubernetes.objects import Body, bodies, name_of, namespace_of, text
from breakglass_kubernetes.scope import Scope

ACCOUNT = "system:serviceaccount:"
CERTIFICATES = Kind(
    "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", namespaced=False
)
_TOKEN_OF = "kubernetes.io/service-account.name"  # noqa: S105 - an annotation's name


def binding(scope: Scope, claims: Claims, kind: Kind, body: Body, why: str) -> None:
    """Keep open whom a binding of the agent's gives rights to, where that is somebody else."""
    namespace = namespace_of(body)
    others = [
        _subject(one, namespace) for one in bodies(body, "subjects") if not _is_ours(scope, one, namespace)
    ]
    if others:
        key = kind.key(namespace, name_of(body))
        role = text(body, "roleRef", "name")
        where = "the whole cluster" if kind == CLUSTER_ROLE_BINDINGS else f"namespace {namespace}"
        claims.befriend(
            key,
            f"{why}: in {where} it gives the role {role} to {_some(others)}, who may act for the agent",
            "take the binding away by hand if nobody else needs it; find out who they are",
        )


def token_secret(scope: Scope, claims: Claims, body: Body, why: str) -> None:
    """Keep open a lasting token of an account that is not the agent's, in a Secret that it made."""
    name = text(body, "metadata", "annotations", _TOKEN_OF)
    owner = f"{namespace_of(body)}/{name}"
    if name and not scope.is_account(owner):
        minted(
            claims, owner, f"secrets/{namespace_of(body)}/{name_of(body)}: {why}; a token of it lies in it"
        )


def minted(claims: Claims, account: str, why: str) -> None:
    """Keep open the account whose token the agent got for itself."""
    claims.befriend(
        f"token of serviceaccounts/{account}",
        f"{why}: the agent may act as that account, and no step of this plan cuts it",
        "name it in service_accounts (accept_blast_radius where others use it), and make a new plan",
    )


def certificates(scope: Scope, claims: Claims, found: list[Body]) -> None:
    """Keep open what certificates the agent was given: no cluster can revoke one."""
    for body in found:
        who = text(body, "spec", "username")
        given = bool(text(body, "status", "certificate"))
        if given and is_identity(scope, who):
            subject = _subject_of(text(body, "spec", "request"))
            claims.befriend(
                f"certificate {CERTIFICATES.name}/{name_of(body)}",
                f"{who} was given a client certificate for {subject}: nothing revokes it before it ends",
                "take every right of that name away; replace the cluster's client CA if it must end at once",
            )


def is_identity(scope: Scope, user: str) -> bool:
    """Return whether a user name is one of the agent's."""
    if user.startswith(ACCOUNT):
        return scope.is_account(user.removeprefix(ACCOUNT).replace(":", "/", 1))
    return user in scope.users


def _is_ours(scope: Scope, subject: Body, namespace: str) -> bool:
    name = text(subject, "name")
    match text(subject, "kind"):
        case "ServiceAccount":
            return scope.is_account(f"{text(subject, 'namespace') or namespace}/{name}")
        case "Group":
            return name in scope.groups
        case _:
            return is_identity(scope, name)


def _subject(subject: Body, namespace: str) -> str:
    kind, name = text(subject, "kind"), text(subject, "name")
    if kind == "ServiceAccount":
        return f"serviceaccounts/{text(subject, 'namespace') or namespace}/{name}"
    return f"{kind.lower()} {name}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""  # noqa: PLR2004 - as many as one reads
    return ", ".join(names[:5]) + more


def _subject_of(request: str) -> str:
    """Return the name and groups that a request asks for (RFC 2986); in words where it cannot be read."""
    import base64
    import binascii

    from cryptography import x509

    try:
        found = x509.load_pem_x509_csr(base64.b64decode(request)).subject
    except (ValueError, binascii.Error):
        return "a name that cannot be read"
    return found.rfc4514_string()[:200] or "no name"
