"""``aws.ecs.stop_service``: no task wanted, nothing that raises the number again, and every task ended.

The order matters: autoscaling is suspended first, since it would raise the desired count again; then the
desired count goes to zero; then the tasks that the service's scheduler has not ended yet are told to stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_aws.account import Account
from breakglass_aws.actions import ecs_reading
from breakglass_aws.found import Found

SPEC = ActionSpec(
    name="aws.ecs.stop_service",
    capability=Capability.STOP_WORKLOADS,
    summary="suspends the service's autoscaling, wants no task of it any more, and stops those that run",
    permissions=(
        "ecs:DescribeServices",
        "ecs:DescribeTaskDefinition",
        "ecs:ListTasks",
        "ecs:DescribeTasks",
        "ecs:UpdateService",
        "ecs:StopTask",
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:RegisterScalableTarget",
    ),
    blast_radius="everybody whom the service serves",
    reversibility=Reversibility.FULL,
    undo="wants as many tasks again as before and lets autoscaling work again; the tasks are new ones",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    destroys_evidence="disks and memory of the tasks, and the tags of tasks that are stopped",
    example="aws.ecs.stop_service service/prod/support-bot",
    sources=(
        Source("settle", Authority.UNVERIFIED, "no time is published; tasks are listed until all have ended"),
        Source("undo", Authority.VENDOR_TEXT, "Amazon ECS API reference, UpdateService: desiredCount"),
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "Application Auto Scaling User Guide, suspending and resuming scaling",
        ),
        Source(
            "destroys_evidence", Authority.VENDOR_TEXT, "Amazon ECS API reference, StopTask: tags are deleted"
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_ecs_service.py"),
    ),
    service="ecs",
    undo_permissions=(
        "ecs:DescribeServices",
        "ecs:ListTasks",
        "ecs:DescribeTasks",
        "ecs:UpdateService",
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:RegisterScalableTarget",
    ),
)
SERVICE = "service"
SCALING = "scaling:"
SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
ALL_SUSPENDED: dict[str, Json] = dict.fromkeys(SUSPENSIONS, True)
DEADLINE_S = 240.0
"""A task may take 120 s to end after it was told to (ECS Developer Guide, stopTimeout on Fargate)."""


class StopService:
    """One service of one cluster."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the service, what scales it, and its tasks that have not ended."""
        cluster, name = str(resource.params["cluster"]), str(resource.params["service"])
        found = ecs_reading.service(self._account, cluster, name)
        if found is None:
            return State({})
        objects: dict[str, Json] = {SERVICE: _facts(found), **self._scaling(cluster, name)}
        tasks = ecs_reading.described(self._account, cluster, serviceName=name)
        objects |= ecs_reading.alive([task for task in tasks if task.get("group") == f"service:{name}"])
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the APIs take no token
        """Suspend autoscaling, want no task, and stop those that are left."""
        cluster, name = str(resource.params["cluster"]), str(resource.params["service"])
        for key, target in before.objects.items():
            if key.startswith(SCALING) and _mapping(target)["suspended"] != ALL_SUSPENDED:
                self._suspend(cluster, name, key, ALL_SUSPENDED)
        service = _mapping(before.objects.get(SERVICE))
        if service.get("desired") and service["status"] == "ACTIVE":
            self._account.call("ecs", "update_service", cluster=cluster, service=name, desiredCount=0)
        ecs_reading.stop_each(self._account, cluster, before.objects)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether a task is wanted, can be wanted again by a scaler, or has not ended."""
        if SERVICE not in state.objects:
            return Judgement(Verdict.CONTAINED, "the service is not there any more")
        wanted = _mapping(state.objects[SERVICE])["desired"]
        if wanted:
            return Judgement(Verdict.NOT_CONTAINED, f"{wanted} tasks are wanted")
        for key, target in state.objects.items():
            if key.startswith(SCALING) and _mapping(target)["suspended"] != ALL_SUSPENDED:
                return Judgement(Verdict.NOT_CONTAINED, "autoscaling may raise the number of tasks again")
        left = [key for key in state.objects if key.startswith(ecs_reading.TASK)]
        if left:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(left)} tasks have not ended")
        return Judgement(Verdict.CONTAINED, "no task is wanted, none is left, and nothing scales it up")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Want the tasks again that were wanted, then let autoscaling work as it did."""
        outcomes: dict[str, Outcome] = {}
        if SERVICE in before.objects:
            outcomes[SERVICE] = self._want(resource, before, now)
        for key, value in before.objects.items():
            if key.startswith(SCALING):
                outcomes[key] = self._unsuspend(resource, key, _mapping(value), now.objects.get(key))
            elif key.startswith(ecs_reading.TASK):
                outcomes[key] = Outcome.ALREADY if key in now.objects else Outcome.ENDED
        return Reversal(outcomes, "the service starts new tasks in the place of those that were ended")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a task that has ended cannot be asked."""
        return None

    def _want(self, resource: Resource, before: State, now: State) -> Outcome:
        was, found = _mapping(before.objects[SERVICE]), _mapping(now.objects.get(SERVICE))
        if (found.get("arn"), found.get("created")) != (was["arn"], was["created"]):
            return Outcome.DRIFTED
        if found["desired"] == was["desired"] or _scaled(before, now):
            return Outcome.ALREADY
        if found["desired"] != 0 or found["status"] != "ACTIVE":
            return Outcome.DRIFTED
        self._account.call(
            "ecs",
            "update_service",
            cluster=resource.params["cluster"],
            service=resource.params["service"],
            desiredCount=was["desired"],
        )
        return Outcome.RESTORED

    def _unsuspend(self, resource: Resource, key: str, was: Mapping[str, Json], now: Json) -> Outcome:
        found = _mapping(now)
        if found.get("created") != was["created"]:
            return Outcome.DRIFTED
        if found["suspended"] == was["suspended"]:
            return Outcome.ALREADY
        if found["suspended"] != ALL_SUSPENDED:
            return Outcome.DRIFTED
        cluster, name = str(resource.params["cluster"]), str(resource.params["service"])
        self._suspend(cluster, name, key, _mapping(was["suspended"]))
        return Outcome.RESTORED

    def _scaling(self, cluster: str, name: str) -> dict[str, Json]:
        targets = self._account.pages(
            "application-autoscaling",
            "describe_scalable_targets",
            "ScalableTargets",
            ServiceNamespace="ecs",
            ResourceIds=[f"service/{cluster}/{name}"],
        )
        return {
            f"{SCALING}{target['ScalableDimension']}": {
                "min": target["MinCapacity"],
                "max": target["MaxCapacity"],
                "created": target["CreationTime"].isoformat(),
                "suspended": {
                    one: bool(target.get("SuspendedState", {}).get(one, False)) for one in SUSPENSIONS
                },
            }
            for target in targets
        }

    def _suspend(self, cluster: str, name: str, key: str, state: Mapping[str, Json]) -> None:
        """Set what is suspended; the capacities stay as they are where they are not given."""
        self._account.call(
            "application-autoscaling",
            "register_scalable_target",
            ServiceNamespace="ecs",
            ResourceId=f"service/{cluster}/{name}",
            ScalableDimension=key.removeprefix(SCALING),
            SuspendedState=dict(state),
        )


def _facts(service: Mapping[str, Any]) -> Json:
    return {
        "arn": service["serviceArn"],
        "created": service["createdAt"].isoformat() if "createdAt" in service else "",
        "status": service["status"],
        "desired": int(service["desiredCount"]),
        "execute_command": bool(service.get("enableExecuteCommand", False)),
        "definition": service.get("taskDefinition", ""),
    }


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _scaled(before: State, now: State) -> bool:
    """Return whether autoscaling works again as it did and has chosen the number by itself since."""
    desired = _mapping(now.objects[SERVICE])["desired"]
    for key, value in now.objects.items():
        was, found = _mapping(before.objects.get(key)), _mapping(value)
        if key.startswith(SCALING) and was and found["suspended"] == was["suspended"] != ALL_SUSPENDED:
            low, high = found["min"], found["max"]
            numbers = isinstance(low, int) and isinstance(high, int) and isinstance(desired, int)
            return numbers and desired > 0 and low <= desired <= high  # type: ignore[operator]  # all are whole numbers
    return False


def propose(account: Account, found: Found) -> Proposed:
    """Propose to stop each of the agent's services; one that runs on every host cannot be set to zero."""
    proposed = Proposed()
    for name in found.of("services"):
        cluster, _, service = name.partition("/")
        now = ecs_reading.service(account, cluster, service)
        if now is None:
            proposed = proposed.plus(
                Proposed(not_touched=(NotTouched(f"ECS service {name}", "there is none of this name"),))
            )
        elif now.get("schedulingStrategy") == "DAEMON":
            proposed = proposed.plus(Proposed(doors=(ProposedDoor(_daemon(name)),)))
        else:
            proposed = proposed.plus(Proposed((_proposal(account, cluster, service, now),)))
    return proposed


def _proposal(account: Account, cluster: str, service: str, now: Mapping[str, Any]) -> Proposal:
    role = ecs_reading.task_role(account, str(now.get("taskDefinition", "")))
    params: dict[str, Json] = {"cluster": cluster, "service": service}
    if role:
        params["role_arn"] = role
    controller = str(now.get("deploymentController", {}).get("type", "ECS"))
    affects = [
        f"target group {one['targetGroupArn']}"
        for one in now.get("loadBalancers", ())
        if "targetGroupArn" in one
    ]
    if controller != "ECS":
        affects.append(f"its deployments are made by {controller}, which may want tasks of it again")
    return Proposal(
        key=f"stop_service:{cluster}/{service}",
        action=SPEC.name,
        target=Resource(
            "aws-ecs-service", f"service/{cluster}/{service}", f"ECS service {cluster}/{service}", params
        ),
        settle_s=account.settle_s(SPEC),
        deadline_s=DEADLINE_S,
        affects=tuple(affects),
    )


def _daemon(name: str) -> Door:
    return Door(
        kind=DoorKind.NO_STEP,
        name=f"ECS service {name}",
        reason="it runs one task on every host of the cluster (DAEMON): there is no number to set to zero",
        remedy="delete the service, or drain or stop its hosts; tasks that are only stopped come back",
        owner="",
        closed_by=(),
        verdict=Verdict.NOT_CONTAINED,
    )


ACTION_CLASSES = (StopService,)
SPECS = (SPEC,)
