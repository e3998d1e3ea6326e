"""Lets an account join an organization by invitation (moto only makes accounts with ids of its own)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.organizations.models import FakeAccount, organizations_backends

from breakglass_aws.sandbox.call import Call, Handler, Refusal

DEFAULT_POLICIES = ("p-FullAWSAccess", "p-RCPFullAWSAccess")
VALID = timedelta(days=15)


@dataclass(frozen=True, slots=True)
class Invitation:
    """A handshake of the kind INVITE."""

    id: str
    management: str
    account: str
    state: str
    asked: datetime

    def described(self) -> dict[str, Any]:
        """Return it as the API does."""
        organization = organizations_backends[self.management]["aws"].org
        place = f"arn:aws:organizations::{self.management}:handshake/{organization.id}"
        return {
            "Handshake": {
                "Id": self.id,
                "Arn": f"{place}/invite/{self.id}",
                "Parties": [
                    {"Id": organization.id, "Type": "ORGANIZATION"},
                    {"Id": self.account, "Type": "ACCOUNT"},
                ],
                "State": self.state,
                "RequestedTimestamp": self.asked,
                "ExpirationTimestamp": self.asked + VALID,
                "Action": "INVITE",
            }
        }


INVITATIONS: dict[str, Invitation] = {}


def invite(call: Call) -> Mapping[str, Any]:
    """Answer InviteAccountToOrganization."""
    backend, target = organizations_backends[call.account]["aws"], call.params["Target"]
    if backend.org is None:
        raise Refusal("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
    account = str(target["Id"])
    if target["Type"] != "ACCOUNT" or account in organizations_backends.master_accounts:
        raise Refusal("HandshakeConstraintViolationException", f"{account} cannot be invited")
    now = datetime.now(UTC).replace(microsecond=0)
    made = Invitation(f"h-{secrets.token_hex(8)}", call.account, account, "OPEN", now)
    INVITATIONS[made.id] = made
    return made.described()


def accept(call: Call) -> Mapping[str, Any]:
    """Answer AcceptHandshake: the account joins at the root, under full access."""
    found = INVITATIONS.get(str(call.params["HandshakeId"]))
    if found is None or found.account != call.account:
        raise Refusal("HandshakeNotFoundException", "We can't find a handshake with that id.")
    if found.state != "OPEN":
        raise Refusal("HandshakeAlreadyInStateException", f"The handshake is {found.state}.")
    backend = organizations_backends[found.management]["aws"]
    email = f"aws+{found.account}@example.com"
    account = FakeAccount(backend.org, AccountName=f"account-{found.account}", Email=email)
    account.id, account.joined_method = found.account, "INVITED"
    backend.accounts.append(account)
    for policy in DEFAULT_POLICIES:
        backend.attach_policy(PolicyId=policy, TargetId=account.id)
    organizations_backends.master_accounts[account.id] = (found.management, "aws")
    INVITATIONS[found.id] = made = replace(found, state="ACCEPTED")
    return made.described()


def forget() -> None:
    """Forget invitations and who is whose member; moto's reset leaves the latter."""
    INVITATIONS.clear()
    organizations_backends.master_accounts.clear()


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("organizations", "InviteAccountToOrganization"): invite,
    ("organizations", "AcceptHandshake"): accept,
}
RESETS: tuple[Callable[[], None], ...] = (forget,)
