"""What moto lacks of Lambda: provisioned concurrency, listed URLs, pages of mappings, durable executions.

A durable execution is made by the control verb `durable`; one that is paused in the middle of an invocation
is seen as PAUSING once (Lambda API reference, PauseDurableExecution).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from breakglass_aws.sandbox.call import Call, Guard, Handler, Refusal
from breakglass_aws.sandbox.process import ACCOUNT, REGION

MOST_MAPPINGS = 100
MOST_PROVISIONED = 50
_NAME = 6
_PROVISIONED: dict[tuple[str, str, str], dict[str, int]] = {}
"""(account, region, function) -> qualifier -> number."""
_DURABLE: dict[str, dict[str, Any]] = {}
"""ARN -> a durable execution."""
_ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"})


def list_event_source_mappings(call: Call) -> Mapping[str, Any]:
    """Tell a page of the mappings."""
    source, name = call.params.get("EventSourceArn"), call.params.get("FunctionName")
    found = [_mapping(one) for one in _backend(call).list_event_source_mappings(source, name)]
    return _page(call, "EventSourceMappings", found, MOST_MAPPINGS)


def list_function_url_configs(call: Call) -> Mapping[str, Any]:
    """Tell the URLs of a function; moto holds one."""
    config = _function(call).url_config
    told = [{**config.to_dict(), "InvokeMode": "BUFFERED"}] if config else []
    return _page(
        call,
        "FunctionUrlConfigs",
        [{key: one[key] for key in one if one[key] is not None} for one in told],
        MOST_PROVISIONED,
    )


def list_provisioned(call: Call) -> Mapping[str, Any]:
    """Tell a page of what is provisioned."""
    arn = ":".join(_function(call).function_arn.split(":")[: _NAME + 1])
    found = [
        {
            "FunctionArn": f"{arn}:{qualifier}",
            "RequestedProvisionedConcurrentExecutions": number,
            "AllocatedProvisionedConcurrentExecutions": number,
            "Status": "READY",
        }
        for qualifier, number in _provisioned(call).items()
    ]
    return _page(call, "ProvisionedConcurrencyConfigs", found, MOST_PROVISIONED)


def put_provisioned(call: Call) -> Mapping[str, Any]:
    """Provision; not more than is reserved (Developer Guide, "Configuring provisioned concurrency")."""
    reserved = _function(call).reserved_concurrency
    number = int(call.params["ProvisionedConcurrentExecutions"])
    if reserved is not None and number > int(reserved):
        raise Refusal("InvalidParameterValueException", "more than the function's reserved concurrency")
    _provisioned(call)[call.params["Qualifier"]] = number
    return {"RequestedProvisionedConcurrentExecutions": number, "Status": "IN_PROGRESS"}


def delete_provisioned(call: Call) -> Mapping[str, Any]:
    """Provision no more."""
    if _provisioned(call).pop(call.params["Qualifier"], None) is None:
        raise Refusal("ResourceNotFoundException", "nothing is provisioned there", 404)
    return {}


def not_below_provisioned(call: Call) -> None:
    """Refuse to reserve less than is provisioned."""
    if int(call.params["ReservedConcurrentExecutions"]) < sum(_provisioned(call).values()):
        raise Refusal("InvalidParameterValueException", "less than the provisioned concurrency")


def list_durable(call: Call) -> Mapping[str, Any]:
    """Tell a page of a function's durable executions; what is being paused is paused from then on."""
    arn = ":".join(_function(call).function_arn.split(":")[: _NAME + 1])
    statuses = call.params.get("Statuses") or ()
    found = [
        dict(one)
        for one in _DURABLE.values()
        if one["FunctionArn"].startswith(f"{arn}:") and (not statuses or one["Status"] in statuses)
    ]
    for one in found:
        if one["Status"] == "PAUSING":
            _DURABLE[one["DurableExecutionArn"]]["Status"] = "PAUSED"
    return _page(call, "DurableExecutions", found, MOST_MAPPINGS)


def pause_durable(call: Call) -> Mapping[str, Any]:
    """Begin to pause."""
    one = _durable(call)
    if one.get("final"):
        raise Refusal("InvalidParameterValueException", "this execution cannot be paused")
    one["Status"] = "PAUSING" if one["Status"] == "RUNNING" else one["Status"]
    return {}


def resume_durable(call: Call) -> Mapping[str, Any]:
    """Let it go on."""
    _durable(call)["Status"] = "RUNNING"
    return {}


def stop_durable(call: Call) -> Mapping[str, Any]:
    """End it for good."""
    _durable(call)["Status"] = "STOPPED"
    return {"StopTimestamp": dt.datetime.now(dt.UTC)}


def begin(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make a durable execution: {"function": NAME, "name": NAME, "version": "1", "final": false}."""
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{body['function']}:{body.get('version', '1')}"
    made = f"{arn}/durable-execution/{body['name']}/1"
    _DURABLE[made] = {
        "DurableExecutionArn": made,
        "DurableExecutionName": body["name"],
        "FunctionArn": arn,
        "Status": "RUNNING",
        "StartTimestamp": dt.datetime.now(dt.UTC),
        "final": bool(body.get("final")),
    }
    return {"arn": made}


def correct(_endpoint: str) -> None:
    """Let moto's functions keep what decides how they run: durable or not, on instances or not."""
    from moto.awslambda.models import LambdaFunction

    made, told = LambdaFunction.__init__, LambdaFunction.get_configuration

    def init(self: Any, account_id: str, spec: dict[str, Any], *rest: Any, **named: Any) -> None:  # noqa: ANN401
        made(self, account_id, spec, *rest, **named)
        self.kept = {key: spec[key] for key in ("DurableConfig", "CapacityProviderConfig") if key in spec}

    def configuration(self: Any, on_create: bool = False) -> dict[str, Any]:  # noqa: ANN401, FBT001, FBT002 - moto's
        return {**told(self, on_create), **getattr(self, "kept", {})}

    LambdaFunction.__init__, LambdaFunction.get_configuration = init, configuration


def _backend(call: Call) -> Any:  # noqa: ANN401 - moto has no types for us
    from moto.awslambda_simple.models import lambda_simple_backends

    return lambda_simple_backends[call.account][call.region]


def _function(call: Call) -> Any:  # noqa: ANN401 - moto's
    from moto.awslambda.exceptions import UnknownFunctionException

    try:
        return _backend(call).get_function(str(call.params["FunctionName"]))
    except UnknownFunctionException as error:
        raise Refusal("ResourceNotFoundException", "Function not found", 404) from error


def _provisioned(call: Call) -> dict[str, int]:
    name = str(call.params["FunctionName"]).split(":")[-1]
    return _PROVISIONED.setdefault((call.account, call.region, name), {})


def _durable(call: Call) -> dict[str, Any]:
    one = _DURABLE.get(str(call.params["DurableExecutionArn"]))
    if one is None or one["Status"] in _ENDED:
        raise Refusal("ResourceNotFoundException", "no such durable execution", 404)
    return one


def _mapping(one: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
    told = {key: value for key, value in one.get_configuration().items() if value is not None}
    return {**told, "LastModified": dt.datetime.fromtimestamp(told["LastModified"], dt.UTC)}


def _page(call: Call, key: str, found: Sequence[Mapping[str, Any]], most: int) -> Mapping[str, Any]:
    start = int(call.params.get("Marker") or 0)
    end = start + min(int(call.params.get("MaxItems") or most), most)
    return {key: list(found[start:end]), **({"NextMarker": str(end)} if end < len(found) else {})}


def _forget() -> None:
    _PROVISIONED.clear()
    _DURABLE.clear()


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("lambda", "ListEventSourceMappings"): list_event_source_mappings,
    ("lambda", "ListFunctionUrlConfigs"): list_function_url_configs,
    ("lambda", "ListProvisionedConcurrencyConfigs"): list_provisioned,
    ("lambda", "PutProvisionedConcurrencyConfig"): put_provisioned,
    ("lambda", "DeleteProvisionedConcurrencyConfig"): delete_provisioned,
    ("lambda", "ListDurableExecutionsByFunction"): list_durable,
    ("lambda", "PauseDurableExecution"): pause_durable,
    ("lambda", "ResumeDurableExecution"): resume_durable,
    ("lambda", "StopDurableExecution"): stop_durable,
}
GUARDS: Mapping[tuple[str, str], tuple[Guard, ...]] = {
    ("lambda", "PutFunctionConcurrency"): (not_below_provisioned,)
}
RESETS = (_forget,)
STARTS = (correct,)
CONTROLS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {"durable": begin}
STATES: Mapping[str, Callable[[], Any]] = {
    "lambda provisioned": lambda: {
        " ".join(key): dict(value) for key, value in _PROVISIONED.items() if value
    },
    "lambda durable": lambda: {arn: one["Status"] for arn, one in _DURABLE.items()},
}
