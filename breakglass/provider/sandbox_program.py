"""A cloud's sandbox as a program of its own, with a control address: what starting and asking one takes.

It says where it listens on its first line, and ends with its input, however the one that started it ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from breakglass.errors import ProviderError, Unsupported

CONTROL = "/_breakglass/"
ANSWER_S = 60.0
LONGEST_SAID = 4000


@dataclass(frozen=True, slots=True)
class SandboxProgram:
    """One that runs."""

    process: subprocess.Popen[str]
    first_line: str
    _said: IO[str]

    @classmethod
    def start(
        cls, title: str, module: str, arguments: Sequence[str], *, begins: str, env: Mapping[str, str]
    ) -> SandboxProgram:
        """Start a module and wait for its first line; `begins` tells that line from an error.

        Raises:
            Unsupported: what it needs is not installed.
        """
        said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - lives as long as the process
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-m", module, "--quiet", "--until-eof", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={**os.environ, **env},
        )
        line = (process.stdout.readline() if process.stdout is not None else "").strip()
        program = cls(process, line, said)
        if not line.startswith(begins):
            why = program.said().strip().rpartition("\n")[2]
            program.close()
            raise Unsupported(
                f"the {title} sandbox does not start: {why}".rstrip(": "),
                remedy=f"pip install 'breakglass[sandbox]', then: python -m {module}",
            )
        return program

    def ask(self, base: str, verb: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Ask its control address below `base`.

        Raises:
            ProviderError: it refused, or it has ended.
        """
        data = json.dumps(body or {}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own program on loopback
            f"{base}{CONTROL}{verb}", data=data, headers={"Content-Type": "application/json"}
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
            ended = "" if self.process.poll() is None else f"; it has ended and said last: {self.said()}"
            raise ProviderError(
                f"the sandbox does not answer {verb}: {error} {said}".rstrip() + ended
            ) from error

    def said(self) -> str:
        """Return the end of what it said about its own failures."""
        if self._said.closed:
            return ""
        self._said.flush()
        self._said.seek(0)
        return self._said.read()[-LONGEST_SAID:]

    def close(self) -> None:
        """End it; safe to repeat."""
        self.process.terminate()
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._said.close()
