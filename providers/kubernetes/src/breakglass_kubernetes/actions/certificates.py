"""Names the client certificates and logins of the agent's users: no step can end these.

kube-apiserver knows no revocation list (Kubernetes documentation, "Good practices for Kubernetes RBAC", and
kubernetes/kubernetes issue 18982). Unbinding takes the rights of the name, and of its groups where the
inventory gives them; which others a certificate carries is only known where its request still lies in the
cluster (approved ones are cleaned up after an hour: "Certificates and Certificate Signing Requests").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import Proposed, ProposedDoor
from breakglass_kubernetes.actions.account_choice import Choice
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, name_of, text
from breakglass_kubernetes.rbac import Rbac, acts
from breakglass_kubernetes.subjects import AUTHENTICATED, MASTERS, Who, who_is

REQUESTS = Kind(
    "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", namespaced=False
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A client certificate that the cluster issued and that still holds."""

    request: str
    user: str
    groups: frozenset[str]
    until: str


def proposed(cluster: Cluster, choice: Choice, rbac: Rbac) -> Proposed:
    """Return a door for each user, and for each certificate in an account's name."""
    users = dict.fromkeys(choice.scope.users)
    names = {**users, **dict.fromkeys(who_is(one).user for one in choice.accounts)}
    if not names:
        return Proposed()
    incomplete: tuple[str, ...] = ()
    issued: list[Issued] = []
    try:
        now = datetime.fromtimestamp(cluster.connection.clock.now().epoch_ms / 1000, UTC)
        bodies = cluster.every(REQUESTS)
        issued = [one for body in bodies if (one := read(body, now)) is not None and one.user in names]
    except ProviderError as error:
        if users:
            incomplete = (f"certificate signing requests: {error.what}"[:500],)
    doors = [_door(one.user, [one], choice, rbac) for one in issued]
    known = {one.user for one in issued}
    doors += [_door(user, [], choice, rbac) for user in users if user not in known]
    return Proposed(doors=tuple(doors), incomplete=incomplete)


def _door(user: str, issued: Sequence[Issued], choice: Choice, rbac: Rbac) -> ProposedDoor:
    reason = "its client certificates and logins cannot be revoked here; which groups they give is not known"
    verdict, kind = Verdict.UNKNOWN, DoorKind.CREDENTIAL_WITHHELD
    name = f"user {user}"
    for one in issued:
        name = f"certificate {one.request} of user {user}"
        groups = one.groups - set(choice.scope.groups)
        reason = f"valid until {one.until} and not to be revoked; unbinding takes the rights of its name"
        if worst := sorted(_acting(groups, rbac)):
            verdict, kind = Verdict.NOT_CONTAINED, DoorKind.PRIVILEGED
            reason = f"valid until {one.until}, and its groups keep their rights: {', '.join(worst)}"
    remedy = (
        "take every right of the name and its groups away; renew the cluster's client CA to end it at once"
    )
    return ProposedDoor(Door(kind, name[:200], reason[:500], remedy, "", (), verdict))


def _acting(groups: frozenset[str], rbac: Rbac) -> Iterator[str]:
    """Yield the groups by which somebody may do more than look."""
    for group in groups:
        held = rbac.grants(Who("", frozenset((group,))))
        if group == MASTERS or any(acts(rule) for grant in held for rule in grant.rules):
            yield group


def read(body: Body, now: datetime) -> Issued | None:
    """Return the client certificate of a signing request; None: none was issued, or it is over."""
    import base64
    import binascii

    from cryptography import x509
    from cryptography.x509.oid import NameOID

    data = text(body, "status", "certificate")
    if not data:
        return None
    try:
        found = x509.load_pem_x509_certificate(base64.b64decode(data))
        subject: Mapping[str, list[str]] = {
            oid.dotted_string: [str(one.value) for one in found.subject.get_attributes_for_oid(oid)]
            for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        }
    except (ValueError, binascii.Error):
        return None
    names = subject[NameOID.COMMON_NAME.dotted_string]
    if not names or found.not_valid_after_utc <= now:
        return None
    groups = frozenset((*subject[NameOID.ORGANIZATION_NAME.dotted_string], AUTHENTICATED))
    return Issued(name_of(body), names[0], groups, f"{found.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")
