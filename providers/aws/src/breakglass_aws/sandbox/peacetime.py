"""Makes credentials as old as those of peacetime are: what a test or a drill lays out is seconds old.

They become older than CloudTrail's event history of 90 days, which so tells nothing of how they were made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from breakglass_aws.sandbox import record
from breakglass_aws.sandbox.iam_additions import CREDENTIALS
from breakglass_aws.sandbox.record import Recorded

AGE = timedelta(days=100)
_MAKES = frozenset({"CreateAccessKey", "CreateServiceSpecificCredential"})
_FORGOTTEN: set[int] = set()
"""Numbers of the calls that made them."""


def age(asked: Mapping[str, Any]) -> object:
    """Age all that these users have now: ``{"users": [NAME, ...]}``."""
    from moto.core.utils import utcnow
    from moto.iam.models import iam_backends

    users = {str(one) for one in asked["users"]}
    for backends in iam_backends.values():
        for backend in backends.values():
            for user in (one for one in backend.users.values() if one.name in users):
                for key in user.access_keys:
                    key.create_date = min(key.create_date, utcnow() - AGE)
    for name, one in list(CREDENTIALS.items()):
        if one.user in users:
            CREDENTIALS[name] = replace(one, created=one.created - AGE)
    _FORGOTTEN.update(
        one.n
        for one in record.calls()
        if one.call.operation in _MAKES and one.call.params.get("UserName") in users
    )
    return {}


def in_history(recorded: Recorded) -> bool:
    """Return whether a call is young enough for the event history."""
    return recorded.n not in _FORGOTTEN


CONTROLS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {"age": age}
RESETS: tuple[Callable[[], None], ...] = (_FORGOTTEN.clear,)
