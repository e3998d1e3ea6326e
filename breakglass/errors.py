"""Every error that breakglass raises on purpose, with the exit code that it ends in.

    BreakglassError                1   a bug of ours
    ├── UsageError                 2   flags, variables, arguments
    │   └── MalformedInput         2   a file that does not parse: file:line:column
    ├── NotAuthorised              5   quorum, signature, roster, nonce, expiry
    │   └── SignaturesMissing      5   a signature is needed and nobody can be asked for it
    ├── StalePlan                  6   the world moved in a way that matters
    │   └── StopInProgress         6   this agent is being stopped already
    ├── RecordDamaged              7   journal or evidence does not verify
    ├── DiskRefused                4   the disk did not keep what must be durable before anything else happens
    ├── Interrupted                4   somebody ended it before it was done
    ├── Unreachable               69   nothing that is needed can be reached
    │   └── Unsupported           69   this platform cannot do it
    └── ProviderError              4   raised by providers, caught by the engine: unknown, or retried
        ├── Transient              4   try again with back-off
        │   └── Throttled          4   try again after `retry_after_s`
        ├── InDoubt                4   whether the change was made is not known: read before anything else
        ├── Denied                 4   the executor may not do this; retrying does not help
        ├── Gone                   4   the resource is not there any more
        └── Drifted                4   revert found something that the stop did not leave

Exit codes 0, 3 and 4 also come from the verdict (``breakglass.model.action.Verdict``).
"""

from __future__ import annotations

from typing import ClassVar

EXIT_PROVEN = 0
EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_NOT_CONTAINED = 3
EXIT_UNKNOWN = 4
EXIT_NOT_AUTHORISED = 5
EXIT_STALE = 6
EXIT_DAMAGED = 7
EXIT_UNREACHABLE = 69

NOTHING_CHANGED = "nothing was changed"


class BreakglassError(Exception):
    """Say what happened, where, what was not done, and what to type next."""

    exit_code: ClassVar[int] = EXIT_BUG

    def __init__(
        self, what: str, *, where: str = "", not_done: str = NOTHING_CHANGED, remedy: str = ""
    ) -> None:
        """Keep the four parts apart, so that a screen and a JSON document can both show them."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.not_done = not_done
        self.remedy = remedy

    def __str__(self) -> str:
        """Return ``where  what``, the one line that always fits."""
        return f"{self.where}  {self.what}" if self.where else self.what


class UsageError(BreakglassError):
    """A flag, an argument or a variable makes no sense here."""

    exit_code = EXIT_USAGE


class MalformedInput(UsageError):
    """A file, a string or an answer does not parse; `where` is file:line:column or the source."""


class NotAuthorised(BreakglassError):
    """The signatures, the roster or the plan's own limits do not allow this."""

    exit_code = EXIT_NOT_AUTHORISED


class SignaturesMissing(NotAuthorised):
    """A signature is needed and there is nobody to ask for it."""


class StalePlan(BreakglassError):
    """The world moved since the plan was made, in a way that matters."""

    exit_code = EXIT_STALE


class StopInProgress(StalePlan):
    """Another stop of this agent holds the lock."""


class RecordDamaged(BreakglassError):
    """A journal, a checkpoint or an evidence file does not verify."""

    exit_code = EXIT_DAMAGED


class DiskRefused(BreakglassError):
    """The disk did not keep what must be durable first, so what depends on it was not done."""

    exit_code = EXIT_UNKNOWN


class Interrupted(BreakglassError):
    """Somebody wanted it to end before it was done, so nothing is known about the rest."""

    exit_code = EXIT_UNKNOWN


class Unreachable(BreakglassError):
    """Nothing that is needed can be reached."""

    exit_code = EXIT_UNREACHABLE


class Unsupported(Unreachable):
    """What was asked cannot be done on this platform."""


class ProviderError(BreakglassError):
    """A provider could not do or read something; the engine decides what that means."""

    exit_code = EXIT_UNKNOWN


class Transient(ProviderError):
    """The call may succeed when it is made again."""


class Throttled(Transient):
    """The platform asked for patience."""

    def __init__(self, what: str, *, retry_after_s: float = 1.0, where: str = "") -> None:
        """Keep the platform's own hint; the engine waits at least that long."""
        super().__init__(what, where=where)
        self.retry_after_s = retry_after_s


class Unsettled(Transient):
    """What was read is on its way to another state: it must be read again before the same is tried again."""


class InDoubt(ProviderError):
    """Whether the change was made is not known: it must be read again before it is tried again."""


class Denied(ProviderError):
    """The executor lacks a right or a secret; the same call will fail again."""


class Gone(ProviderError):
    """The resource does not exist any more."""


class Drifted(ProviderError):
    """The resource is not as the stop left it, so putting it back could do harm."""
