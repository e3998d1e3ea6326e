"""Reads the agent's Lambda functions, and whose mapping is whose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from breakglass.errors import Gone
from breakglass_aws.account import Account
from breakglass_aws.found import Found

CONTROL_PLANE = "Lambda quotas: 15 control plane requests a second, all together"
_NAME = 6
"""arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]: the name is the seventh part."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the agent's; `config` is None where there is none of this name."""

    name: str
    config: Mapping[str, Any] | None

    @property
    def managed_instances(self) -> bool:
        """Return whether it runs on Lambda Managed Instances: no concurrency can be reserved for those."""
        return bool(self.config and self.config.get("CapacityProviderConfig"))

    @property
    def durable(self) -> bool:
        """Return whether its executions outlive an invocation (Lambda API reference, DurableConfig)."""
        return bool(self.config and self.config.get("DurableConfig"))


def functions(account: Account, found: Found) -> Iterator[Function]:
    """Yield the agent's functions as they are now."""
    for name in found.of("functions"):
        try:
            config = account.call("lambda", "get_function_configuration", FunctionName=name)
        except Gone:
            config = None
        yield Function(name, config)


def function_of(arn: str) -> str:
    """Return the name in a function's ARN, of a version's or an alias's too."""
    parts = arn.split(":")
    return parts[_NAME] if len(parts) > _NAME else arn


def qualifier_of(arn: str) -> str:
    """Return the version or alias in a function's ARN; empty where it has none."""
    return ":".join(arn.split(":")[_NAME + 1 :])


def mappings(account: Account) -> Iterator[Mapping[str, Any]]:
    """Yield every event source mapping of the region.

    A listing by name leaves open whether mappings of aliases and versions come with it (Lambda API
    reference, ListEventSourceMappings), and an alias may be made between two listings: all are read, and
    each says in its own ARN whose it is.
    """
    return account.pages("lambda", "list_event_source_mappings", "EventSourceMappings")
