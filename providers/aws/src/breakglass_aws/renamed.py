"""Finds a user again that was given another name: it keeps its unique id, its keys and its sessions.

``UpdateUser`` renames a user and changes nothing else of it (IAM User Guide, "Renaming an IAM user"). A role
cannot be renamed. So a user that is not there under its name may be alive under another one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from breakglass.errors import Gone
from breakglass.model.resource import Resource
from breakglass_aws.account import Account

T = TypeVar("T")


def name_now(account: Account, unique_id: str) -> str | None:
    """Return the name that the user of this unique id has now; None: there is none of this id.

    Raises:
        ProviderError: the users cannot be listed, so nobody knows.
    """
    if not unique_id:
        return None
    users = account.pages("iam", "list_users", "Users")
    return next((str(one["UserName"]) for one in users if one["UserId"] == unique_id), None)


def arn_now(account: Account, arn: str, unique_id: str) -> str | None:
    """Return the ARN of a user or role that is not there under this one; None: it is really gone.

    A role that was deleted and made again under its name may have another path, and then another ARN.

    Raises:
        ProviderError: it cannot be read.
    """
    kind, _, path = arn.rpartition(":")[2].partition("/")
    name: str | None = path.rpartition("/")[2]
    try:
        if kind == "role":
            return str(account.call("iam", "get_role", RoleName=name)["Role"]["Arn"])
        name = name_now(account, unique_id) or name
        return str(account.call("iam", "get_user", UserName=name)["User"]["Arn"])
    except Gone:
        return None


class Names:
    """The names that users of targets (``user``, ``unique_id``) have now."""

    def __init__(self, account: Account) -> None:
        """Know of no change yet."""
        self._account = account
        self._now: dict[str, str] = {}

    def of(self, resource: Resource) -> str:
        """Return the name under which the user was found last, at first the planned one."""
        return self._now.get(resource.id) or str(resource.params["user"])

    def read(self, resource: Resource, look: Callable[[str], T]) -> T | None:
        """Return what `look` says of the user, under the name that it has now; None: it is gone.

        Raises:
            ProviderError: it cannot be read.
        """
        self._now.pop(resource.id, None)
        try:
            return look(self.of(resource))
        except Gone:
            now = name_now(self._account, str(resource.params.get("unique_id") or ""))
        if now is None:
            return None
        self._now[resource.id] = now
        return look(now)
