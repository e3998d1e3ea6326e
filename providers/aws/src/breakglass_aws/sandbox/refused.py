"""Says why a call was refused, and reads why moto refused one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from breakglass_aws.sandbox.authority import ALLOWED, EXPLICIT, Ruling
from breakglass_aws.sandbox.call import Call, Refusal
from breakglass_aws.sandbox.credentials import Identity
from breakglass_aws.sandbox.wire import Understood

FIRST_ERROR = 400


def unruled(call: Call, identity: Identity, error: Exception) -> Ruling:
    """Rule where the evaluator cannot: the administrator may set things up, nobody else is guessed about.

    Raises:
        Refusal: it is not the administrator.
    """
    if identity.kind == "root":
        return Ruling(
            allowed=True, code_word=ALLOWED, action=f"{call.service}:{call.operation}", resource="*", why=""
        )
    raise Refusal(
        "NotImplementedBySandbox", f"the sandbox cannot rule on {call.service}:{call.operation}: {error}", 501
    ) from error


def denied(call: Call, ruling: Ruling) -> str:
    """Say it as AWS does (IAM User Guide "Troubleshoot access denied error messages")."""
    how = "with an explicit deny" if ruling.code_word == EXPLICIT else "because no policy allows it"
    resource = f" on resource: {ruling.resource}" if ruling.resource not in ("", "*") else ""
    return f"User: {call.caller} is not authorized to perform: {ruling.action}{resource} {ruling.why or how}"


def with_status(error: Refusal, understood: Understood | None) -> Refusal:
    """Give a refusal the status that the service's model has for its code, where none was chosen."""
    if understood is None or error.status != FIRST_ERROR:
        return error
    shape: Any = understood.operation.service_model.shape_for_error_code(error.code)
    details: Mapping[str, Any] = {} if shape is None else shape.metadata.get("error", {})
    return Refusal(error.code, error.message, int(details.get("httpStatusCode", error.status)))


def code_in(headers: Iterable[tuple[str, str]], body: bytes) -> str:
    """Return the code of an error as moto wrote it."""
    for name, value in headers:
        if name.lower() == "x-amzn-errortype":
            return value.partition(":")[0].rpartition("#")[2]
    found = re.search(rb"<Code>([^<]+)</Code>", body)
    if found:
        return found[1].decode()
    try:
        told = json.loads(body)
    except ValueError:
        return "Unknown"
    return (
        str(told.get("__type") or told.get("code") or "Unknown").rpartition("#")[2]
        if isinstance(told, dict)
        else ""
    )
