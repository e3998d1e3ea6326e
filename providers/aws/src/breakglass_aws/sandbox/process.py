"""Starts the sandbox as a program of its own and talks to its control address."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from breakglass.errors import ProviderError, Unsupported

CONTROL = "/_breakglass/"
ACCOUNT = "123456789012"
REGION = "eu-west-1"
START_S = 60.0
ANSWER_S = 60.0


@dataclass(slots=True)
class Sandbox:
    """A running sandbox. `endpoint` is what any SDK may be pointed at."""

    endpoint: str
    _process: subprocess.Popen[str] = field(repr=False)

    def control(self, verb: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Ask its control address: `reset`, `settings`, `calls`, `state` and so on.

        Raises:
            ProviderError: it refused, or it has ended.
        """
        data = json.dumps(body or {}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own program on loopback
            f"{self.endpoint}{CONTROL}{verb}", data=data, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 - as above
                return json.loads(answer.read())
        except (OSError, ValueError) as error:
            said = (
                error.read().decode(errors="replace")[:500]
                if isinstance(error, urllib.error.HTTPError)
                else ""
            )
            raise ProviderError(f"the sandbox does not answer {verb}: {error} {said}".rstrip()) from error

    def close(self) -> None:
        """End it; safe to repeat."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def start(arguments: Sequence[str] = ()) -> Sandbox:
    """Start a sandbox on a free port of loopback and wait until it answers.

    Raises:
        Unsupported: what it needs is not installed.
    """
    command = [sys.executable, "-I", "-m", "breakglass_aws.sandbox", "--port", "0", "--quiet", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line.startswith("http://"):
        process.kill()
        process.wait()
        raise Unsupported(
            "the AWS sandbox does not start",
            remedy="pip install 'breakglass[sandbox]', then: python -m breakglass_aws.sandbox",
        )
    return Sandbox(line.strip(), process)
