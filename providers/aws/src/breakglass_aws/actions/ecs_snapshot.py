"""``aws.ecs.snapshot_tasks``: all that DescribeTasks says of the agent's tasks, before they are stopped.

Tags, and an hour later the whole task, are lost once a task has stopped. Values of environment variables
that a task was started with are left out: they may be secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from breakglass.canon import Json, sha256
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
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws.account import Account
from breakglass_aws.actions import ecs_reading
from breakglass_aws.found import Found

SPEC = ActionSpec(
    name="aws.ecs.snapshot_tasks",
    capability=Capability.SNAPSHOT_LOGS,
    summary="copies the description of every task of the agent in the cluster, with its tags",
    permissions=("ecs:ListTasks", "ecs:DescribeTasks"),
    blast_radius="none: it only reads",
    reversibility=Reversibility.FULL,
    undo="nothing was changed; the evidence stays",
    settle_s=0,
    best_grade=Grade.READ_BACK,
    example="aws.ecs.snapshot_tasks tasks/prod",
    sources=(
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "Amazon ECS API reference, StopTask: tags are deleted; DescribeTasks",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_ecs_snapshot.py"),
    ),
    service="ecs",
)
TAKEN = "tasks"


class SnapshotTasks:
    """The tasks of the agent's services and families in one cluster; once in a run."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Have nothing yet."""
        self._account = account
        self._taken: dict[str, Json] = {}

    def observe(self, resource: Resource) -> State:
        """Return what this run has copied; a run that resumes copies again."""
        return State({TAKEN: self._taken.get(resource.id)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - evidence is only added to
        """Copy once."""
        if resource.id in self._taken:
            return
        cluster = str(resource.params["cluster"])
        found: dict[str, Mapping[str, Any]] = {}
        for by, key in (("serviceName", "services"), ("family", "families")):
            names = resource.params.get(key)
            for name in names if isinstance(names, list) else []:
                tasks = ecs_reading.described(self._account, cluster, **{by: str(name)})
                found |= {task["taskArn"]: task for task in tasks}
        item = self._account.connection.evidence.put(
            f"aws/{self._account.id}-{self._account.region}/ecs-tasks-{sha256(cluster.encode())[:12]}.jsonl",
            f"ecs:DescribeTasks in {cluster}",
            _lines(found),
        )
        self._taken[resource.id] = {"count": len(found), "path": item.path, "sha256": item.sha256}

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether it was copied."""
        taken = state.objects.get(TAKEN)
        if not isinstance(taken, Mapping):
            return Judgement(Verdict.NOT_CONTAINED, "not copied yet")
        return Judgement(Verdict.CONTAINED, f"{taken['count']} tasks copied")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing was changed
        """Do nothing: reading changed nothing."""
        return Reversal({TAKEN: Outcome.ALREADY}, "nothing was changed")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: evidence is not tried."""
        return None


def _lines(tasks: Mapping[str, Mapping[str, Any]]) -> Iterator[bytes]:
    for arn in sorted(tasks):
        yield json.dumps(_redacted(tasks[arn]), default=str, sort_keys=True).encode() + b"\n"


def _redacted(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task without the values of variables that it was started with, and without command lines."""
    whole = dict(task)
    overrides = dict(whole.get("overrides") or {})
    overrides["containerOverrides"] = [
        {
            **{key: value for key, value in one.items() if key not in {"environment", "command"}},
            "environment_names": [variable.get("name") for variable in one.get("environment", ())],
            "command_words": len(one.get("command", ())),
        }
        for one in overrides.get("containerOverrides", ())
    ]
    whole["overrides"] = overrides
    return whole


def propose(account: Account, found: Found) -> Proposed:
    """Propose one copy a cluster."""
    clusters: dict[str, dict[str, list[Json]]] = {}
    for key, kind in (("services", "services"), ("task_families", "families")):
        for name in found.of(key):
            cluster, _, rest = name.partition("/")
            clusters.setdefault(cluster, {}).setdefault(kind, []).append(rest)
    return Proposed(
        tuple(
            Proposal(
                key=f"snapshot_tasks:{cluster}",
                action=SPEC.name,
                target=Resource(
                    "evidence", f"tasks/{cluster}", f"ECS tasks in {cluster}", {"cluster": cluster, **names}
                ),
                settle_s=account.settle_s(SPEC),
            )
            for cluster, names in clusters.items()
        )
    )


ACTION_CLASSES = (SnapshotTasks,)
SPECS = (SPEC,)
