"""Finds what the agent is, uses and is driven by in one account and region; each part proposes its own.

What is the agent's: what the inventory names, what carries its tag, what its principals made. A listing
that fails makes the plan say that it is incomplete; one that is throttled is waited for, for a while.
"""

from __future__ import annotations

from breakglass.model.plan import DoorKind
from breakglass.model.resource import Resource
from breakglass.provider import Discovery, Notes, Proposed
from breakglass_aws import parts
from breakglass_aws.account import Account
from breakglass_aws.discover.compose import running_work_before_its_role
from breakglass_aws.discover.gather import gather
from breakglass_aws.patience import Patience

PATIENCE_S = 6.0
"""From the start of a discovery, however many services refuse its calls: an agent may use up their quotas.
What is throttled for longer is said to be unread. Planning has 30 s in all and a look after the stop 25 s;
with 15 services refusing every call the rest of a discovery took 15 s, CloudTrail's 8 s among them."""


def discover(account: Account) -> Discovery:
    """Join what the parts propose for all that is the agent's here."""
    account = account.patient(Patience.lasting(account.connection.clock, PATIENCE_S))
    gathered = gather(account)
    notes = Notes()
    proposed = gathered.proposed
    for propose in parts.PROPOSE:
        proposed = proposed.plus(
            notes.attempt(lambda propose=propose: propose(account, gathered.found), Proposed())  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        )
    return Discovery(
        scope=f"aws account {account.id} in {account.region}",
        principals=_principals(proposed),
        proposals=running_work_before_its_role(proposed.proposals),
        doors=proposed.doors,
        not_touched=proposed.not_touched,
        endpoints=endpoints(account),
        incomplete=(*proposed.incomplete, *notes.incomplete),
    )


def _principals(proposed: Proposed) -> tuple[Resource, ...]:
    """Return what is the agent's, each once, so that what appears later is found, not signed.

    Somebody new whom nobody explains is among them: a user or role made while the stop ran may be its friend.
    """
    targets = {(one.target.kind, one.target.id) for one in proposed.proposals}
    strangers = {
        ("aws-stranger", one.door.name) for one in proposed.doors if one.door.kind is DoorKind.CAN_MINT
    }
    return tuple(Resource(kind, name, name, {}) for kind, name in sorted(targets | strangers))


def endpoints(account: Account) -> tuple[str, ...]:
    """Return the sandbox's endpoint, with the factor of its settle times."""
    endpoint = account.settings.text("endpoint")
    if not endpoint:
        return ()
    factor = account.settings.settle_factor
    return (endpoint,) if factor == 1 else (f"{endpoint} (settle times x {factor:g})",)
