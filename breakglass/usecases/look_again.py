"""Discovers once more after the steps, and records what nobody signed for; touches nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

from breakglass.errors import BreakglassError, ProviderError
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.port import JournalPort
from breakglass.model.plan import Plan, PlannedReach
from breakglass.model.resource import Resource
from breakglass.plan.findings import read_principals
from breakglass.plan.found import appeared
from breakglass.plan.readable import line, readable
from breakglass.provider import Provider
from breakglass.shape import encode
from breakglass.usecases.side_by_side import side_by_side
from breakglass.verify.judge import UNREAD, Found

REDISCOVERY_S = 25.0
_KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/-]{0,127}", re.ASCII)


def look_again(
    plan: Plan, folder: IncidentFolder, journal: JournalPort, providers: Mapping[int, Provider]
) -> None:
    """Record every principal that appeared since planning, and every reach that could not be read.

    Raises:
        MalformedInput: the observations are not those that the plan names.
    """
    known = read_principals(
        folder.observations.read_bytes(), plan.observations_sha256, where="observations.json"
    )
    calls = {n: provider.discover for n, provider in providers.items()}
    answers = side_by_side(calls, within_s=REDISCOVERY_S)
    for reach in plan.reaches:
        answer = answers.get(reach.n, ProviderError("it is not connected"))
        if isinstance(answer, BreakglassError):
            _unread(journal, reach, f"could not be looked at again: {answer.what}")
            continue
        discovery = readable(answer)
        for listing in discovery.incomplete:
            _unread(journal, reach, f"could not be looked at again in full: {listing}")
        for principal in appeared(known, reach.provider, reach.scope, discovery.principals):
            reason = "appeared after the plan was made; it was not touched"
            _record(journal, Found(reach.provider, reach.scope, _kind(principal), principal.id, reason))


def _kind(principal: Resource) -> str:
    """Return a kind that a record may hold, and that is not taken for an unread reach."""
    is_name = _KIND.fullmatch(principal.kind) is not None
    return principal.kind if is_name and principal.kind != UNREAD else "principal"


def _unread(journal: JournalPort, reach: PlannedReach, reason: str) -> None:
    """Write that a reach may hold what nobody saw: that is unknown, and never contained."""
    _record(journal, Found(reach.provider, reach.scope, UNREAD, reach.scope, line(reason)))


def _record(journal: JournalPort, found: Found) -> None:
    journal.append("found.not_signed", dict(encode(found)))  # type: ignore[arg-type]  # a dataclass encodes to an object
