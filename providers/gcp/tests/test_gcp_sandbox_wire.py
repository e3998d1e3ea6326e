"""The sandbox's two ports: methods it lacks, one call over both, what it is told to do wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.resourcemanager_v3 import ProjectsClient
from google.cloud.resourcemanager_v3.services.projects.transports import ProjectsGrpcTransport
from google.oauth2.credentials import Credentials

from providers.gcp.tests.rig_gcp import Rig


class _WithToken(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpc has no types here
    def __init__(self, token: str) -> None:
        self._token = token

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:  # noqa: ANN401 - grpc's own
        metadata = [*(details.metadata or ()), ("authorization", f"Bearer {self._token}")]
        return continuation(details._replace(metadata=metadata), request)


@pytest.fixture
def admin(rig: Rig) -> str:
    """Return the administrator's token."""
    return str(rig.control("admin")["token"])


@pytest.fixture
def channel(rig: Rig, admin: str) -> Iterator[grpc.Channel]:
    """Return a channel of the administrator's."""
    with grpc.insecure_channel(rig.sandbox.grpc.removeprefix("http://")) as plain:
        yield grpc.intercept_channel(plain, _WithToken(admin))


@pytest.fixture(params=["grpc", "rest"])
def projects(request: pytest.FixtureRequest, rig: Rig, admin: str, channel: grpc.Channel) -> ProjectsClient:
    """Return Google's own client over each transport."""
    if request.param == "grpc":
        return ProjectsClient(transport=ProjectsGrpcTransport(channel=channel))
    options = {"api_endpoint": rig.sandbox.rest}
    return ProjectsClient(transport="rest", credentials=Credentials(admin), client_options=options)


def test_the_same_call_is_answered_alike_over_both_transports(rig: Rig, projects: ProjectsClient) -> None:
    """Google's client gets the same project, by id and by number."""
    for name in (rig.project, rig.number):
        found = projects.get_project(name=f"projects/{name}")
        assert (found.project_id, found.name) == (rig.project, f"projects/{rig.number}")


def test_a_method_that_is_not_modelled_is_unimplemented_both_ways(projects: ProjectsClient) -> None:
    """Nothing is answered by chance: a method that Google has and the sandbox lacks is refused."""
    with pytest.raises(exceptions.MethodNotImplemented):
        projects.delete_project(name="projects/some")


def test_a_method_that_google_does_not_have_is_unimplemented(rig: Rig, channel: grpc.Channel) -> None:
    """So is one that nobody has heard of, over gRPC and over HTTP."""
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/google.nothing.v1.Nothing/Get")(b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(Exception, match="no method for GET /v9/nothing"):
        rig.admin.rest("iam_rest", "GET", "/v9/nothing")


def test_a_stale_etag_is_refused_both_ways(rig: Rig, projects: ProjectsClient) -> None:
    """A policy that changed since it was read is not overwritten."""
    resource = f"projects/{rig.project}"
    policy = projects.get_iam_policy(resource=resource)
    policy.bindings.add(role="roles/viewer", members=["user:first@example.com"])
    projects.set_iam_policy(request={"resource": resource, "policy": policy})
    with pytest.raises(exceptions.Conflict):
        projects.set_iam_policy(request={"resource": resource, "policy": policy})


def test_what_is_unknown_in_a_request_is_refused(rig: Rig) -> None:
    """A field that Google's message does not have is an error over REST, not passed over."""
    path = f"/v3/projects/{rig.project}:getIamPolicy"
    with pytest.raises(Exception, match=r"Unknown name|no field named"):
        rig.admin.rest("iam_rest", "POST", path, body={"opshuns": {}})


def test_a_fault_meets_the_calls_that_it_names_as_often_as_told(rig: Rig, projects: ProjectsClient) -> None:
    """The first call fails, the second works; another project's calls are never met."""
    rig.control("faults", {"faults": [{"method": "*TestIamPermissions", "code": "INTERNAL", "times": 1}]})
    asked = {"resource": f"projects/{rig.project}", "permissions": ["run.services.get"]}
    with pytest.raises(exceptions.InternalServerError):
        projects.test_iam_permissions(request=asked)
    assert list(projects.test_iam_permissions(request=asked).permissions) == ["run.services.get"]


def test_a_lost_answer_is_a_call_that_was_carried_out(rig: Rig, projects: ProjectsClient) -> None:
    """A fault with `after` refuses once the call had its effect."""
    resource = f"projects/{rig.project}"
    order = {"method": "*SetIamPolicy", "code": "DEADLINE_EXCEEDED", "times": 1, "after": True}
    rig.control("faults", {"faults": [order]})
    policy = projects.get_iam_policy(resource=resource)
    policy.bindings.add(role="roles/viewer", members=["user:lost@example.com"])
    with pytest.raises(exceptions.GoogleAPICallError):
        projects.set_iam_policy(request={"resource": resource, "policy": policy})
    told = [one.role for one in projects.get_iam_policy(resource=resource).bindings]
    assert "roles/viewer" in told


def test_every_call_is_recorded_and_every_write_audited(rig: Rig, projects: ProjectsClient) -> None:
    """Who, what, how it was answered; reads are not in the audit log of writes."""
    projects.get_project(name=f"projects/{rig.project}")
    last = rig.control("calls")[-1]
    assert last["method"].endswith("Projects/GetProject")
    assert (last["principal"], last["code"]) == ("admin@sandbox.example", "OK")
    audited = {one["method"] for one in rig.control("audit")}
    assert "google.iam.admin.v1.IAM.CreateServiceAccount" in audited
    assert not any(one.endswith("GetProject") for one in audited)


def test_a_service_that_is_not_enabled_is_refused_and_says_so(rig: Rig) -> None:
    """PERMISSION_DENIED with the reason SERVICE_DISABLED, as Google words it."""
    rig.control("project", {"id": rig.project, "services": ["iam.googleapis.com"]})
    with pytest.raises(Exception, match="not enabled") as refused:
        rig.admin.call("projects", "get_project", {"name": f"projects/{rig.project}"})
    cause = refused.value.__cause__
    assert isinstance(cause, exceptions.Forbidden)
    assert cause.reason == "SERVICE_DISABLED"
