"""``gcp.cloudbuild.disable_trigger``: a trigger starts no build any more; those that run are cancelled.

The whole trigger is sent again with a mask of the one field, so that no server can take out the rest. A
disabled trigger is never started by an event (BuildTrigger.disabled); whoever may create builds can still
start one of his own.
"""

from __future__ import annotations

import json
from typing import Any

from breakglass.canon import Json
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

SPEC = ActionSpec(
    name="gcp.cloudbuild.disable_trigger",
    capability=Capability.FREEZE_CHANGE,
    summary="disables the trigger, and cancels its builds that wait or run",
    permissions=(
        "cloudbuild.builds.get",
        "cloudbuild.builds.list",
        "cloudbuild.builds.update",
    ),
    blast_radius="all that this trigger builds or deploys; a cancelled build leaves what it did so far",
    reversibility=Reversibility.PARTIAL,
    undo="enables the trigger where nothing else of it changed; events that passed start no build",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="gcp.cloudbuild.disable_trigger trigger/europe-west1/deploy-bot",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, "Cloud Build reference, BuildTrigger.disabled; CancelBuild"),
        Source("settle", Authority.UNVERIFIED, "no figure is published; read back twice, 10 s apart"),
        Source("permissions", Authority.UNVERIFIED, "triggers have no permissions of their own, builds have"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_cloud_build.py"),
    ),
    service="builds",
)
KIND = "cloudbuild:"
GOING = ("PENDING", "QUEUED", "WORKING")
_FILTER = " OR ".join(f'status="{one}"' for one in GOING)
_TRIGGER, _BUILD = "trigger/", "build/"


class DisableTrigger:
    """One trigger of one region, also where it is made anew under its name."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read the trigger, and what runs of it; of one that is gone what it started may still run."""
        found = triggers(self._project, str(resource.params["location"]), resource)
        known = {str(resource.params["trigger_id"]), *(one.id for one in found)}
        objects: dict[str, Json] = {f"{_TRIGGER}{one.id}": self._record(one) for one in found}
        for build in self._builds(resource):
            if build.build_trigger_id in known:
                objects[f"{_BUILD}{build.id}"] = {"status": build.status.name, "name": str(build.name)}
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Disable first, so that nothing starts behind the builds that are cancelled then."""
        failed: list[ProviderError] = []
        for key, value in sorted(before.objects.items(), reverse=True):
            try:
                if key.startswith(_BUILD):
                    self._cancel(resource, key.removeprefix(_BUILD), str(field(value, "name")))
                elif field(value, "disabled") is not True:
                    self._set(resource, key.removeprefix(_TRIGGER), disabled=True)
            except ProviderError as error:
                failed.append(error)
        # A build that has ended meanwhile is refused: a look tells it from one that cannot be cancelled.
        if failed and self.judge(resource, self.observe(resource)).verdict is not Verdict.CONTAINED:
            raise next((one for one in failed if isinstance(one, Transient)), failed[0])

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether it starts builds, or one of them runs."""
        enabled = [
            key
            for key, value in state.objects.items()
            if key.startswith(_TRIGGER) and field(value, "disabled") is not True
        ]
        if enabled:
            return Judgement(Verdict.NOT_CONTAINED, "the trigger starts builds")
        if running := sum(key.startswith(_BUILD) for key in state.objects):
            return Judgement(Verdict.NOT_CONTAINED, f"the trigger is disabled; {running} of its builds run")
        gone = "" if state.objects else " (it is gone)"
        return Judgement(Verdict.CONTAINED, f"the trigger starts nothing, and none of its builds runs{gone}")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Enable it where the stop disabled it and nothing else of it changed."""
        outcomes: dict[str, Outcome] = {}
        for key, was in before.objects.items():
            there = now.objects.get(key)
            if key.startswith(_BUILD):
                outcomes[key] = Outcome.ENDED
            elif there is None or field(there, "rest") != field(was, "rest"):
                outcomes[key] = Outcome.DRIFTED
            elif field(was, "disabled") == field(there, "disabled"):
                outcomes[key] = Outcome.ALREADY
            else:
                self._set(resource, key.removeprefix(_TRIGGER), disabled=field(was, "disabled") is True)
                outcomes[key] = Outcome.RESTORED
        return Reversal(outcomes, "enabled as it was; a trigger that somebody changed since is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a trial would be a build."""
        return None

    def _record(self, trigger: Any) -> Json:  # noqa: ANN401 - BuildTrigger
        """Return what to compare; the rest may hold secrets (substitutions, steps)."""
        rest = as_json(trigger)
        disabled = bool(rest.pop("disabled", False))
        data = json.dumps(rest, sort_keys=True).encode()
        sealed = self._project.connection.sealed.put(f"build trigger {trigger.id}", data)
        return {"disabled": disabled, "name": str(trigger.name), "rest": dict(sealed)}

    def _builds(self, resource: Resource) -> tuple[Any, ...]:
        parent = f"{self._project.name}/locations/{resource.params['location']}"
        asked = {"parent": parent, "project_id": self._project.id, "filter": _FILTER, "page_size": 1000}
        listed = self._project.every("builds", "list_builds", asked)
        return tuple(one for one in listed.items if one.status.name in GOING)

    def _set(self, resource: Resource, trigger_id: str, *, disabled: bool) -> None:
        from google.cloud.devtools.cloudbuild_v1.types import BuildTrigger

        location = str(resource.params["location"])
        name = f"{self._project.name}/locations/{location}/triggers/{trigger_id}"
        asked = {"name": name, "project_id": self._project.id, "trigger_id": trigger_id}
        try:
            live = BuildTrigger(self._project.call("builds", "get_build_trigger", asked))
            live.disabled, live.resource_name = disabled, name
            request = {
                "project_id": self._project.id,
                "trigger_id": trigger_id,
                "trigger": live,
                "update_mask": {"paths": ["disabled"]},
            }
            self._project.call("builds", "update_build_trigger", request)
        except Gone:
            return

    def _cancel(self, resource: Resource, build_id: str, name: str) -> None:
        place = f"{self._project.name}/locations/{resource.params['location']}"
        named = name or f"{place}/builds/{build_id}"
        asked = {"name": named, "project_id": self._project.id, "id": build_id}
        try:
            self._project.call("builds", "cancel_build", asked)
        except Gone:
            return


def triggers(project: Project, location: str, resource: Resource | None = None, name: str = "") -> list[Any]:
    """Return the triggers of a region that have a target's id or its name, or this id or name."""
    asked = {"parent": f"{project.name}/locations/{location}", "project_id": project.id, "page_size": 1000}
    wanted = {name} if resource is None else {str(resource.params[key]) for key in ("trigger_id", "trigger")}
    listed = project.every("builds", "list_build_triggers", asked)
    return [one for one in listed.items if {one.id, one.name} & (wanted - {""})]


def propose(project: Project, found: Found) -> Proposed:
    """Propose to disable each trigger that the inventory names as a deployer."""
    proposals, notes, incomplete = [], [], []
    for entry in found.of("deployers"):
        if not entry.startswith(KIND):
            continue
        location, _, name = entry.removeprefix(KIND).partition("/")
        try:
            there = triggers(project, location, name=name)
        except ProviderError as error:
            incomplete.append(f"deployer {entry}: {error}"[:500])
            continue
        if not there:
            notes.append(NotTouched(f"deployer {entry}", f"there is no such trigger in {location}"))
            continue
        one = there[0]
        params: dict[str, Json] = {"location": location, "trigger": str(one.name), "trigger_id": str(one.id)}
        said = f"build trigger {location}/{one.name or one.id}"
        target = project.target("gcp-build-trigger", f"trigger/{location}/{name}", said, **params)
        account = one.service_account.rpartition("/")[2] or "the project's default account of Cloud Build"
        proposals.append(
            Proposal(
                key=f"disable_trigger:{location}/{name}",
                action=SPEC.name,
                target=target,
                settle_s=project.settle_s(SPEC),
                affects=(f"builds as {account}",),
                revokes=(f"deployer:{entry.replace(':', '/', 1)}",),
            )
        )
    return Proposed(tuple(proposals), not_touched=tuple(notes), incomplete=tuple(incomplete))


ACTION_CLASSES = (DisableTrigger,)
SPECS = (SPEC,)
