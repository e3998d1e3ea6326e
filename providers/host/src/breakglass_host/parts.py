"""Lists the modules that this provider is made of: each exposes `ACTION_CLASSES`, some also `propose`."""

from __future__ import annotations

from collections.abc import Callable

from breakglass.provider import Action, Connection
from breakglass_host.actions import (
    credential_files,
    deployers,
    egress,
    end_tree,
    freeze,
    journal_export,
    relaunch,
    scheduled_jobs,
    signal_tree,
    snapshot,
    spool,
)
from breakglass_host.proposed import Proposed

Propose = Callable[[Connection, str | None, str], Proposed]

ACTION_CLASSES: tuple[Callable[[Connection], Action], ...] = (
    *freeze.ACTION_CLASSES,
    *egress.ACTION_CLASSES,
    *snapshot.ACTION_CLASSES,
    *journal_export.ACTION_CLASSES,
    *end_tree.ACTION_CLASSES,
    *signal_tree.ACTION_CLASSES,
    *scheduled_jobs.ACTION_CLASSES,
    *relaunch.ACTION_CLASSES,
    *credential_files.ACTION_CLASSES,
    *spool.ACTION_CLASSES,
    *deployers.ACTION_CLASSES,
)
SPECS = (
    freeze.SPEC,
    egress.SPEC,
    snapshot.SPEC,
    journal_export.SPEC,
    end_tree.SPEC,
    signal_tree.PAUSE_SPEC,
    signal_tree.STOP_SPEC,
    scheduled_jobs.SPEC,
    relaunch.SPEC,
    credential_files.SPEC,
    spool.SPEC,
    *deployers.SPECS,
)
EVIDENCE: tuple[Propose, ...] = (snapshot.propose, journal_export.propose)
"""What must be out before the tree is killed."""
OTHERS: tuple[Propose, ...] = (
    scheduled_jobs.propose,
    relaunch.propose,
    credential_files.propose,
    spool.propose,
    deployers.propose,
)
"""What would start the agent again, and what it could still use."""
