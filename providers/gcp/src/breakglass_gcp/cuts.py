"""Says how the audit log tells of what a stop cut: an account, a workload pool, grants of a policy.

The names are those of the v1 API (Cloud Audit Logs documentation, "IAM audit logging"). What is named in
another way is not found, and then its tokens are waited out whole (`actions.undo_wait`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from breakglass.canon import Json
from breakglass_gcp.audit_events import Event
from breakglass_gcp.last_cut import Cut, Opens
from breakglass_gcp.log_queries import quoted
from breakglass_gcp.messages import field
from breakglass_gcp.policies import Grant

_POOLS = "workloadIdentityPools/"


def of_account(email: str, unique_id: str) -> Cut:
    """Return how it is told that an account was disabled; one filter serves all accounts."""

    def opens(event: Event) -> bool | None:
        if not _is_account(event, (email, unique_id)):
            return None
        return {"enableserviceaccount": True, "disableserviceaccount": False}.get(event.verb)

    return Cut('protoPayload.methodName:("DisableServiceAccount" OR "EnableServiceAccount")', (opens,))


def of_pool(pool: str) -> Cut:
    """Return how it is told that a workload identity pool was disabled."""

    def opens(event: Event) -> bool | None:
        if event.resource.rpartition(_POOLS)[2] != pool:
            return None
        disabled, mask = _disabled(event.request), f"{field(event.request, 'updateMask')}"
        if disabled is None and "disabled" not in mask:
            return None
        return disabled is not True

    return Cut(f"protoPayload.resourceName:{quoted(f'{_POOLS}{pool}')}", (opens,))


def of_project_grants(project: str, back: Iterable[Grant]) -> Cut:
    """Return how it is told that grants were taken out of a project's policy."""
    name = f"projects/{project}"
    filter_ = f'protoPayload.methodName:"SetIamPolicy" AND protoPayload.resourceName={quoted(name)}'
    return Cut(filter_, _taken(back, lambda event: event.resource == name))


def of_account_grants(email: str, unique_id: str, back: Iterable[Grant]) -> Cut:
    """Return how it is told that grants were taken out of an account's policy."""
    filter_ = (
        'protoPayload.methodName:"SetIamPolicy"'
        f" AND protoPayload.resourceName:({quoted(email)} OR {quoted(unique_id)})"
    )
    return Cut(filter_, _taken(back, lambda event: _is_account(event, (email, unique_id))))


def _taken(back: Iterable[Grant], is_there: Callable[[Event], bool]) -> tuple[Opens, ...]:
    return tuple(_gained(one.key, is_there) for one in back)


def _gained(key: str, is_there: Callable[[Event], bool]) -> Opens:
    def opens(event: Event) -> bool | None:
        if not is_there(event):
            return None
        said = [one.gained for one in event.changes if one.grant.key == key]
        return any(said) if said else None

    return opens


def _is_account(event: Event, names: Collection[str]) -> bool:
    return event.resource.rpartition("/")[2] in names or (bool(event.account) and event.account in names)


def _disabled(request: Json) -> bool | None:
    """Return what a request, or the pool within, says of being disabled; None: nothing."""
    for one in (request, field(request, "workloadIdentityPool"), field(request, "body")):
        if isinstance(found := field(one, "disabled"), bool):
            return found
    return None
