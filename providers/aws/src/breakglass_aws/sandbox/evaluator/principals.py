"""Finds how a Principal element names the caller (IAM User Guide "AWS JSON policy elements: Principal")."""

from __future__ import annotations

import enum
import re

from breakglass_aws.sandbox.evaluator.document import ANYONE, Statement
from breakglass_aws.sandbox.evaluator.request import Principal

ACCOUNT = re.compile(r"(?:arn:aws[a-z-]*:iam::)?(\d{12})(?::root)?")


class Named(enum.IntEnum):
    """How closely a statement names the caller; what an Allow of it means depends on that."""

    NOT = 0
    ACCOUNT = 1
    """Its account: the account's own policies decide further."""
    ISSUER = 2
    """The role of the session, or the user behind a federated one: boundary and session policy still
    limit."""
    ITSELF = 3
    """The user, the session, everybody, a service: no implicit deny of boundary or session policy limits."""


def named(statement: Statement, who: Principal) -> Named:
    """Return how a statement of a resource policy names the caller."""
    if statement.principals is not None:
        return max((_how(kind, name, who) for kind, name in statement.principals), default=Named.NOT)
    if statement.not_principals is not None:
        return Named.NOT if _all_excepted(statement.not_principals, who) else Named.ITSELF
    return Named.NOT


def _how(kind: str, name: str, who: Principal) -> Named:
    if kind == ANYONE or (kind == "AWS" and name == ANYONE):
        # "Permissions boundaries and session policies do not limit permissions granted using the
        # aws:PrincipalArn condition key with a wildcard (*) in the Principal element".
        return Named.ITSELF
    if kind == "Service":
        return Named.ITSELF if who.kind == "service" and name == who.arn else Named.NOT
    if kind == "Federated":
        return Named.ITSELF if who.kind == "web" and name in (who.arn, ANYONE) else Named.NOT
    if kind != "AWS" or who.kind in ("service", "web"):
        return Named.NOT
    if name == who.arn or (name == who.userid and name):
        return Named.ITSELF
    if name == who.issuer and name:
        return Named.ISSUER
    found = ACCOUNT.fullmatch(name)
    if found and found[1] == who.account:
        return Named.ITSELF if who.kind == "root" else Named.ACCOUNT
    return Named.NOT


def _all_excepted(names: tuple[tuple[str, str], ...], who: Principal) -> bool:
    """Say whether NotPrincipal spares the caller: account, role and session must all be listed.

    Source: "AWS JSON policy elements: NotPrincipal": "you must also specify the account ARN of the not-denied
    principal", and for a session the role's and the session's.
    """
    if any(ANYONE in one for one in names):
        return True
    found = {_how(kind, name, who) for kind, name in names}
    if who.kind in ("service", "web", "root"):
        return Named.ITSELF in found
    needed = {Named.ACCOUNT, Named.ITSELF} | ({Named.ISSUER} if who.issuer else set())
    return needed <= found
