"""Decides which of the agent's service accounts are stopped, and which are left alone with an open door.

Left alone, and said so: the executor's own, Google's service agents, accounts of another project, and those
that others share unless the inventory accepts it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Proposed, ProposedDoor
from breakglass_gcp.found import Found, Identity
from breakglass_gcp.project import Project

MANY = 50
"""Of more accounts than this their own policies and keys are left, and HMAC keys looked for once: a step for
each would outweigh the one call that disables it."""
MOST_A_PAGE = 100
"""iam.proto, ListServiceAccountsRequest: 20 where nothing is asked, and never more than 100."""
_DEFAULT = re.compile(
    r"\d+-compute@developer\.gserviceaccount\.com|[a-z0-9.:-]+@appspot\.gserviceaccount\.com"
)
_AGENT = re.compile(
    r"service-\d+@[a-z0-9-]+\.iam\.gserviceaccount\.com|\d+@(cloudservices|cloudbuild)\.gserviceaccount\.com"
    r"|service-(org|folder)-\d+@[a-z0-9-]+\.iam\.gserviceaccount\.com"
)
"""IAM documentation, "Service agents": Google makes and manages them, in projects of its own."""
_HOME = re.compile(r"[^@]+@([a-z0-9-]+(?:\.[a-z0-9-]+)*)\.iam\.gserviceaccount\.com")


@dataclass(frozen=True, slots=True)
class Choice:
    """Accounts to stop, and what is said of the others."""

    own: tuple[Identity, ...]
    left: Proposed


def choose(project: Project, found: Found) -> Choice:
    """Decide for every account of the agent's."""
    own: list[Identity] = []
    left = Proposed()
    unread = [one for one in found.of("service_accounts") if one not in found.identities]
    for email in (*found.identities, *(one for one in unread if is_googles(project, one))):
        why = _untouchable(project, found, email)
        if why is None:
            own.append(found.identities[email])
        else:
            left = left.plus(_left(email, *why))
    return Choice(tuple(own), left)


def guarded(project: Project, own: Sequence[Identity]) -> tuple[Identity, ...]:
    """Return the accounts that have steps of their own beside the one that disables them.

    Of too many, those that the inventory names: whoever makes accounts must not take those steps from them.
    """
    named = project.settings.texts("service_accounts")
    some = tuple(own) if len(own) <= MANY else tuple(one for one in own if one.email in named)
    return some if len(some) <= MANY else ()


def account_name(project: Project, unique_id: str) -> str:
    """Return the resource name of an account of this project, by what no other account ever has.

    iam.proto, GetServiceAccountRequest: with the wildcard ``-`` an account that is gone may be answered with
    403 instead of 404, so the project is named.
    """
    return f"{project.name}/serviceAccounts/{unique_id}"


def disable_key(email: str) -> str:
    """Return the key of the step that disables an account, for what is moot after it or waits for it."""
    return f"disable_account:{email}"


def others_of(found: Found, email: str) -> tuple[str, ...]:
    """Return who else uses an account, in words."""
    others = found.sharers.get(email, ())
    if not others and _DEFAULT.fullmatch(email):
        return ("everything of the project that names no account of its own",)
    return others


def is_googles(project: Project, email: str) -> bool:
    """Return whether an account is a service agent of Google's.

    Anybody may call an account of the project's own ``service-123456``: those of Google's lie elsewhere.
    """
    home = _HOME.fullmatch(email)
    own = home is not None and home[1] == _domain(project.id)
    return not own and _AGENT.fullmatch(email) is not None


def _untouchable(project: Project, found: Found, email: str) -> tuple[str, str] | None:
    """Return why an account is left alone, and what else to do; None: it is stopped."""
    if email == project.me:
        return (
            "the executor acts as this account: disabled, it could stop nothing more",
            "give breakglass an account of its own, and stop again",
        )
    if is_googles(project, email):
        return (
            "a service agent of Google's: nobody can disable it",
            "take its roles in the project away, or stop the service that acts as it",
        )
    home = _HOME.fullmatch(email)
    if home is not None and home[1] != _domain(project.id):
        return (
            f"an account of the project {home[1]}, and this reach is of {project.id}",
            f"give {home[1]} a reach of its own in the inventory",
        )
    others = others_of(found, email)
    if others and email not in project.settings.texts("accept_blast_radius"):
        return (f"shared with {_few(others)}", f"add {email} to accept_blast_radius, and stop again")
    return None


def _domain(project_id: str) -> str:
    """Return how accounts name a project: of ``example.com:id`` they have ``id.example.com``."""
    organisation, _, short = project_id.rpartition(":")
    return f"{short}.{organisation}" if organisation else short


def _left(email: str, reason: str, remedy: str) -> Proposed:
    """Say that the agent keeps this account: an open door, nothing that is merely not known."""
    name = f"service account {email}"
    door = Door(DoorKind.NO_STEP, f"{name} in gcp"[:500], reason, remedy, "", (), Verdict.NOT_CONTAINED)
    return Proposed(doors=(ProposedDoor(door),), not_touched=(NotTouched(name, reason),))


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if names[5:] else ""
    return f"{', '.join(names[:5])}{more}"[:400]
