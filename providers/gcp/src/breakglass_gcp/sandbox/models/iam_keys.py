"""google.iam.admin.v1: keys of service accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import account_keys, accounts
from breakglass_gcp.sandbox.account_keys import Key, key_message
from breakglass_gcp.sandbox.models.iam_accounts import START, account_for

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.accounts import Account
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World


def _create(world: World, call: Call) -> object:
    account = account_for(world, call, "iam.serviceAccountKeys.create")
    _room(world, call, account)
    key, private = account_keys.make(world, account)
    return key_message(account, key, private=private)


def _upload(world: World, call: Call) -> object:
    from cryptography import x509

    account = account_for(world, call, "iam.serviceAccountKeys.create")
    _room(world, call, account)
    try:
        public = x509.load_pem_x509_certificate(call.request.public_key_data).public_key()
    except ValueError:
        call.fail("INVALID_ARGUMENT", "public_key_data is not an X.509 certificate in PEM.")
    return key_message(account, account_keys.keep(world, account, public, uploaded=True))


def _list(world: World, call: Call) -> object:
    from google.cloud.iam_admin_v1.types import ListServiceAccountKeysResponse

    account = account_for(world, call, "iam.serviceAccountKeys.list")
    wanted = {kind.name for kind in call.request.key_types}
    found = [key_message(account, one) for one in account_keys.of_account(world, account)]
    return ListServiceAccountKeysResponse(
        keys=[one for one in found if not wanted or one.key_type.name in wanted]
    )


def _get(world: World, call: Call) -> object:
    return key_message(*_key(world, call, "iam.serviceAccountKeys.get"))


def _disable(world: World, call: Call) -> None:
    _set(world, call, "iam.serviceAccountKeys.disable", disabled=True)


def _enable(world: World, call: Call) -> None:
    _set(world, call, "iam.serviceAccountKeys.enable", disabled=False)


def _delete(world: World, call: Call) -> None:
    _, key = _key(world, call, "iam.serviceAccountKeys.delete")
    if key.managed:
        call.fail("FAILED_PRECONDITION", "A key that Google manages cannot be deleted.")
    del world.table(account_keys.TABLE)[key.id]


def _set(world: World, call: Call, permission: str, *, disabled: bool) -> None:
    """Change a key; IAM REST reference, serviceAccounts.keys.disable: user-managed keys only."""
    _, key = _key(world, call, permission)
    if key.managed:
        call.fail("FAILED_PRECONDITION", "A key that Google manages cannot be disabled.")
    key.disabled = disabled
    world.config.put(("key", key.id), "disabled" if disabled else "enabled")


def _key(world: World, call: Call, permission: str) -> tuple[Account, Key]:
    name, _, key_id = call.request.name.partition("/keys/")
    account = account_for(world, call, permission, name)
    key: Key | None = world.table(account_keys.TABLE).get(key_id)
    if key is None or key.account != account.unique_id:
        call.fail("NOT_FOUND", f"Service account key {key_id} does not exist.")
    return account, key


def _room(world: World, call: Call, account: Account) -> None:
    if account.state == accounts.DISABLED:
        call.fail("FAILED_PRECONDITION", "The service account is disabled.")
    mine = [one for one in account_keys.of_account(world, account) if not one.managed]
    if len(mine) >= account_keys.MOST:
        call.fail("RESOURCE_EXHAUSTED", f"The service account has {account_keys.MOST} keys already.")


def _managed(world: World, asked: Mapping[str, Any]) -> object:
    """Give an account a key that Google manages, as every account that is used has."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    account = accounts.find(world, str(asked["email"]))
    pair = rsa.generate_private_key(65537, 2048)
    return {"id": account_keys.keep(world, account, pair.public_key(), managed=True).id}


def _aged(world: World, asked: Mapping[str, Any]) -> object:
    """Let the keys of an account be so many seconds older, as keys of peacetime are."""
    found = account_keys.of_account(world, accounts.find(world, str(asked["email"])))
    for one in found:
        one.made_s -= float(asked["seconds"])
    return {"keys": len(found)}


def _state(world: World, project: str) -> object:
    return {
        account.email: {one.id: one.disabled for one in account_keys.of_account(world, account)}
        for account in accounts.of_project(world, project)
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}CreateServiceAccountKey": _create,
    f"{START}UploadServiceAccountKey": _upload,
    f"{START}ListServiceAccountKeys": _list,
    f"{START}GetServiceAccountKey": _get,
    f"{START}DisableServiceAccountKey": _disable,
    f"{START}EnableServiceAccountKey": _enable,
    f"{START}DeleteServiceAccountKey": _delete,
}
CONTROLS = {"iam.age_keys": _aged, "iam.managed_key": _managed}
STATE = _state
