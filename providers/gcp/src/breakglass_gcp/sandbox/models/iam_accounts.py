"""google.iam.admin.v1: service accounts and their allow policies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import accounts, authorise, policies
from breakglass_gcp.sandbox.accounts import DELETED, DISABLED, ENABLED, Account
from breakglass_gcp.sandbox.tokens import EMAILS

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

START = "/google.iam.admin.v1.IAM/"
_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?")
"""As IAM has it, but that shorter ones than six characters are let through."""
PAGE = 20
"""IAM REST reference, serviceAccounts.list: the default page size; the most is 100."""


def account_for(world: World, call: Call, permission: str, name: str = "") -> Account:
    """Return the account of a call whose caller has a permission on it.

    Raises:
        Refusal: PERMISSION_DENIED or NOT_FOUND, in this order.
    """
    name = name or call.request.name
    call.needs(permission, authorise.canonical(world, name))
    return accounts.find(world, name)


def message(account: Account) -> Any:  # noqa: ANN401 - ServiceAccount
    """Return an account as IAM gives it."""
    from google.cloud.iam_admin_v1.types import ServiceAccount

    return ServiceAccount(
        name=account.name,
        project_id=account.project,
        unique_id=account.unique_id,
        email=account.email,
        display_name=account.display_name,
        description=account.description,
        etag=account.etag.to_bytes(8, "big"),
        oauth2_client_id=account.unique_id,
        disabled=account.state == DISABLED,
    )


def _create(world: World, call: Call) -> object:
    request = call.request
    project = world.project(request.name)
    call.needs("iam.serviceAccounts.create", f"projects/{project.id}")
    if _ID.fullmatch(request.account_id) is None:
        call.fail("INVALID_ARGUMENT", "The account ID must be 6-30 lowercase alphanumeric characters.")
    email = f"{request.account_id}@{project.id}.iam.gserviceaccount.com"
    said = request.service_account
    return message(
        accounts.add(world, project.id, email, display_name=said.display_name, description=said.description)
    )


def _get(world: World, call: Call) -> object:
    return message(account_for(world, call, "iam.serviceAccounts.get"))


def _list(world: World, call: Call) -> object:
    from google.cloud.iam_admin_v1.types import ListServiceAccountsResponse

    project = world.project(call.request.name)
    call.needs("iam.serviceAccounts.list", f"projects/{project.id}")
    found = accounts.of_project(world, project.id)
    start, size = int(call.request.page_token or 0), min(call.request.page_size or PAGE, 100)
    more = str(start + size) if start + size < len(found) else ""
    return ListServiceAccountsResponse(
        accounts=[message(one) for one in found[start : start + size]], next_page_token=more
    )


def _patch(world: World, call: Call) -> object:
    said = call.request.service_account
    account = account_for(world, call, "iam.serviceAccounts.update", said.name)
    paths = set(call.request.update_mask.paths)
    if not paths <= {"display_name", "description"}:
        call.fail("INVALID_ARGUMENT", "Only display_name and description can be updated.")
    for path in paths:
        setattr(account, path, getattr(said, path))
    account.etag += 1
    return message(account)


def _delete(world: World, call: Call) -> None:
    account = account_for(world, call, "iam.serviceAccounts.delete")
    accounts.put_state(world, account, DELETED)
    world.table(EMAILS).pop(account.email, None)
    gone = f"deleted:serviceAccount:{account.email}?uid={account.unique_id}"
    accounts.rename_members(world, f"serviceAccount:{account.email}", gone)


def _undelete(world: World, call: Call) -> object:
    from google.cloud.iam_admin_v1.types import UndeleteServiceAccountResponse

    unique = call.request.name.rpartition("/")[2]
    account: Account | None = world.table(accounts.TABLE).get(unique)
    if account is None or account.state != DELETED:
        call.fail("NOT_FOUND", f"Unknown deleted service account: {unique}")
    call.needs("iam.serviceAccounts.undelete", f"projects/{account.project}")
    if account.email in world.table(EMAILS):
        call.fail("FAILED_PRECONDITION", "A service account of the same name exists.")
    accounts.put_state(world, account, ENABLED)
    world.table(EMAILS)[account.email] = unique
    gone = f"deleted:serviceAccount:{account.email}?uid={unique}"
    accounts.rename_members(world, gone, f"serviceAccount:{account.email}")
    return UndeleteServiceAccountResponse(restored_account=message(account))


def _disable(world: World, call: Call) -> None:
    accounts.put_state(world, account_for(world, call, "iam.serviceAccounts.disable"), DISABLED)


def _enable(world: World, call: Call) -> None:
    """Enable; IAM REST reference, serviceAccounts.enable: not one that Google itself disabled."""
    account = account_for(world, call, "iam.serviceAccounts.enable")
    if account.by_google:
        call.fail("FAILED_PRECONDITION", "The service account was disabled by Google and cannot be enabled.")
    accounts.put_state(world, account, ENABLED)


def _exists(world: World, name: str) -> bool:
    return accounts.find(world, name).state != DELETED


def _google_disables(world: World, asked: Mapping[str, Any]) -> object:
    account = accounts.find(world, str(asked["email"]))
    account.by_google = bool(asked.get("disabled", True))
    accounts.put_state(world, account, DISABLED if account.by_google else ENABLED)
    return {"unique_id": account.unique_id}


def _default(world: World, asked: Mapping[str, Any]) -> object:
    """Make one of the accounts that Google makes: ``compute`` or ``appspot``."""
    project = world.project(str(asked["project"]))
    email = {
        "compute": f"{project.number}-compute@developer.gserviceaccount.com",
        "appspot": f"{project.id}@appspot.gserviceaccount.com",
    }[str(asked.get("kind", "compute"))]
    unique = world.table(EMAILS).get(email) or accounts.add(world, project.id, email).unique_id
    return {"email": email, "unique_id": unique}


def _state(world: World, project: str) -> object:
    from google.protobuf import json_format

    told = {}
    for account in accounts.of_project(world, project):
        policy = json_format.MessageToDict(world.policy(account.name))
        policy.pop("etag", None)
        told[account.email] = {
            "unique_id": account.unique_id,
            "disabled": account.state == DISABLED,
            "policy": policy,
        }
    return told


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}CreateServiceAccount": _create,
    f"{START}GetServiceAccount": _get,
    f"{START}ListServiceAccounts": _list,
    f"{START}PatchServiceAccount": _patch,
    f"{START}DeleteServiceAccount": _delete,
    f"{START}UndeleteServiceAccount": _undelete,
    f"{START}DisableServiceAccount": _disable,
    f"{START}EnableServiceAccount": _enable,
    **policies.handlers(START, "iam.serviceAccounts", _exists),
}
CONTROLS = {"iam.google_disables": _google_disables, "iam.default_account": _default}
STATE = _state
