"""Between JSON over HTTP and the message types of Google's clients (google/api/http.proto)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.call import Raw, Refusal

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.routes import Route

SYSTEM = frozenset(
    {"alt", "$alt", "prettyPrint", "key", "access_token", "quotaUser", "userIp", "oauth_token", "callback"}
    | {"fields", "$.xgafv", "uploadType", "upload_protocol", "$fields", "upload_id"}
)
"""Cloud APIs documentation, "System parameters"."""


def parse(kind: Any, data: bytes) -> Any:  # noqa: ANN401 - a message of Google's
    """Return a message of its bytes on the wire."""
    return kind.deserialize(data) if hasattr(kind, "deserialize") else kind.FromString(data)


def serialize(kind: Any, answer: Any) -> bytes:  # noqa: ANN401 - as above
    """Return the bytes of an answer: a message, a mapping of the method's response type, or None: Empty."""
    if answer is None:
        return b""
    message = kind(answer) if isinstance(answer, Mapping) and kind is not None else answer
    data: bytes = pure(message).SerializeToString()
    return data


def pure(message: Any) -> Any:  # noqa: ANN401 - as above
    """Return the protobuf message within a proto-plus one, or the message itself."""
    return type(message).pb(message) if hasattr(type(message), "pb") else message


def request_of(
    route: Route, params: Mapping[str, str], query: Mapping[str, Sequence[str]], body: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - as above
    """Return the typed request of a REST call.

    Raises:
        Refusal: INVALID_ARGUMENT: something in it is not of the request.
    """
    from google.protobuf import json_format

    kind = route.method.request
    message = kind.pb()() if hasattr(kind, "pb") else kind()
    said: dict[str, Any] = dict(body) if route.body == "*" else {}
    if route.body not in ("", "*"):
        said[route.body] = dict(body)
    for name, value in params.items():
        _put(said, name, value, message.DESCRIPTOR)
    for name, values in query.items():
        if name not in SYSTEM:
            _put(said, name, list(values), message.DESCRIPTOR)
    try:
        json_format.ParseDict(said, message)
    except json_format.ParseError as error:
        raise Refusal("INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from error
    return kind.wrap(message) if hasattr(kind, "wrap") else message


def json_of(kind: Any, answer: Any, *, numbers: bool = False) -> bytes:  # noqa: ANN401 - as above
    """Return an answer as JSON; `numbers`: enums as integers (``$alt=json;enum-encoding=int``)."""
    from google.protobuf import json_format

    if answer is None:
        return b"{}"
    if isinstance(answer, Mapping) and kind is None:
        return json.dumps(answer).encode()
    message = kind(answer) if isinstance(answer, Mapping) else answer
    text: str = json_format.MessageToJson(pure(message), use_integers_for_enums=numbers, indent=None)
    return text.encode()


def as_raw(kind: Any, answer: Any, query: Mapping[str, Sequence[str]]) -> Raw:  # noqa: ANN401 - as above
    """Return whatever a handler answered as an HTTP answer."""
    if isinstance(answer, Raw):
        return answer
    numbers = any("enum-encoding=int" in value for value in query.get("$alt", ()))
    return Raw(json_of(kind, answer, numbers=numbers), "application/json; charset=UTF-8")


def _put(said: dict[str, Any], name: str, value: Any, descriptor: Any) -> None:  # noqa: ANN401 - JSON
    head, dot, rest = name.partition(".")
    field = descriptor.fields_by_name.get(head) or descriptor.fields_by_camelcase_name.get(head)
    if field is None:
        raise Refusal("INVALID_ARGUMENT", f'Invalid JSON payload received. Unknown name "{name}"')
    key = field.camelcase_name if field.camelcase_name in said else field.name
    if dot:
        inner = dict(said.get(key) or {})
        if field.message_type.full_name == "google.protobuf.Struct":
            inner[rest] = value
        else:
            _put(inner, rest, value, field.message_type)
        said[key] = inner
        return
    values = value if isinstance(value, list) else [value]
    plain = [_typed(one, field) for one in values]
    said[key] = plain if _repeated(field) else plain[-1]


def _repeated(field: Any) -> bool:  # noqa: ANN401 - a field descriptor
    return bool(field.is_repeated)


def _typed(value: str, field: Any) -> object:  # noqa: ANN401 - a field descriptor
    if field.type == field.TYPE_BOOL:
        return value == "true"
    wrapper = field.message_type.full_name if field.message_type is not None else ""
    if wrapper == "google.protobuf.BoolValue":
        return value == "true"
    if field.type == field.TYPE_ENUM and value.lstrip("-").isdigit():
        return int(value)
    return value
