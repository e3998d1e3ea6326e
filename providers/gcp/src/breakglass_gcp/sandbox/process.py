"""Starts the sandbox as a program of its own and talks to its control address."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from breakglass.provider.sandbox_program import CONTROL, SandboxProgram

__all__ = ["ADMIN", "CONTROL", "Sandbox", "start"]
ADMIN = "admin@sandbox.example"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox: `grpc` and `rest` are what Google's clients may be pointed at."""

    grpc: str
    rest: str
    program: SandboxProgram = field(repr=False)

    def control(self, verb: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Ask its control address: `project`, `token`, `faults`, `calls`, `state` and so on.

        Raises:
            ProviderError: it refused, or it has ended.
        """
        return self.program.ask(self.rest, verb, body)

    def close(self) -> None:
        """End it; safe to repeat."""
        self.program.close()


def start(arguments: Sequence[str] = ()) -> Sandbox:
    """Start a sandbox on two free ports of loopback and wait until it answers.

    Raises:
        Unsupported: what it needs is not installed.
    """
    ports = ("--port", "0", "--rest-port", "0", *arguments)
    program = SandboxProgram.start(
        "GCP", "breakglass_gcp.sandbox", ports, begins="{", env={"GRPC_VERBOSITY": "NONE"}
    )
    told = json.loads(program.first_line)
    return Sandbox(told["grpc"], told["rest"], program)
