"""Reads the agent's service accounts: whether each is there, its unique id, and whether it is disabled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from breakglass.errors import Denied, Gone, ProviderError
from breakglass.model.plan import NotTouched
from breakglass_gcp.actions.account_choice import MOST_A_PAGE
from breakglass_gcp.found import Identity
from breakglass_gcp.project import Project

ONE_BY_ONE = 8
"""Of more, the accounts of the project are listed once."""
_HOME = re.compile(r"[^@]+@([a-z0-9-]+(?:\.[a-z0-9-]+)*)\.iam\.gserviceaccount\.com")


@dataclass(slots=True)
class Accounts:
    """The accounts that are there, and what is said of the others."""

    identities: dict[str, Identity] = field(default_factory=dict)
    not_touched: list[NotTouched] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)


def read(project: Project, emails: Sequence[str]) -> Accounts:
    """Read these accounts; one that cannot be read is said."""
    found = Accounts()
    wanted = list(dict.fromkeys(emails))
    if len(wanted) > ONE_BY_ONE:
        request = {"name": project.name, "page_size": MOST_A_PAGE}
        listed = _tried(found, lambda: project.every("iam_admin", "list_service_accounts", request).items)
        named = frozenset(wanted)
        for account in listed or ():
            if account.email in named:
                found.identities[account.email] = _identity(account)
        wanted = [one for one in wanted if one not in found.identities]
    for email in wanted:
        _one(project, found, email)
    order = {email: n for n, email in enumerate(emails)}
    found.identities = dict(sorted(found.identities.items(), key=lambda item: order[item[0]]))
    return found


def _one(project: Project, found: Accounts, email: str) -> None:
    what = f"service account {email}"
    try:
        name = f"projects/{_home(project, email)}/serviceAccounts/{email}"
        found.identities[email] = _identity(project.call("iam_admin", "get_service_account", {"name": name}))
    except Gone:
        found.not_touched.append(NotTouched(what, "there is none of this address"))
    except ProviderError as error:
        found.incomplete.append(f"{what}: {error.what}"[:500])
        if isinstance(error, Denied):
            found.not_touched.append(NotTouched(what, f"the executor may not read it: {error.what}"[:500]))


def _home(project: Project, email: str) -> str:
    """Return the project that an account lies in, as far as its address tells.

    iam.proto, GetServiceAccountRequest: with the wildcard ``-`` an account that is gone may be answered with
    403 instead of 404, so the project is named where it can be.
    """
    if match := _HOME.fullmatch(email):
        parts = match[1].split(".")
        return f"{'.'.join(parts[1:])}:{parts[0]}" if len(parts) > 1 else parts[0]
    own = (f"{project.number}-compute@developer.", f"{project.id}@appspot.")
    return project.id if email.startswith(own) else "-"


def _identity(account: Any) -> Identity:  # noqa: ANN401 - Google's messages have no types here
    return Identity(str(account.email), str(account.unique_id), disabled=bool(account.disabled))


def _tried(found: Accounts, look: Callable[[], Iterable[Any]]) -> Iterable[Any] | None:
    try:
        return look()
    except ProviderError as error:
        found.incomplete.append(f"listing of service accounts: {error.what}"[:500])
        return None
