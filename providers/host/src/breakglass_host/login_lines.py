"""Finds the log lines that name an account, and takes their secrets out without what the evidence is about.

``Accepted password for bot from 192.0.2.7`` and sudo's ``PWD=`` look to a redactor like a secret behind its
name. So what these programs say in their own fixed words is kept, and only what stands around it is redacted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from breakglass_host.redact import Redactor


@dataclass(slots=True)
class LoginLines:
    """The lines of one account."""

    user: bytes
    redactor: Redactor
    _named: re.Pattern[bytes] = field(init=False)
    _fixed: re.Pattern[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Make the patterns of this account's name."""
        name = re.escape(self.user)
        self._named = re.compile(rb"(?<![\w.-])%b(?![\w-])" % name)
        self._fixed = re.compile(
            rb"(?:Accepted|Failed) [a-z/-]{1,40} for (?:invalid user )?%b"
            rb" from [0-9a-fA-F.:]{2,45} port \d{1,5}"
            rb"|session (?:opened|closed) for user %b(?![\w-])"
            rb"|%b : (?:[a-z ]{1,60} ; )?TTY=[\w/]{1,40} ; PWD=/[\w./@+-]{0,200}"
            rb" ; USER=[\w.-]{1,32} ; COMMAND=" % (name, name, name)
        )

    def names(self, line: bytes) -> bool:
        """Return True where a line names the account."""
        return self._named.search(line) is not None

    def shown(self, line: bytes) -> bytes:
        """Return the line without secrets."""
        fixed = self._fixed.search(line)
        if fixed is None:
            return self.redactor.data(line)
        before, behind = line[: fixed.start()], line[fixed.end() :]
        return self.redactor.data(before) + fixed[0] + self.redactor.data(behind)
