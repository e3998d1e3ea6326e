"""Starts the sandbox as a program of its own and talks to its control address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from breakglass.provider.sandbox_program import CONTROL, SandboxProgram

__all__ = ["ACCOUNT", "CONTROL", "REGION", "Sandbox", "start"]
ACCOUNT = "123456789012"
REGION = "eu-west-1"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox. `endpoint` is what any SDK may be pointed at."""

    endpoint: str
    program: SandboxProgram = field(repr=False)

    def control(self, verb: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Ask its control address: `reset`, `settings`, `calls`, `state` and so on.

        Raises:
            ProviderError: it refused, or it has ended.
        """
        return self.program.ask(self.endpoint, verb, body)

    def close(self) -> None:
        """End it; safe to repeat."""
        self.program.close()


def start(arguments: Sequence[str] = ()) -> Sandbox:
    """Start a sandbox on a free port of loopback and wait until it answers.

    Raises:
        Unsupported: what it needs is not installed.
    """
    module = "breakglass_aws.sandbox"
    program = SandboxProgram.start("AWS", module, ("--port", "0", *arguments), begins="http://", env={})
    return Sandbox(program.first_line, program)
