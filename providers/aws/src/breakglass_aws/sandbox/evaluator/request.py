"""Says who asks for what: the request context (IAM User Guide "The request context")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Values = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, by every name that a Principal element can hold."""

    kind: str
    """``user``, ``role`` (a session of it), ``root``, ``federated`` (a session of a user), ``service``,
    ``web`` (federated by a provider of identities, without AWS credentials)."""
    arn: str
    """The session's ARN for a session; a service's or provider's name for those."""
    account: str
    issuer: str = ""
    """ARN of the role of a session, or of the user of a federated one."""
    userid: str = ""
    service_linked: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One action on one resource."""

    principal: Principal
    action: str
    resource: str
    resource_account: str
    context: Mapping[str, Values] = field(default_factory=dict)
    """Keys in lower case (IAM: "Condition key names are not case-sensitive")."""

    def values(self, key: str) -> Values | None:
        """Return the values of a key; None where the request has none."""
        return self.context.get(key.lower())


def context(keys: Mapping[str, str | Values]) -> Mapping[str, Values]:
    """Return keys and values as a request holds them."""
    return {key.lower(): (value,) if isinstance(value, str) else tuple(value) for key, value in keys.items()}
