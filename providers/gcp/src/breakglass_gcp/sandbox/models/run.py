"""Cloud Run services and their revisions, as google/cloud/run/v2/{service,revision}.proto describe them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import policies
from breakglass_gcp.sandbox.models import run_desired as desired
from breakglass_gcp.sandbox.models.run_workload import account_of

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

SERVICES, REVISIONS, IN_FORCE = "run.services", "run.revisions", "run.in_force"
_START = "/google.cloud.run.v2."
WRITABLE = (
    "description",
    "labels",
    "annotations",
    "client",
    "client_version",
    "ingress",
    "launch_stage",
    "binary_authorization",
    "template",
    "traffic",
    "scaling",
    "invoker_iam_disabled",
    "default_uri_disabled",
    "iap_enabled",
    "custom_audiences",
    "build_config",
)
WHOLE = 100
TIMEOUT_S = 300
"""Cloud Run documentation, "Set request timeout": the default; 3600 is the most."""


def put(world: World, name: str, wanted: Any, call: Call | None = None) -> Any:  # noqa: ANN401 - Service, Operation
    """Make a service, or a new version of it; return the operation that brings it into force."""
    from google.cloud import run_v2

    held = world.table(SERVICES).get(name)
    first = held is None
    if held is None:
        held = run_v2.Service(name=name)
        world.table(SERVICES)[name] = held
    template_before = desired.copied(held).template
    made = desired.merged(held, wanted, (), WRITABLE)
    _check_scaling(call, held.scaling, made.scaling)
    type(held).pb(held).CopyFrom(type(made).pb(made))
    held.ingress = held.ingress or run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL
    if not held.template.timeout:
        held.template.timeout = timedelta(seconds=TIMEOUT_S)
    desired.stamp(world, held, call)
    number = world.project(name).number
    held.uri = f"https://{desired.short(name)}-{number}.{name.split('/')[3]}.run.app"
    if first or template_before != held.template:
        _add_revision(world, held)

    def in_force(now: Any) -> None:  # noqa: ANN401 - Service
        held.latest_ready_revision = now.latest_created_revision
        now.latest_ready_revision = now.latest_created_revision
        world.table(IN_FORCE)[name] = now

    return desired.reconcile(world, held, "create" if first else "update", in_force)


def _add_revision(world: World, service: Any) -> None:  # noqa: ANN401 - Service
    from google.cloud import run_v2

    count = len(desired.under(world, REVISIONS, service.name)) + 1
    name = f"{service.name}/revisions/{desired.short(service.name)}-{count:05d}-{world.new_id()[-3:]}"
    revision = run_v2.Revision(
        name=name,
        uid=world.new_id(),
        service=service.name,
        create_time=desired.at(world),
        scaling=service.template.scaling,
        timeout=service.template.timeout,
        service_account=service.template.service_account,
        containers=service.template.containers,
    )
    world.table(REVISIONS)[name] = revision
    service.latest_created_revision = name


def _check_scaling(call: Call | None, before: Any, after: Any) -> None:  # noqa: ANN401 - ServiceScaling
    """Keep to what Cloud Run documents of a change of mode ("Manual scaling", Switching ...).

    To manual: service-level minimum and maximum are unset, and the count is the minimum where none is given.
    To automatic: the count is unset; both of minimum and maximum or neither, which then are the count.
    """
    from google.cloud import run_v2

    manual = run_v2.ServiceScaling.ScalingMode.MANUAL
    if after.scaling_mode == manual:
        if "manual_instance_count" not in after:
            after.manual_instance_count = before.min_instance_count
        after.min_instance_count = after.max_instance_count = 0
        return
    if before.scaling_mode == manual:
        if bool(after.min_instance_count) != bool(after.max_instance_count) and call is not None:
            call.fail("INVALID_ARGUMENT", "Both min and max instances must be given, or neither of them.")
        if not after.min_instance_count:
            after.min_instance_count = after.max_instance_count = before.manual_instance_count
    if "manual_instance_count" in after:
        del after.manual_instance_count


def _create(world: World, call: Call) -> object:
    name = world.normal(f"{call.request.parent}/services/{call.request.service_id}")
    call.needs("run.services.create", world.normal(call.request.parent))
    _may_act_as(world, call, name, call.request.service)
    if name in world.table(SERVICES):
        call.fail("ALREADY_EXISTS", f"Resource '{name}' already exists.")
    return put(world, name, call.request.service, call)


def _update(world: World, call: Call) -> object:
    asked = call.request.service
    name = world.normal(asked.name)
    call.needs("run.services.update", name)
    held = desired.find(world, call, SERVICES, name)
    desired.check_etag(call, asked.etag, held.etag)
    wanted = desired.merged(held, asked, list(call.request.update_mask.paths), WRITABLE)
    _check_traffic(call, wanted)
    _may_act_as(world, call, name, wanted)
    if call.request.validate_only:
        return world.operation("validate", name.rsplit("/", 2)[0], lambda: wanted, wanted)
    return put(world, name, wanted, call)


def _check_traffic(call: Call, service: Any) -> None:  # noqa: ANN401 - Service
    if service.traffic and sum(one.percent for one in service.traffic) != WHOLE:
        call.fail("INVALID_ARGUMENT", "Traffic targets must sum to 100.")


def _may_act_as(world: World, call: Call, name: str, service: Any) -> None:  # noqa: ANN401 - Service
    """Cloud Run documentation, "Manual scaling", Required roles: Service Account User on the identity."""
    account = account_of(world, service.template.service_account, name.split("/")[1])
    call.needs("iam.serviceAccounts.actAs", f"projects/-/serviceAccounts/{account}")


def _get(world: World, call: Call) -> object:
    call.needs("run.services.get", world.normal(call.request.name))
    return desired.copied(desired.find(world, call, SERVICES, call.request.name))


def _list(world: World, call: Call) -> object:
    from google.cloud import run_v2

    call.needs("run.services.list", world.normal(call.request.parent))
    items = desired.under(world, SERVICES, f"{call.request.parent}/services")
    some, more = desired.page(items, call.request.page_size, call.request.page_token)
    return run_v2.ListServicesResponse(services=some, next_page_token=more)


def _delete(world: World, call: Call) -> object:
    name = world.normal(call.request.name)
    call.needs("run.services.delete", name)
    held = desired.find(world, call, SERVICES, name)
    desired.check_etag(call, call.request.etag, held.etag)
    for table in (SERVICES, IN_FORCE):
        world.table(table).pop(name, None)
    for revision in desired.under(world, REVISIONS, name):
        del world.table(REVISIONS)[revision.name]
    return world.operation("delete", name.rsplit("/", 2)[0], lambda: held, held)


def _list_revisions(world: World, call: Call) -> object:
    from google.cloud import run_v2

    call.needs("run.revisions.list", world.normal(call.request.parent))
    items = desired.under(world, REVISIONS, f"{call.request.parent}/revisions")
    some, more = desired.page(items, call.request.page_size, call.request.page_token)
    return run_v2.ListRevisionsResponse(revisions=some, next_page_token=more)


def _get_revision(world: World, call: Call) -> object:
    call.needs("run.revisions.get", world.normal(call.request.name))
    return desired.find(world, call, REVISIONS, call.request.name)


def _delete_revision(world: World, call: Call) -> object:
    """Cloud Run documentation, "Managing revisions": not the latest, and none that may receive traffic."""
    name = world.normal(call.request.name)
    call.needs("run.revisions.delete", name)
    held = desired.find(world, call, REVISIONS, name)
    service = world.table(SERVICES)[held.service]
    named = {one.revision for one in service.traffic}
    if name == service.latest_created_revision or desired.short(name) in named:
        call.fail("FAILED_PRECONDITION", "The revision is the latest one, or may receive traffic.")
    del world.table(REVISIONS)[name]
    return world.operation("delete", name.rsplit("/", 4)[0], lambda: held, held)


def _exists(world: World, name: str) -> bool:
    return name in world.table(SERVICES)


def _break(world: World, asked: Mapping[str, Any]) -> object:
    """Let the reconciliations of a resource fail, or (without ``why``) no more."""
    name = f"projects/{asked['project']}/{asked['name']}"
    if asked.get("why"):
        world.table(desired.BROKEN)[name] = str(asked["why"])
    else:
        world.table(desired.BROKEN).pop(name, None)
    return {}


def _state(world: World, project: str) -> object:
    from google.protobuf import json_format

    return {
        name: {
            **desired.as_state(held),
            "policy": json_format.MessageToDict(world.policy(name)).get("bindings", []),
        }
        for name, held in sorted(world.table(SERVICES).items())
        if name.startswith(f"projects/{project}/")
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}Services/CreateService": _create,
    f"{_START}Services/UpdateService": _update,
    f"{_START}Services/GetService": _get,
    f"{_START}Services/ListServices": _list,
    f"{_START}Services/DeleteService": _delete,
    **policies.handlers(f"{_START}Services/", "run.services", _exists),
    f"{_START}Revisions/ListRevisions": _list_revisions,
    f"{_START}Revisions/GetRevision": _get_revision,
    f"{_START}Revisions/DeleteRevision": _delete_revision,
}
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"run.break": _break}
STATE = _state
