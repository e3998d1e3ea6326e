"""Lists the modules that this provider is made of: each exposes `ACTION_CLASSES`, some also `propose`."""

from __future__ import annotations

from collections.abc import Callable

from breakglass.provider import Action, Connection, Proposed
from breakglass_host.actions import (
    account_lock,
    credential_files,
    deployers,
    egress,
    end_tree,
    freeze,
    journal_export,
    linger,
    login_records,
    login_sessions,
    relaunch,
    scheduled_jobs,
    signal_tree,
    snapshot,
    spool,
    ssh_keys,
    standing_rights,
    sudo_drop_ins,
    triggers,
    unit_files,
    units_mask,
    units_stop,
)
from breakglass_host.containers import plan as containers
from breakglass_host.systemd import propose as units

Propose = Callable[[Connection, str | None, str], Proposed]

ACTION_CLASSES: tuple[Callable[[Connection], Action], ...] = (
    *freeze.ACTION_CLASSES,
    *egress.ACTION_CLASSES,
    *snapshot.ACTION_CLASSES,
    *journal_export.ACTION_CLASSES,
    *unit_files.ACTION_CLASSES,
    *login_records.ACTION_CLASSES,
    *end_tree.ACTION_CLASSES,
    *signal_tree.ACTION_CLASSES,
    *scheduled_jobs.ACTION_CLASSES,
    *relaunch.ACTION_CLASSES,
    *credential_files.ACTION_CLASSES,
    *spool.ACTION_CLASSES,
    *units_mask.ACTION_CLASSES,
    *triggers.ACTION_CLASSES,
    *units_stop.ACTION_CLASSES,
    *deployers.ACTION_CLASSES,
    *containers.ACTION_CLASSES,
    *account_lock.ACTION_CLASSES,
    *ssh_keys.ACTION_CLASSES,
    *sudo_drop_ins.ACTION_CLASSES,
    *linger.ACTION_CLASSES,
    *login_sessions.ACTION_CLASSES,
)
SPECS = (
    freeze.SPEC,
    egress.SPEC,
    snapshot.SPEC,
    journal_export.SPEC,
    unit_files.SPEC,
    login_records.SPEC,
    end_tree.SPEC,
    signal_tree.PAUSE_SPEC,
    signal_tree.STOP_SPEC,
    scheduled_jobs.SPEC,
    relaunch.SPEC,
    credential_files.SPEC,
    spool.SPEC,
    units_mask.SPEC,
    triggers.SPEC,
    units_stop.SPEC,
    *deployers.SPECS,
    *containers.SPECS,
    account_lock.SPEC,
    ssh_keys.SPEC,
    sudo_drop_ins.SPEC,
    linger.SPEC,
    login_sessions.SPEC,
)
EVIDENCE: tuple[Propose, ...] = (
    snapshot.propose,
    journal_export.propose,
    unit_files.propose,
    login_records.propose,
)
"""What must be out before the tree is killed."""
OTHERS: tuple[Propose, ...] = (
    units.propose,
    scheduled_jobs.propose,
    relaunch.propose,
    credential_files.propose,
    spool.propose,
    deployers.propose,
    containers.propose,
    account_lock.propose,
    ssh_keys.propose,
    sudo_drop_ins.propose,
    standing_rights.propose,
    linger.propose,
    login_sessions.propose,
)
"""What would start the agent again, and what it could still use."""
