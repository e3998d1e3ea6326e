"""Finds what the agent is, uses and is driven by in one account and region; each part proposes its own."""

from __future__ import annotations

from breakglass.errors import ProviderError
from breakglass.provider import Discovery, Proposed
from breakglass_aws import parts
from breakglass_aws.account import Account
from breakglass_aws.found import Found
from breakglass_aws.inventory import SETTINGS


def discover(account: Account) -> Discovery:
    """Join what the parts propose; a part whose listing fails makes the plan say that it is incomplete."""
    found = Found({key.name: account.settings.texts(key.name) for key in SETTINGS})
    proposed = Proposed()
    for propose in parts.PROPOSE:
        try:
            proposed = proposed.plus(propose(account, found))
        except ProviderError as error:
            proposed = proposed.plus(Proposed(incomplete=(str(error)[:500],)))
    return Discovery(
        scope=f"aws account {account.id} in {account.region}",
        principals=(),
        proposals=proposed.proposals,
        doors=proposed.doors,
        not_touched=proposed.not_touched,
        endpoints=endpoints(account),
        incomplete=proposed.incomplete,
    )


def endpoints(account: Account) -> tuple[str, ...]:
    """Return the sandbox's endpoint, with the factor of its settle times."""
    endpoint = account.settings.text("endpoint")
    if not endpoint:
        return ()
    factor = account.settings.settle_factor
    return (endpoint,) if factor == 1 else (f"{endpoint} (settle times x {factor:g})",)
