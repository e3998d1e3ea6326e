"""Hands a call to moto, and says clearly where moto has nothing to answer."""

from __future__ import annotations

import functools
import json
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from breakglass_aws.sandbox.call import Call, Refusal
from breakglass_aws.sandbox.wire import Received, Understood

Answer = tuple[int, list[tuple[str, str]], bytes]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
MANAGED_POLICIES = (
    "AWSCompromisedKeyQuarantineV2",
    "AWSCompromisedKeyQuarantineV3",
    "AWSDenyAll",
    "AWSLambdaBasicExecutionRole",
    "AdministratorAccess",
    "PowerUserAccess",
    "ReadOnlyAccess",
)
"""The AWS managed policies of every account of the sandbox; all thousand would slow down each reset."""
NOT_FOUND = 404


class Moto:
    """The backend, in this process."""

    def __init__(self) -> None:
        """Load no service yet."""
        from moto.core.config import default_user_config

        default_user_config["iam"] = {"load_aws_managed_policies": True}
        default_user_config["lambda"] = {"use_docker": False}
        default_user_config["batch"] = {"use_docker": False}
        _few_managed_policies()
        self._gate = threading.Lock()
        self._applications: dict[str, Wsgi] = {}

    def answer(self, call: Call, received: Received, understood: Understood) -> Answer:
        """Answer a call as moto does.

        Raises:
            Refusal: moto lacks the operation (501), or failed at it (500).
        """
        if not _has(call.service):
            raise lacking(call)
        environ = received.fresh()
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = call.account
        said: list[Any] = []
        try:
            application = self._application(call.service)
            parts = application(environ, lambda status, headers, _=None: said.extend((status, headers)))
            body = b"".join(parts)
        except NotImplementedError as error:  # moto's own word for an operation that it lacks
            raise lacking(call) from error
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            raise Refusal(
                "InternalFailure", f"moto failed at {call.service}:{call.operation}: {error!r}", 500
            ) from error
        status, headers = int(said[0].split()[0]), list(said[1])
        kind = dict(headers).get("Content-Type", "")
        if (
            status == NOT_FOUND
            and understood.service != "s3"
            and kind.startswith("text/html")
            and b"<Code>" not in body
        ):
            raise lacking(call)
        return status, headers, body

    def _application(self, service: str) -> Wsgi:
        """Return moto's application of a service; moto's dispatcher would serve its control paths too."""
        from moto.moto_server.werkzeug_app import create_backend_app

        with self._gate:
            if service not in self._applications:
                self._applications[service] = create_backend_app(_module(service))
            return self._applications[service]

    def forget(self) -> None:
        """Forget everything."""
        from moto.moto_api._internal import moto_api_backend

        moto_api_backend.reset()


def lacking(call: Call) -> Refusal:
    """Return the refusal of what neither moto nor the sandbox's own handlers can do."""
    return Refusal("NotImplementedBySandbox", f"the sandbox has no {call.service}:{call.operation}", 501)


def of_moto(error: Exception) -> Refusal | None:
    """Return what moto's models refuse with, for handlers that use them; None: it is no refusal."""
    from moto.core.exceptions import ServiceException
    from werkzeug.exceptions import HTTPException

    if isinstance(error, ServiceException):
        return Refusal(str(error.code), str(error.message))
    code = getattr(error, "error_type", None)
    if isinstance(error, HTTPException) and code:
        return Refusal(str(code), str(getattr(error, "message", "")), int(error.code or 400))
    return None


def serialised(understood: Understood, result: Mapping[str, Any]) -> Answer:
    """Write a result as the service does."""
    from moto.core.serialize import get_serializer_class

    kind = get_serializer_class(understood.service, understood.protocol)
    told = kind(operation_model=understood.operation).serialize(result)
    body = told["body"]
    if hasattr(body, "read"):
        body = body.read()
    whole = body.encode() if isinstance(body, str) else bytes(body or b"")
    return int(told["status_code"]), [(name, str(value)) for name, value in told["headers"].items()], whole


def with_parameter(received: Received, name: str, value: str) -> Received:
    """Return a request of the query protocol with one more parameter."""
    import dataclasses

    return dataclasses.replace(received, body=received.body + b"&" + urlencode({name: value}).encode())


@functools.cache
def _has(service: str) -> bool:
    from moto.backends import list_of_moto_modules

    return _module(service) in set(list_of_moto_modules())


def _module(service: str) -> Any:  # noqa: ANN401 - moto has a literal type of all its names
    """Return moto's name of a service."""
    return {"lambda": "awslambda"}.get(service, service.replace("-", ""))


def _few_managed_policies() -> None:
    """Let moto know a few of AWS's managed policies: it reads them all again for each account otherwise."""
    import moto.iam.models as iam

    whole = json.loads(iam.aws_managed_policies_data)
    if len(whole) > len(MANAGED_POLICIES):
        iam.aws_managed_policies_data = json.dumps({name: whole[name] for name in MANAGED_POLICIES})
