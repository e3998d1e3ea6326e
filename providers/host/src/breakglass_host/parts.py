"""Lists the modules that this provider is made of: each exposes `ACTION_CLASSES`, some also `propose`."""

from __future__ import annotations

from collections.abc import Callable

from breakglass.provider import Action, Connection
from breakglass_host.actions import egress, end_tree, freeze, signal_tree
from breakglass_host.proposed import Proposed

Propose = Callable[[Connection, str | None, str], Proposed]

ACTION_CLASSES: tuple[Callable[[Connection], Action], ...] = (
    *freeze.ACTION_CLASSES,
    *egress.ACTION_CLASSES,
    *end_tree.ACTION_CLASSES,
    *signal_tree.ACTION_CLASSES,
)
SPECS = (freeze.SPEC, egress.SPEC, end_tree.SPEC, signal_tree.PAUSE_SPEC, signal_tree.STOP_SPEC)
EVIDENCE: tuple[Propose, ...] = ()
"""What must be out before the tree is killed."""
OTHERS: tuple[Propose, ...] = ()
"""What would start the agent again, and what it could still use."""
