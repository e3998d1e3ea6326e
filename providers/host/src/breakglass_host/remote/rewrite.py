"""Turns what a machine says of itself into what may stand in a plan beside other machines: pure.

The machine is hostile: it may name only what is its own. So it can neither close a door of another provider
("this revokes everything at that issuer"), nor make a plan too large, nor hold up a stop.
"""

from __future__ import annotations

from dataclasses import replace

from breakglass.canon import JsonObject
from breakglass.errors import ProviderError
from breakglass.model.plan import NotTouched
from breakglass.provider import Discovery, Proposal, ProposedDoor
from breakglass_host.remote.address import Address

MAX_PROPOSALS, MAX_OTHERS = 256, 1000
LONGEST_S = 120.0
CLOCK_TOLERANCE_S = 5.0


def at_host(found: Discovery, address: Address, settings: JsonObject, *, runner: str) -> Discovery:
    """Return the discovery under the names that it has outside of that machine.

    Raises:
        ProviderError: it proposes more, or longer, than a host of ours would.
    """
    others = (found.principals, found.doors, found.not_touched, found.incomplete)
    if len(found.proposals) > MAX_PROPOSALS or max(map(len, others)) > MAX_OTHERS:
        raise ProviderError("it proposes more than a plan can hold", where=str(address))
    name, own = address.bare, _deployers(settings)
    return replace(
        found,
        scope=f"host ssh://{address}",
        proposals=tuple(_proposal(one, address, own) for one in found.proposals),
        doors=tuple(_door(one, name) for one in found.doors),
        not_touched=tuple(NotTouched(f"{one.resource} on {name}", one.reason) for one in found.not_touched),
        endpoints=(f"ssh://{address}",) if address.is_sandbox else (),
        runner=runner,
    )


def clock_notice(address: Address, ahead_s: float) -> tuple[NotTouched, ...]:
    """Return a line where the machine's clock is off, for people who read its logs."""
    if abs(ahead_s) <= CLOCK_TOLERANCE_S:
        return ()
    direction = "ahead of" if ahead_s > 0 else "behind"
    reason = f"{_words(abs(ahead_s))} {direction} the executor's; times in its logs are shifted by that"
    return (NotTouched(f"clock of {address.bare}", reason),)


def _words(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")) if n]
    return " ".join(parts[:2]) or "0 s"


def _deployers(settings: JsonObject) -> frozenset[str]:
    """Return the deployers that the signed inventory puts on this machine, as a step names them."""
    named = settings.get("deployers")
    texts = [one for one in named if isinstance(one, str)] if isinstance(named, list | tuple) else []
    return frozenset(f"deployer:{one.replace(':', '/', 1)}" for one in texts)


def _proposal(one: Proposal, address: Address, own: frozenset[str]) -> Proposal:
    times = (one.settle_s, one.deadline_s, one.window_s, *(wait.at_most_s for wait in one.after))
    if any(time is not None and not 0 <= time <= LONGEST_S for time in times):
        raise ProviderError(f"it proposes a step that takes more than {LONGEST_S:.0f} s", where=str(address))
    withholds = (_own_name(name, address.bare) for name in one.withholds)
    return replace(
        one,
        withholds=tuple(name for name in withholds if name),
        # A credential is revoked where it was issued, never by the machine that its copy lies on.
        revokes=tuple(name for name in one.revokes if name in own),
    )


def _own_name(name: str, host: str) -> str:
    """Return a credential's name with the machine in it; empty for what is not the machine's to name."""
    kind, _, rest = name.partition(":")
    return f"{kind}://{host}/{rest.lstrip('/')}" if kind in ("file", "keyring") and rest else ""


def _door(one: ProposedDoor, name: str) -> ProposedDoor:
    return replace(one, door=replace(one.door, name=f"{one.door.name} on {name}"))
