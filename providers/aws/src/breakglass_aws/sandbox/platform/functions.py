"""Lambda functions: found in moto, throttled, and run."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass_aws.sandbox.call import Call, Refusal
from breakglass_aws.sandbox.platform.acting import ACTING, act
from breakglass_aws.sandbox.platform.backends import refusals
from breakglass_aws.sandbox.platform.sessions import SESSIONS
from breakglass_aws.sandbox.platform.settings import SETTINGS

LIMIT = "ReservedFunctionConcurrentInvocationLimitExceeded"


@dataclass(slots=True)
class Run:
    """One invocation that goes on."""

    number: int
    name: str
    role_arn: str
    until: float


@dataclass(slots=True)
class Runs:
    """Invocations under way; no API ends one (Lambda Developer Guide, "Lambda runtime environment")."""

    _going: dict[int, Run] = field(default_factory=dict)
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, function: Any) -> Run:  # noqa: ANN401 - moto's
        """Run a function: its calls once now, and again at each tick while it lasts."""
        name = str(function.function_name)
        lasts = max((deed.lasts_s for deed in SETTINGS.deeds(f"function/{name}")), default=0.0)
        with self._lock:
            self._count += 1
            run = Run(self._count, name, str(function.role), time.monotonic() + lasts)
            if lasts:
                self._going[run.number] = run
        _round(run)
        return run

    def tick(self, now: float) -> None:
        """Let every run that goes on make its calls."""
        with self._lock:
            self._going = {number: run for number, run in self._going.items() if run.until > now}
            going = list(self._going.values())
        for run in going:
            ACTING.submit(f"run {run.number}", lambda run=run: _round(run))  # type: ignore[misc]

    def goes_on(self, run: Run) -> bool:
        """Say whether a run has not ended."""
        return run.number in self._going and run.until > time.monotonic()

    def forget(self) -> None:
        """End everything."""
        with self._lock:
            self._going.clear()


def _round(run: Run) -> None:
    channel = f"function/{run.name}"
    keys = SESSIONS.of(channel, run.role_arn, run.name)
    if keys is not None:
        act(channel, keys)


RUNS = Runs()


def existing() -> Iterator[tuple[str, str, Any]]:
    """Yield (account, region, moto's backend)."""
    from moto.awslambda_simple.models import lambda_simple_backends

    from breakglass_aws.sandbox.platform import backends

    yield from backends.existing(lambda_simple_backends)


def find(account: str, region: str, name: str, qualifier: str | None = None) -> Any:  # noqa: ANN401 - moto's
    """Return a function by name, partial or whole ARN; None where there is none."""
    from moto.awslambda_simple.models import lambda_simple_backends

    bare, own = split(name)
    try:
        return lambda_simple_backends[account][region].get_function(bare, qualifier or own)
    except refusals():
        return None


def split(name: str) -> tuple[str, str | None]:
    """Return the bare name and the qualifier of what a caller may name a function by.

    Lambda API reference, Invoke: NAME, NAME:QUALIFIER, ACCOUNT:function:NAME and the whole ARN.
    """
    tail = name.rsplit(":function:", 1)[-1].removeprefix("function:")
    bare, _, qualifier = tail.partition(":")
    return bare, qualifier or None


def reserved(account: str, region: str, name: str) -> int | None:
    """Return the reserved concurrency of a function as a whole; None where none is set."""
    found = find(account, region, split(name)[0])
    value = getattr(found, "reserved_concurrency", None)
    return None if value is None else int(value)


def throttled(account: str, region: str, name: str) -> bool:
    """Say whether no invocation may begin."""
    return reserved(account, region, name) == 0


def invoke(account: str, region: str, name: str, qualifier: str | None = None) -> bool:
    """Run a function for a service of AWS, off this thread; say whether it began."""
    found = find(account, region, name, qualifier)
    if found is None or throttled(account, region, name):
        return False
    run = time.monotonic_ns()
    return ACTING.submit(f"invoke {run} {name}", lambda: RUNS.begin(found))


def guard_invoke(call: Call) -> None:
    """Refuse what Lambda refuses before it runs anything.

    Lambda API reference, TooManyRequestsException; an asynchronous event is accepted and never runs
    (Lambda Developer Guide, "Configuring reserved concurrency").
    """
    name = str(call.params["FunctionName"])
    if find(call.account, call.region, name, call.params.get("Qualifier")) is None:
        arn = f"arn:aws:lambda:{call.region}:{call.account}:function:{split(name)[0]}"
        raise Refusal("ResourceNotFoundException", f"Function not found: {arn}", 404)
    if call.params.get("InvocationType") == "Event":
        return
    if throttled(call.account, call.region, name):
        raise Refusal("TooManyRequestsException", f"Rate Exceeded. {LIMIT}", 429)


def invoked(backend: Any, name: str, qualifier: str | None, headers: Mapping[str, Any]) -> bytes:  # noqa: ANN401
    """Answer an Invoke that has passed the front: run it, or take the event."""
    account, region = str(backend.account_id), str(backend.region_name)
    kind = headers.get("X-Amz-Invocation-Type") or "RequestResponse"
    found = find(account, region, name, qualifier)
    if kind == "DryRun" or found is None:
        return b"{}"
    if kind == "Event":
        invoke(account, region, name, qualifier)
        return b""
    run = RUNS.begin(found)
    while RUNS.goes_on(run):
        time.sleep(0.05)
    return b"{}"


def call_url(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Answer an unsigned GET of a function's URL with its HTTP status.

    Lambda Developer Guide, "Security and auth model for Lambda function URLs" and, for 429, "Throttling
    function URLs".
    """
    from breakglass_aws.sandbox.platform.service_access import lets_in

    name = str(body["function"])
    for account, region, _ in existing():
        found = find(account, region, name)
        config = getattr(found, "url_config", None)
        if found is None or config is None:
            continue
        if throttled(account, region, name):
            return {"status": 429}
        open_to_all = lets_in(policy_of(found), "*", "lambda:InvokeFunctionUrl", "")
        if config.config.get("AuthType") != "NONE" or not open_to_all:
            return {"status": 403}
        RUNS.begin(found)
        return {"status": 200}
    return {"status": 404}


def policy_of(function: Any) -> str | None:  # noqa: ANN401 - moto's
    """Return a function's resource policy as text."""
    policy = getattr(function, "policy", None)
    return None if policy is None else json.dumps({"Statement": policy.statements})


def admits(account: str, region: str, name: str, service: str, source_arn: str) -> bool:
    """Say whether a function's policy lets a service invoke it."""
    from breakglass_aws.sandbox.platform.service_access import lets_in

    return lets_in(
        policy_of(find(account, region, split(name)[0])), service, "lambda:InvokeFunction", source_arn
    )


GUARDS = {("lambda", "Invoke"): (guard_invoke,), ("lambda", "InvokeAsync"): (guard_invoke,)}
