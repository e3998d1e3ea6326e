"""Reads every proven step once more at the end, and closes again what somebody undid after its proof.

An identity that was not denied yet can undo what was proven already: take a deny away from another one,
switch a trigger on. By the end of the run all of them are denied, so what is closed then stays closed.
"""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.execute.engine import Ports, execute
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import replay
from breakglass.journal.reader import read_journal
from breakglass.model.authorised import AuthorisedPlan
from breakglass.provider import Provider
from breakglass.usecases.last_read import read_once_more

PASSES = 2
"""So often at most: whoever undoes it after that has means that no step of the plan takes away."""


def close_again(
    folder: IncidentFolder, authorised: AuthorisedPlan, providers: Mapping[int, Provider], ports: Ports
) -> bool:
    """Read, and close again what is undone; the last thing is always a read. False: it was cancelled."""
    for again in range(PASSES + 1):
        histories = replay(read_journal(folder.journal).records)
        undone = read_once_more(authorised.plan, histories, ports.journal, providers)
        if not undone or again == PASSES:
            break
        histories = replay(read_journal(folder.journal).records)
        if not execute(authorised, providers, ports, history=histories, only=undone):
            return False
    return True
