"""What moto gets wrong about Lambda, put right where moto keeps it."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import unquote

from breakglass_aws.sandbox.platform import functions
from breakglass_aws.sandbox.platform.settings import SETTINGS

CHANGED: dict[str, float] = {}
"""Event source mapping -> when it was last enabled or disabled."""


def correct() -> None:
    """Put it right, once for the life of the process."""
    without_docker()
    _invocations()
    _concurrency()
    _changes()
    _mappings()


def without_docker() -> None:
    """Choose moto's backend without containers, for whoever asks for functions; a sandbox starts none."""
    import moto.awslambda.models as functions_in_moto
    from moto.awslambda_simple.models import lambda_simple_backends
    from moto.core.config import default_user_config

    functions_in_moto.lambda_backends = lambda_simple_backends
    default_user_config["lambda"] = {"use_docker": False}


def _invocations() -> None:
    """Send every way to run a function to the platform."""
    from moto.awslambda.models import LambdaFunction
    from moto.awslambda_simple.models import LambdaSimpleBackend

    def invoke(self: Any, function_name: str, qualifier: str | None, *rest: Any) -> bytes:  # noqa: ANN401
        return functions.invoked(self, function_name, qualifier, rest[1])

    def run(self: Any, *_: Any, **__: Any) -> bytes:  # noqa: ANN401 - moto's own signature
        functions.invoke(self.account_id, self.region, self.function_name)
        return b""

    LambdaSimpleBackend.invoke = invoke
    LambdaFunction.invoke = run


def _concurrency() -> None:
    """Show a reserved concurrency of 0 in GetFunction (Lambda API reference, GetFunction: Concurrency)."""
    from moto.awslambda.models import LambdaFunction

    told = LambdaFunction.get_code

    def get_code(self: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
        answer = dict(told(self))
        value = getattr(self, "reserved_concurrency", None)
        if value is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": int(value)}
        return answer

    LambdaFunction.get_code = get_code


def _changes() -> None:
    """Let a change move LastModified (Lambda API reference, FunctionConfiguration)."""
    from moto.awslambda.models import LambdaFunction
    from moto.core.utils import iso_8601_datetime_with_nanoseconds

    for name in ("update_configuration", "update_function_code"):
        changed = getattr(LambdaFunction, name)

        def change(self: Any, given: Any, changed: Any = changed) -> Any:  # noqa: ANN401 - moto's
            answer = changed(self, given)
            self.last_modified = iso_8601_datetime_with_nanoseconds()
            return {**answer, "LastModified": self.last_modified} if isinstance(answer, dict) else answer

        setattr(LambdaFunction, name, change)


def _mappings() -> None:
    """Let mappings keep their qualifier, pass through Enabling and Disabling, and be polled by us alone."""
    from moto.awslambda.models import EventSourceMapping, LambdaBackend
    from moto.sqs.models import Queue

    made, told, changed = (
        LambdaBackend.create_event_source_mapping,
        EventSourceMapping.get_configuration,
        LambdaBackend.update_event_source_mapping,
    )

    def create(self: Any, spec: dict[str, Any]) -> Any:  # noqa: ANN401 - moto's
        mapping = made(self, spec)
        mapping.function_arn = qualified(mapping.function_arn, spec["FunctionName"])
        return mapping

    def update(self: Any, uuid: str, spec: dict[str, Any]) -> Any:  # noqa: ANN401 - moto's
        before = self.get_event_source_mapping(uuid)
        was = before.enabled if before else None
        mapping = changed(self, uuid, spec)
        if mapping and "FunctionName" in spec:
            mapping.function_arn = qualified(mapping.function_arn, spec["FunctionName"])
        if mapping and mapping.enabled != was:
            CHANGED[uuid] = time.monotonic()
        return mapping

    def configuration(self: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
        return {**told(self), "State": state(self)}

    def listed(self: Any, event_source_arn: str | None, function_name: str | None) -> list[Any]:  # noqa: ANN401
        wanted = functions.split(unquote(function_name)) if function_name else None
        return [
            one
            for one in self._event_source_mappings.values()
            if (not event_source_arn or one.event_source_arn == event_source_arn)
            and (wanted is None or functions.split(one.function_arn) == wanted)
        ]

    LambdaBackend.create_event_source_mapping = create
    LambdaBackend.update_event_source_mapping = update
    LambdaBackend.list_event_source_mappings = listed
    EventSourceMapping.get_configuration = configuration
    Queue.lambda_event_source_mappings = property(lambda _: {}, lambda *_: None)


def qualified(arn: str, name: str) -> str:
    """Return the ARN of a function with the version or alias that a caller named."""
    _, qualifier = functions.split(name)
    bare = ":".join(arn.split(":")[:7])
    return f"{bare}:{qualifier}" if qualifier else bare


def state(mapping: Any) -> str:  # noqa: ANN401 - moto's
    """Return a mapping's state; a change is asynchronous (Lambda API reference, UpdateEventSourceMapping)."""
    under_way = time.monotonic() - CHANGED.get(mapping.uuid, -1e9) < SETTINGS.transition_s
    if mapping.enabled:
        return "Enabling" if under_way else "Enabled"
    return "Disabling" if under_way else "Disabled"
