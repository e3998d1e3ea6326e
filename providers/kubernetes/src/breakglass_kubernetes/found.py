"""What discovery found, for the parts that propose steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.ownership import Held
from breakglass_kubernetes.scope import Scope


@dataclass(frozen=True, slots=True)
class Found:
    """What is the agent's here, and who else is touched by a cut."""

    scope: Scope
    """What every step of this reach is closed over."""
    held: Held
    """Its workloads and pods, as they were read."""
    custom: Mapping[str, Kind] = field(default_factory=dict)
    """Custom resources that the cluster serves and that matter here, by ``plural.group``."""
    scalable: tuple[Kind, ...] = ()
    """Custom resources with a scale subresource, of which the agent has any."""
    scale_paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """``plural.group`` of those -> where an object says how many, as ``("spec", "replicas")``."""
    webhooks: tuple[str, ...] = ()
    """Webhook configurations that it labelled or made: ``validating/NAME``, ``mutating/NAME``."""
    api_services: tuple[str, ...] = ()
    """Aggregated APIs that it labelled or made."""
    sharers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """``NS/NAME`` of an account -> who else's workloads run as it; the blast radius."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Key of a thing -> why it counts as the agent's, where that is not the inventory."""
    user: str = ""
    """The executor's own name at the API server."""
    user_groups: tuple[str, ...] = ()
