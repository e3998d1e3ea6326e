"""Service accounts as the world keeps them; a deleted and remade one of the same name is somebody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.call import Refusal
from breakglass_gcp.sandbox.projects import project_in
from breakglass_gcp.sandbox.tokens import EMAILS

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

ENABLED, DISABLED, DELETED = "enabled", "disabled", "deleted"
TABLE = "iam.accounts"


@dataclass(slots=True)
class Account:
    """One service account."""

    unique_id: str
    email: str
    project: str
    display_name: str = ""
    description: str = ""
    state: str = ENABLED
    by_google: bool = False
    """Disabled by Google itself: its owner cannot lift that."""
    etag: int = 1
    system_key: tuple[str, Any] | None = None
    """Id and private half of the key that Google itself signs with for it; made when first needed."""

    @property
    def name(self) -> str:
        """Return its resource name."""
        return f"projects/{self.project}/serviceAccounts/{self.email}"


def add(world: World, project: str, email: str, display_name: str = "", description: str = "") -> Account:
    """Make an account at once.

    Raises:
        Refusal: ALREADY_EXISTS.
    """
    if email in world.table(EMAILS):
        name = f"projects/{project}/serviceAccounts/{email}"
        raise Refusal("ALREADY_EXISTS", f"Service account {name} already exists.")
    account = Account(f"1{world.new_id(20)}", email, project, display_name, description)
    world.table(TABLE)[account.unique_id] = account
    world.table(EMAILS)[email] = account.unique_id
    world.config.put(("account", account.unique_id), ENABLED, at_once=True)
    return account


def put_state(world: World, account: Account, state: str) -> None:
    """Change whether it may be used; the evaluator sees it later, who reads it sees it now."""
    if account.state != state:
        account.state = state
        account.etag += 1
        world.config.put(("account", account.unique_id), state)


def find(world: World, name: str) -> Account:
    """Return an account by resource name, e-mail or unique id.

    Raises:
        Refusal: NOT_FOUND: there is none, or it is deleted.
    """
    short = name.partition("/serviceAccounts/")[2].partition("/")[0] or name
    unique = world.table(EMAILS).get(short, short)
    account: Account | None = world.table(TABLE).get(unique)
    asked = project_in(name.partition("/serviceAccounts/")[0])
    if (
        account is None
        or account.state == DELETED
        or (asked and world.normal(f"projects/{asked}") != (f"projects/{account.project}"))
    ):
        raise Refusal("NOT_FOUND", f"Unknown service account: {short}")
    return account


def of_project(world: World, project: str) -> list[Account]:
    """Return the accounts of a project by e-mail."""
    found = [one for one in world.table(TABLE).values() if one.project == project and one.state != DELETED]
    return sorted(found, key=lambda one: one.email)


def rename_members(world: World, before: str, after: str) -> None:
    """Write another member into every policy that has one.

    IAM documentation, "Policies and deleted principals": a binding of a deleted account becomes one of
    ``deleted:serviceAccount:EMAIL?uid=ID``, and does not hold for a new account of the same name.
    """
    for key in world.config.named("policy"):
        policy = world.config.get(key)
        if any(before in binding.members for binding in policy.bindings):
            fresh = type(policy)()
            fresh.CopyFrom(policy)
            for binding in fresh.bindings:
                members = [after if one == before else one for one in binding.members]
                del binding.members[:]
                binding.members.extend(members)
            world.put_policy(str(key[1]), fresh, at_once=True)
