"""``gcp.clouddeploy.suspend_pipelines``: nothing is rolled out to a target of Cloud Deploy any more.

A target has no such switch: it may require approval, which its approvers give. A delivery pipeline has one
(DeliveryPipeline.suspended: no new releases or rollouts can be created, in-progress ones complete). So every
pipeline with a stage for the target is suspended, also one that is made meanwhile, and the rollouts to it
that wait or run are cancelled.
"""

from __future__ import annotations

from typing import Any

from breakglass.canon import Json, canonical, sha256
from breakglass.errors import Gone, ProviderError, Transient
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
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_gcp.found import Found
from breakglass_gcp.messages import as_json, field
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

SPEC = ActionSpec(
    name="gcp.clouddeploy.suspend_pipelines",
    capability=Capability.FREEZE_CHANGE,
    summary="suspends every delivery pipeline with a stage for the target, and cancels its rollouts to it",
    permissions=(
        "clouddeploy.deliveryPipelines.get",
        "clouddeploy.deliveryPipelines.list",
        "clouddeploy.deliveryPipelines.update",
        "clouddeploy.operations.get",
        "clouddeploy.rollouts.cancel",
        "clouddeploy.rollouts.list",
        "clouddeploy.targets.list",
    ),
    undo_permissions=(
        "clouddeploy.deliveryPipelines.get",
        "clouddeploy.deliveryPipelines.list",
        "clouddeploy.deliveryPipelines.update",
        "clouddeploy.operations.get",
        "clouddeploy.rollouts.list",
        "clouddeploy.targets.list",
    ),
    blast_radius="all releases of these pipelines, to other targets too; a cancelled rollout is half made",
    reversibility=Reversibility.PARTIAL,
    undo="resumes the pipelines that the stop suspended; cancelled rollouts are made anew by their owners",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="gcp.clouddeploy.suspend_pipelines deploy-target/europe-west1/prod",
    sources=(
        Source(
            "summary", Authority.VENDOR_TEXT, "cloud_deploy.proto, DeliveryPipeline.suspended, CancelRollout"
        ),
        Source("settle", Authority.UNVERIFIED, "no figure is published; read back twice, 5 s apart"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_cloud_deploy.py"),
    ),
    service="deploy",
)
KIND = "clouddeploy:"
GOING = ("IN_PROGRESS", "PENDING", "PENDING_APPROVAL", "PENDING_RELEASE", "CANCELLING")
MOST_TRIES = 5
PAUSE_S = 0.3
_PIPELINE, _ROLLOUT = "pipeline/", "rollout/"
_MOVES = ("suspended", "etag", "update_time", "condition")
"""What differs though nobody changed what the pipeline does."""


class SuspendPipelines:
    """The pipelines that deploy to one target."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read every pipeline with a stage for the target, and what is rolled out to it."""
        aims, pipelines, missed = pipelines_of(
            self._project, str(resource.params["location"]), str(resource.params["target"])
        )
        objects: dict[str, Json] = {}
        for one in pipelines:
            rest = {key: value for key, value in as_json(one).items() if key not in _MOVES}
            objects[f"{_PIPELINE}{one.name}"] = {
                "suspended": bool(one.suspended),
                "uid": str(one.uid),
                "rest": sha256(canonical(rest)),
            }
            rollouts, silent = self._rollouts(one.name, aims)
            missed = ", ".join(filter(None, (missed, *silent)))
            for rollout in rollouts:
                objects[f"{_ROLLOUT}{rollout.name}"] = {"state": rollout.state.name}
        return State(objects, complete=not missed, note=f"not answered: {missed}" if missed else "")

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Suspend first, so that nothing starts behind the rollouts that are cancelled then."""
        failed: list[ProviderError] = []
        for key, value in before.objects.items():
            if key.startswith(_PIPELINE) and field(value, "suspended") is not True:
                try:
                    self._set(key.removeprefix(_PIPELINE), suspended=True)
                except ProviderError as error:
                    failed.append(error)
        for key, value in before.objects.items():
            if key.startswith(_ROLLOUT) and field(value, "state") != "CANCELLING":
                try:
                    self._cancel(key.removeprefix(_ROLLOUT))
                except ProviderError as error:
                    failed.append(error)
        if any(field(value, "state") == "CANCELLING" for value in before.objects.values()):
            self._project.connection.clock.sleep(PAUSE_S)
        if failed and (left := self.observe(resource).objects) and _open(left):
            raise next((one for one in failed if isinstance(one, Transient)), failed[0])

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether anything can be rolled out, or is."""
        going = [_short(key) for key in _open(state.objects) if key.startswith(_PIPELINE)]
        if going:
            return Judgement(Verdict.NOT_CONTAINED, f"not suspended: {', '.join(sorted(going))}")
        running = sum(key.startswith(_ROLLOUT) for key in state.objects)
        if running:
            return Judgement(Verdict.NOT_CONTAINED, f"suspended; {running} rollouts wait or run")
        if not state.objects:
            return Judgement(Verdict.CONTAINED, "no pipeline deploys to this target")
        return Judgement(Verdict.CONTAINED, "every pipeline that deploys to this target is suspended")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - keys name them
        """Resume what the stop suspended and nobody changed since."""
        outcomes: dict[str, Outcome] = {}
        for key, was in before.objects.items():
            there = now.objects.get(key)
            if key.startswith(_ROLLOUT):
                outcomes[key] = Outcome.ENDED
            elif there is None or any(field(there, one) != field(was, one) for one in ("uid", "rest")):
                outcomes[key] = Outcome.DRIFTED
            elif field(was, "suspended") == field(there, "suspended"):
                outcomes[key] = Outcome.ALREADY
            else:
                self._set(key.removeprefix(_PIPELINE), suspended=field(was, "suspended") is True)
                outcomes[key] = Outcome.RESTORED
        return Reversal(outcomes, "pipelines are as they were; one that somebody changed since is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a trial would be a release."""
        return None

    def _rollouts(self, pipeline: str, aims: frozenset[str]) -> tuple[list[Any], tuple[str, ...]]:
        """Return what of a pipeline waits or runs towards the target, and the places that did not answer."""
        states = " OR ".join(f'state="{one}"' for one in GOING)
        asked = {"parent": f"{pipeline}/releases/-", "filter": states, "page_size": 1000}
        try:
            listed = self._project.every("deploy", "list_rollouts", asked)
        except Gone:
            return [], ()
        going = [one for one in listed.items if one.state.name in GOING and one.target_id in aims]
        return going, listed.unreachable

    def _set(self, name: str, *, suspended: bool) -> None:
        for tried in range(1, MOST_TRIES + 1):
            try:
                live = self._project.call("deploy", "get_delivery_pipeline", {"name": name})
                if bool(live.suspended) is suspended:
                    return
                wanted = {"name": name, "etag": live.etag, "suspended": suspended}
                asked = {"delivery_pipeline": wanted, "update_mask": {"paths": ["suspended"]}}
                self._project.operate("deploy", "update_delivery_pipeline", asked)
            except Gone:
                return
            except Conflict:
                if tried == MOST_TRIES:
                    raise
            else:
                return

    def _cancel(self, name: str) -> None:
        try:
            self._project.call("deploy", "cancel_rollout", {"name": name})
        except Gone:
            return


def pipelines_of(project: Project, location: str, target: str) -> tuple[frozenset[str], list[Any], str]:
    """Return the target and those that contain it, the pipelines that deploy to one, what did not answer."""
    parent = f"{project.name}/locations/{location}"
    targets = project.every("deploy", "list_targets", {"parent": parent, "page_size": 1000})
    around = {one.name.rpartition("/")[2] for one in targets.items if target in one.multi_target.target_ids}
    aims = frozenset({target, *around})
    asked = {"parent": parent, "page_size": 1000}
    pipelines = project.every("deploy", "list_delivery_pipelines", asked)
    found = [
        one for one in pipelines.items if any(stage.target_id in aims for stage in one.serial_pipeline.stages)
    ]
    return aims, found, ", ".join((*targets.unreachable, *pipelines.unreachable))


def propose(project: Project, found: Found) -> Proposed:
    """Propose to suspend what deploys to each target that the inventory names as a deployer."""
    proposals, notes, incomplete = [], [], []
    for entry in found.of("deployers"):
        if not entry.startswith(KIND):
            continue
        location, _, name = entry.removeprefix(KIND).partition("/")
        try:
            aims, pipelines, missed = pipelines_of(project, location, name)
        except ProviderError as error:
            incomplete.append(f"deployer {entry}: {error}"[:500])
            continue
        if missed:
            incomplete.append(f"deployer {entry}: not answered: {missed}"[:500])
        if not pipelines:
            notes.append(NotTouched(f"deployer {entry}", f"no pipeline in {location} deploys to this target"))
            continue
        params: dict[str, Json] = {"location": location, "target": name}
        said = f"pipelines that deploy to {location}/{name}"
        proposals.append(
            Proposal(
                key=f"suspend_pipelines:{location}/{name}",
                action=SPEC.name,
                target=project.target(
                    "gcp-deploy-target", f"deploy-target/{location}/{name}", said, **params
                ),
                settle_s=project.settle_s(SPEC),
                affects=_affects(pipelines, aims),
                revokes=(f"deployer:{entry.replace(':', '/', 1)}",),
            )
        )
    return Proposed(tuple(proposals), not_touched=tuple(notes), incomplete=tuple(incomplete))


def _affects(pipelines: list[Any], aims: frozenset[str]) -> tuple[str, ...]:
    found = []
    for one in pipelines:
        others = [stage.target_id for stage in one.serial_pipeline.stages if stage.target_id not in aims]
        also = f", which also deploys to {', '.join(others)}" if others else ""
        found.append(f"pipeline {_short(one.name)}{also}"[:300])
    return tuple(found)


def _open(objects: Any) -> list[str]:  # noqa: ANN401 - objects of a state
    """Return what still lets something be rolled out."""
    return [
        key
        for key, value in objects.items()
        if key.startswith(_ROLLOUT) or field(value, "suspended") is not True
    ]


def _short(name: str) -> str:
    return name.rpartition("/")[2]


ACTION_CLASSES = (SuspendPipelines,)
SPECS = (SPEC,)
