"""What scales back: Application Auto Scaling for services, Auto Scaling for instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from breakglass_aws.sandbox.platform import backends
from breakglass_aws.sandbox.platform.tasks import existing as clusters

OUT = "DynamicScalingOutSuspended"


def correct() -> None:
    """Let an Auto Scaling group launch nothing while Launch is suspended.

    EC2 Auto Scaling User Guide, "Suspend and resume Amazon EC2 Auto Scaling processes": Launch.
    """
    from moto.autoscaling.models import FakeAutoScalingGroup

    told = FakeAutoScalingGroup.replace_autoscaling_group_instances

    def replace(self: Any, count_needed: int, propagated_tags: Mapping[str, str]) -> None:  # noqa: ANN401 - moto's
        if "Launch" not in suspended(self):
            told(self, count_needed, propagated_tags)

    FakeAutoScalingGroup.replace_autoscaling_group_instances = replace


def suspended(group: Any) -> frozenset[str]:  # noqa: ANN401 - moto's
    """Return the names of a group's suspended processes."""
    return frozenset(str(one["ProcessName"]) for one in group.suspended_processes or ())


def tick(_now: float) -> None:
    """Raise what is below its minimum, replace what is gone or unhealthy."""
    _services()
    from moto.autoscaling.models import autoscaling_backends

    for _account, _region, backend in backends.existing(autoscaling_backends):
        for group in list(backend.autoscaling_groups.values()):
            _group(group)


def _services() -> None:
    """Raise a service to its target's minimum, unless scaling out is suspended.

    Application Auto Scaling User Guide, "Suspend and resume scaling": a capacity below the minimum is
    raised to it.
    """
    from moto.applicationautoscaling.models import applicationautoscaling_backends

    services = {
        f"service/{one.cluster_name}/{one.name}": one
        for backend in clusters()
        for one in backend.services.values()
    }
    for _account, _region, backend in backends.existing(applicationautoscaling_backends):
        for target in _targets(backend):
            service = services.get(target.resource_id)
            if service is None or service.status != "ACTIVE" or _held(target):
                continue
            if int(service.desired_count or 0) < int(target.min_capacity or 0):
                service.desired_count = int(target.min_capacity)


def _targets(backend: Any) -> Iterable[Any]:  # noqa: ANN401 - moto's
    return [one for by_id in list(backend.targets.values()) for one in list(by_id.values())]


def _held(target: Any) -> bool:  # noqa: ANN401 - moto's
    state = target.suspended_state
    return isinstance(state, Mapping) and bool(state.get(OUT))


def _group(group: Any) -> None:  # noqa: ANN401 - moto's
    """Terminate what is stopped or gone, and launch what is missing.

    EC2 Auto Scaling User Guide, "Health checks": an instance that does not run is unhealthy and is
    replaced, unless HealthCheck, ReplaceUnhealthy or Terminate is suspended; one in standby is left alone.
    """
    off = suspended(group)
    if not off & {"HealthCheck", "ReplaceUnhealthy", "Terminate"}:
        dead = [one for one in group.active_instances() if one.instance.state not in ("running", "pending")]
        for one in dead:
            group.instance_states.remove(one)
            if one.instance.state != "terminated":
                group.autoscaling_backend.ec2_backend.terminate_instances([one.instance.id])
    missing = int(group.desired_capacity or 0) - len(group.active_instances())
    if missing > 0 and "Launch" not in off:
        group.replace_autoscaling_group_instances(missing, group.get_propagated_tags())
