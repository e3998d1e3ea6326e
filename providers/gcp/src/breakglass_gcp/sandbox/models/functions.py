"""Cloud Functions, as google/cloud/functions/v2/functions.proto describes them.

One of the 2nd generation is a service of Cloud Run, which ``service_config.service`` names; whoever deploys
the function writes that service again, its scaling and its ingress too. One of the 1st generation has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models import run
from breakglass_gcp.sandbox.models import run_desired as desired

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

FUNCTIONS = "functions"
_START = "/google.cloud.functions.v2.FunctionService/"
TIMEOUT_S = 60
"""functions.proto, ServiceConfig.timeout_seconds: the default."""


def _create(world: World, call: Call) -> object:
    name = world.normal(f"{call.request.parent}/functions/{call.request.function_id}")
    call.needs("cloudfunctions.functions.create", world.normal(call.request.parent))
    if name in world.table(FUNCTIONS):
        call.fail("ALREADY_EXISTS", f"Resource '{name}' already exists.")
    return _deploy(world, call, name, call.request.function)


def _update(world: World, call: Call) -> object:
    name = world.normal(call.request.function.name)
    call.needs("cloudfunctions.functions.update", name)
    desired.find(world, call, FUNCTIONS, name)
    return _deploy(world, call, name, call.request.function)


def _deploy(world: World, call: Call, name: str, asked: Any) -> object:  # noqa: ANN401 - Function
    from google.cloud import functions_v2

    made = desired.copied(asked)
    made.name, made.state = name, functions_v2.Function.State.ACTIVE
    made.update_time = desired.at(world)
    made.environment = made.environment or functions_v2.Environment.GEN_2
    config = made.service_config
    email = config.service_account_email
    if email:
        call.needs("iam.serviceAccounts.actAs", f"projects/-/serviceAccounts/{email}")
    if made.environment == functions_v2.Environment.GEN_2:
        config.service = name.replace("/functions/", "/services/")
        run.put(world, config.service, _service(config))
    world.table(FUNCTIONS)[name] = made
    return world.operation("deploy", name.rsplit("/", 2)[0], lambda: desired.copied(made), None)


def _service(config: Any) -> Any:  # noqa: ANN401 - ServiceConfig, Service
    from google.cloud import run_v2

    return run_v2.Service(
        template={
            "service_account": config.service_account_email,
            "timeout": timedelta(seconds=config.timeout_seconds or TIMEOUT_S),
            "scaling": {
                "min_instance_count": config.min_instance_count,
                "max_instance_count": config.max_instance_count,
            },
        },
        ingress=run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL,
    )


def _get(world: World, call: Call) -> object:
    call.needs("cloudfunctions.functions.get", world.normal(call.request.name))
    return desired.copied(desired.find(world, call, FUNCTIONS, call.request.name))


def _list(world: World, call: Call) -> object:
    from google.cloud import functions_v2

    call.needs("cloudfunctions.functions.list", world.normal(call.request.parent))
    items = desired.under(world, FUNCTIONS, f"{call.request.parent}/functions")
    some, more = desired.page(items, call.request.page_size, call.request.page_token)
    return functions_v2.ListFunctionsResponse(functions=some, next_page_token=more)


def _state(world: World, project: str) -> object:
    return {
        name: desired.as_state(held)
        for name, held in sorted(world.table(FUNCTIONS).items())
        if name.startswith(f"projects/{project}/")
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}CreateFunction": _create,
    f"{_START}UpdateFunction": _update,
    f"{_START}GetFunction": _get,
    f"{_START}ListFunctions": _list,
}
STATE = _state
