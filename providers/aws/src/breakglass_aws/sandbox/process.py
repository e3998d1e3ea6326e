"""Starts the sandbox as a program of its own and talks to its control address."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from breakglass.errors import ProviderError, Unsupported

CONTROL = "/_breakglass/"
ACCOUNT = "123456789012"
REGION = "eu-west-1"
START_S = 60.0
ANSWER_S = 60.0
LONGEST_SAID = 4000


@dataclass(slots=True)
class Sandbox:
    """A running sandbox. `endpoint` is what any SDK may be pointed at."""

    endpoint: str
    _process: subprocess.Popen[str] = field(repr=False)
    _said: IO[str] = field(repr=False)

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
            ended = "" if self._process.poll() is None else f"; it has ended and said last: {self.said()}"
            raise ProviderError(
                f"the sandbox does not answer {verb}: {error} {said}".rstrip() + ended
            ) from error

    def said(self) -> str:
        """Return the end of what it said about its own failures."""
        return _tail(self._said)

    def close(self) -> None:
        """End it; safe to repeat."""
        self._process.terminate()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()


def start(arguments: Sequence[str] = ()) -> Sandbox:
    """Start a sandbox on a free port of loopback and wait until it answers.

    Raises:
        Unsupported: what it needs is not installed.
    """
    command = [sys.executable, "-I", "-m", "breakglass_aws.sandbox", "--port", "0", "--quiet", "--until-eof"]
    said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - lives as long as the process
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
    )
    sandbox = Sandbox("", process, said)
    sandbox.endpoint = (process.stdout.readline() if process.stdout is not None else "").strip()
    if not sandbox.endpoint.startswith("http://"):
        why = sandbox.said().strip().rpartition("\n")[2]
        sandbox.close()
        raise Unsupported(
            f"the AWS sandbox does not start: {why}".rstrip(": "),
            remedy="pip install 'breakglass[sandbox]', then: python -m breakglass_aws.sandbox",
        )
    return sandbox


def _tail(file: IO[str]) -> str:
    if file.closed:
        return ""
    file.flush()
    file.seek(0)
    return file.read()[-LONGEST_SAID:]
