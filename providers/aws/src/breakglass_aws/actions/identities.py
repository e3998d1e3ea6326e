"""Joins what is proposed for users, roles and the class switches that were armed in peacetime.

A class switch and the denies of the principals that it covers make each other moot: whichever is proven
first is enough, and both are tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from breakglass.errors import ProviderError
from breakglass.provider import Proposal, Proposed
from breakglass_aws.account import Account
from breakglass_aws.actions import (
    access_keys,
    class_scp,
    class_switch,
    class_tag,
    deny_role,
    deny_user,
    role_choice,
    role_sessions,
    service_credentials,
    trust_policy,
    user_choice,
)
from breakglass_aws.actions.armed import Denied
from breakglass_aws.caller import principal_of
from breakglass_aws.found import Found


def propose(account: Account, found: Found) -> Proposed:
    """Propose class switches first: each is one call."""
    caller = principal_of(account.check_caller()) or ""
    proposed = user_choice.propose(account, found, caller).plus(role_choice.propose(account, found, caller))
    denied = _denied(proposed)
    if not denied:
        return proposed
    switches = Proposed()
    for propose_class in (class_switch.propose, class_scp.propose, class_tag.propose):
        try:
            switches = switches.plus(propose_class(account, denied, caller))
        except ProviderError as error:
            switches = switches.plus(Proposed(incomplete=(f"class switch: {error}"[:500],)))
    return switches.plus(replace(proposed, proposals=_mooted(proposed.proposals, switches.proposals)))


def _denied(proposed: Proposed) -> Mapping[str, Denied]:
    """Return the principals that the plan denies everything anyway, by ``role/NAME`` or ``user/NAME``."""
    keys = {deny_role.SPEC.name: "role_arn", deny_user.SPEC.name: "principal"}
    return {
        one.target.id: Denied(
            one.target.id,
            str(one.target.params[keys[one.action]]),
            str(one.target.params["unique_id"]),
            one.key,
        )
        for one in proposed.proposals
        if one.action in keys
    }


def _mooted(denies: tuple[Proposal, ...], switches: tuple[Proposal, ...]) -> tuple[Proposal, ...]:
    """Let the proof of a policy switch make the single denies that it covers moot."""
    by_key = {
        key: switch.key
        for switch in switches
        if switch.action == class_switch.SPEC.name
        for key in switch.moot_by
    }
    return tuple(
        replace(one, moot_by=(*one.moot_by, by_key[one.key])) if one.key in by_key else one for one in denies
    )


ACTION_CLASSES = (
    *class_switch.ACTION_CLASSES,
    *class_scp.ACTION_CLASSES,
    *class_tag.ACTION_CLASSES,
    *deny_user.ACTION_CLASSES,
    *access_keys.ACTION_CLASSES,
    *service_credentials.ACTION_CLASSES,
    *deny_role.ACTION_CLASSES,
    *role_sessions.ACTION_CLASSES,
    *trust_policy.ACTION_CLASSES,
)
SPECS = (
    *class_switch.SPECS,
    *class_scp.SPECS,
    *class_tag.SPECS,
    *deny_user.SPECS,
    *access_keys.SPECS,
    *service_credentials.SPECS,
    *deny_role.SPECS,
    *role_sessions.SPECS,
    *trust_policy.SPECS,
)
