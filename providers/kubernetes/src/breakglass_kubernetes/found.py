"""What discovery found, for the parts that propose steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
    policy_bindings: tuple[str, ...] = ()
    """Bindings of admission policies that it labelled or made, by key."""
    sharers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """``NS/NAME`` of an account -> who else's workloads run as it; the blast radius."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Key of a thing -> why it counts as the agent's, where that is not the inventory."""
    user: str = ""
    """The executor's own name at the API server."""
    user_groups: tuple[str, ...] = ()

    def knowing(self, *kinds: Kind) -> Scope:
        """Return the scope for a step over these kinds: what is the agent's by now stays so by its uid.

        An agent may take its labels and owners off between the signatures and the stop; also a stop that
        another process goes on with knows them then.
        """
        names = frozenset(kind.name for kind in kinds)
        uids = sorted(thing.uid for thing in self.held.things if thing.kind.name in names)
        return replace(self.scope, signed=tuple(uids))
