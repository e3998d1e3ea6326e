"""Gives the rights of a disabled account to its successor, so that it can stay disabled for good.

Only the project's own allow policy is copied, binding by binding with its condition: what single resources
grant (a bucket, a topic, another account) is theirs to copy by hand, and the answer says so. What is handed
over is signed with the stop, and so is to whom: what somebody granted the dead account since, or an account
that took the successor's address since, gets nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Denied, Gone, ProviderError
from breakglass_gcp.policies import LAST, grants, with_back
from breakglass_gcp.policy_writes import change_policy, read_policy
from breakglass_gcp.project import Project


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What a successor was given."""

    changed: bool
    roles: tuple[str, ...]


def pinned(project: Project, old: str, new: str) -> dict[str, Json]:
    """Return what a plan pins of a successor: who it is, and what it would be given; both e-mail addresses.

    What cannot be read is not pinned, and a rotation is then refused.
    """
    if not new:
        return {}
    try:
        unique_id = str(_read(project, new).unique_id)
        policy = read_policy(project, "projects", project.name)
    except ProviderError:
        return {"successor_id": "", "roles": []}
    roles: list[Json] = [one.key for one in grants(policy, lambda one: one == _member(old))]
    return {"successor_id": unique_id, "roles": roles}


def hand_over(project: Project, old: str, new: str, unique_id: str, planned: Collection[str]) -> HandedOver:
    """Give `new` those roles of the project that `old` has and the plan names; both e-mail addresses.

    Raises:
        Denied: there is no such successor, it is disabled, or it is another one than the plan's.
        ProviderError: the policy cannot be read or written.
    """
    _check(project, new, unique_id)
    held = grants(read_policy(project, "projects", project.name), lambda one: one == _member(old))
    own = [one for one in held if one.key in planned]
    wanted = [replace(one, member=_member(new), member_at=LAST) for one in own]

    def change(policy: Json) -> dict[str, Json]:
        there = {one.key for one in grants(policy, lambda one: one == _member(new))}
        return dict(with_back(policy, [one for one in wanted if one.key not in there]))

    changed = change_policy(project, "projects", project.name, change)
    return HandedOver(changed, tuple(dict.fromkeys(one.role for one in own)))


def _check(project: Project, email: str, unique_id: str) -> None:
    by_hand = "give it its rights by hand, or restore with --choose tokens=wait"
    try:
        account = _read(project, email)
    except Gone as error:
        raise Denied(f"the successor {email} does not exist", remedy=by_hand) from error
    if str(account.unique_id) != unique_id:
        said = (
            f"the successor {email} is another account than when the stop was planned, or was not there then"
        )
        raise Denied(said, remedy=by_hand)
    if account.disabled:
        raise Denied(f"the successor {email} is disabled: it would be of no use")


def _read(project: Project, email: str) -> Any:  # noqa: ANN401 - Google's messages have no types here
    name = f"projects/-/serviceAccounts/{email}"
    return project.call("iam_admin", "get_service_account", {"name": name})


def _member(email: str) -> str:
    return f"serviceAccount:{email}"
