"""Remembers every call: who, what, whether it was allowed and when that was decided."""

from __future__ import annotations

import base64
import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.credentials import Identity

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""As CloudTrail writes it."""
SECRETS = frozenset(
    {
        "Body",
        "Environment",
        "NewPassword",
        "OldPassword",
        "Password",
        "Plaintext",
        "PrivateKey",
        "SecretAccessKey",
        "SecretBinary",
        "SecretString",
        "TokenCode",
        "WebIdentityToken",
        "ZipFile",
    }
)
LONGEST_ANSWER = 65_536
_READS = ("Get", "List", "Describe", "Lookup", "Head", "BatchGet", "Simulate", "Filter", "Receive")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call as it was answered."""

    n: int
    at_ms: int
    monotonic_us: int
    call: Call
    identity: Identity | None
    """None: nobody was authenticated."""
    action: str
    resource: str
    allowed: bool
    """Carried out as far as the service let it; False: refused before, or kept from happening by a fault."""
    code: str
    """The error's code; empty when it succeeded."""
    fault: str | None
    status: int
    answer: bytes = field(repr=False)
    """The body of a write's answer as it was sent; empty for reads. Holds what was secret in it."""

    def as_json(self) -> dict[str, Any]:
        """Return it as the control address tells it."""
        return {
            "n": self.n,
            "at_ms": self.at_ms,
            "monotonic_us": self.monotonic_us,
            "access_key": self.call.access_key,
            "principal": self.call.caller,
            "account": self.call.account,
            "region": self.call.region,
            "service": self.call.service,
            "operation": self.call.operation,
            "action": self.action,
            "resource": self.resource,
            "allowed": self.allowed,
            "code": self.code,
            "fault": self.fault,
            "params": plain(self.call.params),
        }


@dataclass(slots=True)
class Record:
    """Every call since the last reset."""

    _calls: list[Recorded] = field(default_factory=list)
    _gate: threading.Lock = field(default_factory=threading.Lock)

    def add(  # noqa: PLR0913 - one call's whole story
        self,
        call: Call,
        identity: Identity | None,
        ruled: tuple[str, str],
        *,
        allowed: bool,
        code: str,
        fault: str | None,
        status: int,
        body: bytes,
    ) -> None:
        """Keep one call, now; `ruled` is IAM's action and the resource."""
        kept = b"" if call.operation.startswith(_READS) or len(body) > LONGEST_ANSWER else body
        clean = without_secrets(call)
        with self._gate:
            now_us, now_ms = time.monotonic_ns() // 1000, time.time_ns() // 1_000_000
            self._calls.append(
                Recorded(
                    len(self._calls) + 1,
                    now_ms,
                    now_us,
                    clean,
                    identity,
                    *ruled,
                    allowed,
                    code,
                    fault,
                    status,
                    kept,
                )
            )

    def calls(self, since: int = 0) -> list[Recorded]:
        """Return the calls numbered above `since`, oldest first."""
        with self._gate:
            return self._calls[since:]

    def forget(self) -> None:
        """Forget all."""
        with self._gate:
            self._calls = []


RECORD = Record()
RESETS: tuple[Callable[[], None], ...] = (RECORD.forget,)


def calls(since: int = 0) -> list[Recorded]:
    """Return the calls numbered above `since`, oldest first."""
    return RECORD.calls(since)


def without_secrets(call: Call) -> Call:
    """Return the call with nothing in it that may be secret."""
    import dataclasses

    params = {name: _clean(name, value) for name, value in call.params.items()}
    return dataclasses.replace(call, params=params)


def plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def _clean(name: str, value: object) -> object:
    if name in SECRETS:
        return HIDDEN
    if isinstance(value, Mapping):
        return {one: _clean(str(one), held) for one, held in value.items()}
    if isinstance(value, list):
        return [_clean("", one) for one in value]
    return value
