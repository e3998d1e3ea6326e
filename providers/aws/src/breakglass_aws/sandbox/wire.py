"""Reads a request of HTTP as the API call that it is, with botocore's service models."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import Request
from moto.core.routing import ProtocolRouter, get_router_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from breakglass_aws.sandbox.call import Refusal

Environ = dict[str, Any]
BY_SIGNING_NAME: Mapping[str, tuple[str, ...]] = {
    "apigateway": ("apigatewayv2", "apigateway"),
    "bedrock": ("bedrock-agent", "bedrock-agent-runtime", "bedrock-runtime", "bedrock"),
    "bedrock-agentcore": ("bedrock-agentcore", "bedrock-agentcore-control"),
    "access-analyzer": ("accessanalyzer",),
    "dynamodb": ("dynamodb", "dynamodbstreams"),
    "elasticloadbalancing": ("elbv2", "elb"),
    "monitoring": ("cloudwatch",),
    "sso": ("sso-admin",),
    "states": ("stepfunctions",),
    "tagging": ("resourcegroupstaggingapi",),
}
"""Signing name -> the services with it in botocore's models, where that is not the service's own name."""
PROTOCOLS = ("json", "rest-json", "rest-xml", "query", "ec2")
"""In the order in which botocore chooses, of those that the sandbox speaks."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived."""

    method: str
    path: str
    """Still percent-encoded."""
    query: str
    headers: Mapping[str, str]
    """Names in lower case, with dashes."""
    body: bytes
    source_ip: str
    environ: Environ

    def fresh(self) -> Environ:
        """Return the environment with the body to be read again."""
        environ = dict(self.environ)
        environ["wsgi.input"] = io.BytesIO(self.body)
        environ["CONTENT_LENGTH"] = str(len(self.body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ.pop("wsgi.input_terminated", None)
        return environ


@dataclass(frozen=True, slots=True)
class Understood:
    """Which operation of which service, in which protocol, with which parameters."""

    service: str
    operation: OperationModel
    protocol: str
    params: dict[str, Any]


def receive(environ: Environ) -> Received:
    """Read a request to its end."""
    chunked = environ.get("wsgi.input_terminated")
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read() if chunked else environ["wsgi.input"].read(length) if length else b""
    path, _, query = str(environ.get("RAW_URI") or environ["PATH_INFO"]).partition("?")
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2]
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return Received(
        environ["REQUEST_METHOD"],
        path,
        query,
        headers,
        body,
        environ.get("REMOTE_ADDR", "127.0.0.1"),
        environ,
    )


def understand(received: Received, signing_name: str) -> Understood:
    """Find service, operation and parameters.

    Raises:
        Refusal: no service with this signing name has such an operation, or the body cannot be read.
    """
    form = _form(received)
    for service in services_of(signing_name, received.path):
        model = _model(service)
        if model is None:
            continue
        found = _match(received, model, service, form)
        if found is not None:
            operation, protocol, values, labels = found
            return Understood(
                service, operation, protocol, _parse(received, operation, protocol, values, labels)
            )
    raise Refusal(
        "UnknownOperationException", f"{signing_name} has no operation {received.method} {received.path}", 404
    )


def services_of(signing_name: str, path: str) -> Iterable[str]:
    """Return the services, by botocore's names, that sign with this name."""
    if signing_name == "s3" and path.startswith("/v20180820/"):
        return ("s3control",)
    if signing_name == "bedrock" and "/agentAliases/" in path:
        # On AWS the host tells them apart; the control plane spells it in small letters.
        return ("bedrock-agent-runtime",)
    return BY_SIGNING_NAME.get(signing_name, (signing_name,))


def protocol_of(service: str) -> str:
    """Return the protocol that a service's errors are told in."""
    model = _model(service)
    return "query" if model is None else _protocol(model)


def _match(
    received: Received, model: ServiceModel, service: str, form: Mapping[str, str]
) -> tuple[OperationModel, str, Any, dict[str, Any]] | None:
    protocol = _protocol(model)
    target = received.headers.get("x-amz-target")
    if protocol == "json" and target is not None:
        prefix, _, name = target.rpartition(".")
        known = prefix == model.metadata.get("targetPrefix") and name in model.operation_names
        return (model.operation_model(name), protocol, {}, {}) if known else None
    if protocol in ("query", "ec2", "json"):
        name = form.get("Action", "")
        spoken = "query" if protocol == "json" else protocol
        return (model.operation_model(name), spoken, form, {}) if name in model.operation_names else None
    request = Request(received.fresh())
    try:
        operation, labels = _router(service, protocol).match(request)
    except HTTPException:
        return None
    return operation, protocol, request.args, labels


def _parse(
    received: Received,
    operation: OperationModel,
    protocol: str,
    values: Any,  # noqa: ANN401 - a dict, or werkzeug's own with many values a name
    labels: dict[str, Any],
) -> dict[str, Any]:
    headers = {name.title(): value for name, value in received.headers.items()}
    parser = PROTOCOL_PARSERS[protocol](operation)
    try:
        parsed = parser.parse(
            {
                "method": received.method,
                "values": values,
                "headers": _Headers(headers),
                "body": received.body,
                "url_path": received.path,
                "url_params": labels,
            }
        )
    except (RequestParserError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise Refusal("SerializationException", f"the request cannot be read: {error}") from error
    return {name: value for name, value in (parsed or {}).items() if value is not None}


class _Headers(dict[str, str]):
    """Headers that are found whatever the case of their names."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())


def _form(received: Received) -> Mapping[str, str]:
    text = received.query
    if received.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        text = (
            f"{text}&{received.body.decode(errors='replace')}"
            if text
            else received.body.decode(errors="replace")
        )
    if "Action=" not in text:
        return {}
    pairs = parse_qsl(text, keep_blank_values=True)
    form = dict(pairs)
    if len(form) != len(pairs):  # who authorises and who carries out must not read different ones
        raise Refusal("MalformedQueryString", "a parameter is given twice")
    return form


@functools.cache
def _model(service: str) -> ServiceModel | None:
    from botocore.exceptions import UnknownServiceError

    try:
        return get_service_model(service)
    except UnknownServiceError:
        return None


@functools.cache
def _protocol(model: ServiceModel) -> str:
    spoken = model.metadata.get("protocols") or [model.metadata["protocol"]]
    return next(one for one in PROTOCOLS if one in spoken)


@functools.cache
def _router(service: str, protocol: str) -> ProtocolRouter:
    kind = get_router_class(service, protocol)
    model = _model(service)
    assert kind is not None and model is not None  # noqa: S101, PT018 - both are looked up before
    return kind(model)
