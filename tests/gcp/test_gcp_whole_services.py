"""Whole stops that deny a service to the project: never the reason for "contained", and undone exactly."""

from __future__ import annotations

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass_gcp import permissions
from breakglass_gcp.actions import restrict_services
from breakglass_gcp.drill_identities import organisation
from tests.gcp.project_fleet import EXECUTOR, LOCATION, Cloud, project_fleet, said

ACTION = restrict_services.SPEC.name
MODELS = "aiplatform.googleapis.com"
REACH: dict[str, Json] = {"class_services": [MODELS], "accept_blast_radius": [f"service:{MODELS}"]}


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


def test_a_stop_with_an_account_is_contained_by_that_and_the_service_is_denied_until_the_restore(
    cloud: Cloud,
) -> None:
    """What is looked at again at the end is refused as well, and is no listing that failed."""
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
    assert done.report.verdict is Verdict.CONTAINED, said(done.report)
    assert back.verdict is Verdict.CONTAINED, said(back)
    assert answered(cloud)
    assert cloud.state()["orgpolicy"] == before


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
