"""Joins what is proposed for users, roles and the class switches that were armed in peacetime.

A class switch and the denies of the principals that it covers make each other moot. The denies wait a moment
for the policy switch: what carries the class policy then is denied already, and its own step only proves it,
without a call that changes anything. Where the switch fails, each is denied by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from breakglass.errors import ProviderError
from breakglass.model.plan import NotTouched
from breakglass.provider import Proposal, Proposed, WaitFor
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

SWITCH_WAIT_S = 10.0
"""Then each is denied by itself all the same."""
MOST_TRUSTS = 50
"""The trust policies of a larger class stay as they are: a call for each would outweigh the one for all."""


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
    proposals, left = _covered(proposed.proposals, switches.proposals)
    return switches.plus(replace(proposed, proposals=proposals, not_touched=(*proposed.not_touched, *left)))


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


def _covered(
    proposals: tuple[Proposal, ...], switches: tuple[Proposal, ...]
) -> tuple[tuple[Proposal, ...], tuple[NotTouched, ...]]:
    """Return the steps of the principals, those that a policy switch covers told so, and what is left out."""
    switch = next((one for one in switches if one.action == class_switch.SPEC.name), None)
    if switch is None:
        return proposals, ()
    covered = set(switch.moot_by)
    found: list[Proposal] = []
    left = 0
    for one in proposals:
        if one.key in covered:
            found.append(_behind(one, switch))
        elif len(covered) > MOST_TRUSTS and one.action == trust_policy.SPEC.name and _follows(one, covered):
            left += 1
        else:
            found.append(one)
    reason = f"{left} roles carry the class policy that is switched: nobody gains anything by assuming them"
    return tuple(found), (NotTouched("trust policies of the class", reason),) if left else ()


def _follows(one: Proposal, covered: set[str]) -> bool:
    return any(wait.key in covered for wait in one.after)


def _behind(deny: Proposal, switch: Proposal) -> Proposal:
    params = {**deny.target.params, "class_policy": switch.target.params["policy"]}
    return replace(
        deny,
        target=replace(deny.target, params=params),
        after=(*deny.after, WaitFor(switch.key, SWITCH_WAIT_S)),
        moot_by=(*deny.moot_by, switch.key),
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
