"""Lists what discovery reads, so that the printed role holds it."""

from __future__ import annotations

from breakglass_kubernetes.discover.friends import CERTIFICATES
from breakglass_kubernetes.discover.marked import LABELLED, MADE
from breakglass_kubernetes.kinds import CUSTOM_RESOURCES, NAMESPACES, Kind

_LISTED: tuple[Kind, ...] = (*LABELLED, *MADE, CUSTOM_RESOURCES, CERTIFICATES)
_GOT: tuple[Kind, ...] = (NAMESPACES, *(kind for kind in (*LABELLED, *MADE) if kind != CUSTOM_RESOURCES))
"""One by one, where the audit log names them."""
DISCOVERY = tuple(
    dict.fromkeys(
        (*(f"list {kind.name}" for kind in _LISTED), *(f"get {kind.name}" for kind in _GOT), "get /apis")
    )
)
