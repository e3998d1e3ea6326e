"""Lists the modules that this provider is made of: each exposes `SPECS`, `ACTION_CLASSES` and `propose`."""

from __future__ import annotations

from collections.abc import Callable

from breakglass.provider import Action, Proposed
from breakglass_aws.account import Account
from breakglass_aws.actions import access_keys
from breakglass_aws.found import Found

Propose = Callable[[Account, Found], Proposed]

ACTION_CLASSES: tuple[Callable[[Account], Action], ...] = (*access_keys.ACTION_CLASSES,)
SPECS = (*access_keys.SPECS,)
PROPOSE: tuple[Propose, ...] = (access_keys.propose,)
"""In the order in which their steps should stand in a plan."""
SERVICES = (
    "sts",
    "iam",
)
"""What `connect` makes clients of, so that none is made after the second signature."""
