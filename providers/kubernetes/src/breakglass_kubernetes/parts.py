"""Lists the modules that this provider is made of: each exposes `SPECS`, `ACTION_CLASSES` and `propose`."""

from __future__ import annotations

from collections.abc import Callable

from breakglass.model.action import ActionSpec
from breakglass.provider import Action, Proposed
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found

Propose = Callable[[Cluster, Found], Proposed]

ACTION_CLASSES: tuple[Callable[[Cluster], Action], ...] = ()
SPECS: tuple[ActionSpec, ...] = ()
PROPOSE: tuple[Propose, ...] = ()
"""In the order in which their steps should stand in a plan."""
