"""Whole stops that deny a service to the project: never the reason for "contained", and undone exactly."""

from __future__ import annotations

from pathlib import Path

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.model.plan import Plan
from breakglass_gcp import permissions
from breakglass_gcp.actions import restrict_services
from breakglass_gcp.drill_identities import organisation
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests import services_gcp
from providers.gcp.tests.rig_gcp import Rig
from tests.gcp.project_fleet import EXECUTOR, LOCATION, Cloud, project_fleet, said

ACTION = restrict_services.SPEC.name
MODELS = "aiplatform.googleapis.com"


def denying(service: str) -> dict[str, Json]:
    """Return what a reach names so that its stop denies a service."""
    return {"class_services": [service], "accept_blast_radius": [f"service:{service}"]}


REACH = denying(MODELS)
SECRETS = denying("secretmanager.googleapis.com")
MACHINES = denying("compute.googleapis.com")


def arm(cloud: Cloud, *, may_set: bool) -> None:
    """Make an executor with the printed role, and where it may set policies with the role named beside it."""
    [printed] = permissions.documents("", (), split=False)
    names = [str(one) for one in printed["includedPermissions"]]  # type: ignore[union-attr]  # a list
    email = cloud.account("printed-executor", cloud.role("printed", names))
    cloud.held[EXECUTOR] = cloud.key(email)
    if may_set:
        where = organisation(cloud.admin, cloud.project)
        held = cloud.admin.rest("projects", "POST", f"v3/{where}:getIamPolicy", body={})
        bound = {"role": "roles/orgpolicy.policyAdmin", "members": [f"serviceAccount:{email}"]}
        asked = {"policy": {**held, "bindings": [*held.get("bindings", []), bound]}}
        cloud.admin.rest("projects", "POST", f"v3/{where}:setIamPolicy", body=asked)


def answered(cloud: Cloud) -> bool:
    """Tell whether anybody gets through to the service in this project."""
    path = f"v1/projects/{cloud.project}/locations/{LOCATION}/reasoningEngines"
    try:
        cloud.admin.rest("aiplatform", "GET", path, location=LOCATION)
    except ProviderError:
        return False
    return True


def test_a_service_is_denied_until_the_restore_and_what_nobody_sees_there_meanwhile_is_unknown(
    cloud: Cloud,
) -> None:
    """Its step does not matter once the account is proven; that Google refuses the look at the end does."""
    arm(cloud, may_set=True)
    account = cloud.account("bot", "roles/aiplatform.user")
    before = cloud.state()["orgpolicy"]
    with project_fleet(cloud, cloud.reach(service_accounts=[account], **REACH)) as ours:
        _, done = ours.stop()
        meanwhile = answered(cloud)
        _, back = ours.restore()

    [step] = [one for one in done.report.steps if one.action == ACTION]
    assert not meanwhile
    assert "does not matter any more" in step.reason, said(done.report)
    assert f"denied in the project: {MODELS}" in step.reason
    assert done.report.verdict is Verdict.UNKNOWN, said(done.report)
    assert {one.kind for one in done.report.open} == {"not_looked_again"}
    assert back.verdict is Verdict.CONTAINED, said(back)
    assert answered(cloud)
    assert cloud.state()["orgpolicy"] == before


def test_a_service_in_which_nothing_is_looked_for_keeps_no_stop_from_being_contained(cloud: Cloud) -> None:
    """The account is proven, and nothing was to be seen in the service."""
    arm(cloud, may_set=True)
    account = cloud.account("bot", "roles/pubsub.editor")
    with project_fleet(cloud, cloud.reach(service_accounts=[account], **SECRETS)) as ours:
        _, done = ours.stop()

    assert [one.action for one in done.report.steps].count(ACTION) == 1
    assert done.report.verdict is Verdict.CONTAINED, said(done.report)


def test_a_machine_that_is_made_while_people_sign_is_not_hidden_by_the_denial(
    cloud: Cloud, tmp_path: Path
) -> None:
    """It runs on, as another account: without the denial it is found and not signed."""
    arm(cloud, may_set=True)
    rig = Rig(cloud.sandbox, tmp_path, cloud.project, cloud.number, cloud.admin)
    compute.network(rig)
    account, other = cloud.account("bot", "roles/pubsub.editor"), cloud.account("other", "roles/editor")

    def plant(_plan: Plan) -> None:
        compute.machine(rig, "planted", other, labels={"breakglass_dev_agent": "rogue"})

    with project_fleet(cloud, cloud.reach(service_accounts=[account], **MACHINES)) as ours:
        _, done = ours.stop(planned=plant)
        ours.restore()

    assert compute.status(rig, f"{compute.ZONE}/planted") == "RUNNING"
    assert done.report.verdict is Verdict.UNKNOWN, said(done.report)
    assert [one for one in done.report.open if "listing of instances" in one.reason], said(done.report)


def test_a_machine_in_a_service_that_was_denied_before_is_not_taken_for_none(
    cloud: Cloud, tmp_path: Path
) -> None:
    """Another stop denied it: what the agent runs there could not be listed when this one was planned."""
    arm(cloud, may_set=True)
    rig = Rig(cloud.sandbox, tmp_path, cloud.project, cloud.number, cloud.admin)
    compute.network(rig)
    account, other = cloud.account("bot", "roles/pubsub.editor"), cloud.account("other", "roles/editor")
    compute.machine(rig, "planted", other, labels={"breakglass_dev_agent": "rogue"})
    services_gcp.set_policy(rig, services_gcp.denied("compute.googleapis.com"))
    with project_fleet(cloud, cloud.reach(service_accounts=[account], **MACHINES)) as ours:
        _, done = ours.stop()

    assert done.report.verdict is Verdict.UNKNOWN, said(done.report)
    assert "not_planned" in {one.kind for one in done.report.open}


def test_a_stop_that_denies_a_service_and_nothing_else_is_not_contained(cloud: Cloud) -> None:
    """Some services and calls are not covered, and what runs goes on."""
    arm(cloud, may_set=True)
    with project_fleet(cloud, cloud.reach(**REACH)) as ours:
        _, done = ours.stop()

    assert not answered(cloud)
    assert done.report.verdict is Verdict.UNKNOWN, said(done.report)
    assert [one for one in done.report.open if one.name.startswith(ACTION)]


def test_without_the_role_on_the_organisation_the_step_is_left_out_before_anyone_signs(cloud: Cloud) -> None:
    """The project's custom role cannot hold the right to set such policies."""
    arm(cloud, may_set=False)
    account = cloud.account("bot", "roles/aiplatform.user")
    with project_fleet(cloud, cloud.reach(service_accounts=[account], **REACH)) as ours:
        _, done = ours.stop()

    assert [one for one in done.report.steps if one.action == ACTION] == []
    assert "orgpolicy.policy.set" in str(done.report.open) + str(done.report.not_touched)
    assert answered(cloud)
