"""The control plane itself: who may do what, what is recorded, and what happens when it is silent."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from breakglass.errors import ProviderError, UsageError
from breakglass_kubernetes.sandbox.install import projects
from breakglass_kubernetes.sandbox.process import ApiError, Sandbox
from providers.kubernetes.tests.planes_k8s import OWN

PLANE = OWN  # it restarts and stops the API server
NAMESPACES = "/api/v1/namespaces"


def _as(folder: Path, config: bytes) -> Any:  # noqa: ANN401 - the client has no types
    """Return the official client of a kubeconfig."""
    import kubernetes

    path = folder / "kubeconfig"
    path.write_bytes(config)
    return kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(str(path)))


def test_the_cluster_says_that_it_is_a_sandbox(plane: Sandbox) -> None:
    """A real plan refuses such a cluster."""
    found = plane.call("GET", f"{NAMESPACES}/kube-system")

    assert found["metadata"]["annotations"]["breakglass.dev/sandbox"] == "true"
    assert found["metadata"]["uid"] == plane.cluster_uid


def test_a_kubeconfig_is_exactly_its_user(plane: Sandbox, tmp_path: Path) -> None:
    """The official client reads it, and RBAC judges user and groups."""
    config = plane.kubeconfig("mallory", ("team:red",))
    context = json.loads(config)["contexts"][0]["name"]
    assert context == "mallory"
    client = _as(tmp_path, config)
    import kubernetes

    with pytest.raises(kubernetes.client.ApiException) as refused:
        client.list_namespaced_secret("default")
    assert refused.value.status == 403
    binding = {
        "metadata": {"name": "red"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "Group", "name": "team:red", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    plane.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    deadline = time.monotonic() + 10
    while True:
        try:
            assert isinstance(client.list_namespaced_pod("default").items, list)
            break
        except kubernetes.client.ApiException:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    client.api_client.close()


def test_a_token_is_its_service_account_and_nobody_without_one(plane: Sandbox, tmp_path: Path) -> None:
    """Neither a wrong token nor none is let in."""
    plane.call("POST", f"{NAMESPACES}/default/serviceaccounts", {"metadata": {"name": "bot"}})
    path = f"{NAMESPACES}/default/serviceaccounts/bot/token"
    token = plane.call("POST", path, {"spec": {}})["status"]["token"]

    with pytest.raises(ApiError, match="system:serviceaccount:default:bot") as refused:
        plane.call("GET", "/api/v1/secrets", token=token)
    assert refused.value.status == 403
    with pytest.raises(ApiError) as refused:
        plane.call("GET", "/api/v1/secrets", token="wrong")  # noqa: S106 - the point of it
    assert refused.value.status == 401
    client = _as(tmp_path, plane.token_kubeconfig("bot", token))
    assert client.api_client.configuration.host == plane.server
    client.api_client.close()


def test_an_expired_certificate_is_nobody(plane: Sandbox, tmp_path: Path) -> None:
    """So what a client does with one can be seen."""
    import urllib3

    client = _as(tmp_path, plane.kubeconfig("late", valid_s=-60))

    with pytest.raises((Exception,)) as refused:
        client.list_namespace()
    assert getattr(refused.value, "status", 401) == 401 or isinstance(
        refused.value, urllib3.exceptions.HTTPError
    )
    client.api_client.close()


def test_every_answered_call_is_in_the_audit_log(plane: Sandbox) -> None:
    """With user, verb, object and answer, at once."""
    before = len(plane.audit())
    with pytest.raises(ApiError):
        plane.call("GET", f"{NAMESPACES}/default/configmaps/none", user="auditee", groups=())
    mine = [event for event in plane.audit(before) if event["user"]["username"] == "auditee"]

    assert [("get", "configmaps", 403)] == [
        (event["verb"], event["objectRef"]["resource"], event["responseStatus"]["code"]) for event in mine
    ]
    assert mine[0]["stage"] == "ResponseComplete"


@pytest.mark.parametrize("project", projects())
def test_custom_resources_are_served_once_installed(plane: Sandbox, project: str) -> None:
    """Twice does no harm."""
    names = plane.install(project)

    assert names == plane.install(project)
    for name in names:
        found = plane.call("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
        broken = [c for c in found["status"]["conditions"] if c["type"] == "NonStructuralSchema"]
        assert not broken


def test_a_rollout_scales_through_its_subresource(plane: Sandbox) -> None:
    """As the real one does."""
    plane.install("argo")
    base = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts"
    meta = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "r"}}
    plane.call("POST", base, {**meta, "spec": {"replicas": 3, "template": {"spec": {"anything": 1}}}})
    plane.call(
        "PATCH", f"{base}/r/scale", {"spec": {"replicas": 0}}, content_type="application/merge-patch+json"
    )

    assert plane.call("GET", f"{base}/r")["spec"]["replicas"] == 0
    assert plane.call("GET", f"{base}/r")["spec"]["template"]["spec"] == {"anything": 1}


def test_an_unknown_project_is_refused(plane: Sandbox) -> None:
    """And what there is, is named."""
    with pytest.raises(UsageError, match="argo, calico"):
        plane.install("nonsense")


def test_a_users_certificate_opens_neither_the_database_nor_a_node(plane: Sandbox) -> None:
    """They have authorities and callers of their own."""
    node = plane.call("GET", "/api/v1/nodes/sandbox-1")
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    arguments = next(
        said.read_bytes().split(b"\0")
        for said in Path("/proc").glob("[0-9]*/cmdline")
        if plane.server.rpartition(":")[2].encode() in _read(said) and b"--etcd-servers" in _read(said)
    )
    etcd = next(each for each in arguments if each.startswith(b"--etcd-servers=")).rpartition(b":")[2]
    context = ssl.create_default_context(cadata=plane.ca_pem.decode())
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(plane.folder / "pki" / "admin.pem")

    for where, ask in ((port, "/containerLogs/default/x/y"), (int(etcd), "/version")):
        with socket.create_connection(("127.0.0.1", where), 10) as plain:
            said = b""
            try:
                with context.wrap_socket(plain) as tls:
                    tls.sendall(
                        f"GET {ask} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
                    )
                    said = tls.recv(4096)
            except (ssl.SSLError, ConnectionError):
                continue
            assert b" 403 " in said.splitlines()[0]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_paused_api_server_is_silent_and_goes_on(plane: Sandbox) -> None:
    """Calls wait; none is lost."""
    plane.pause()
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(plane.call("GET", "/version")))
    waiting.start()
    time.sleep(1)

    assert not answers
    plane.resume()
    waiting.join(30)
    assert answers


def test_a_restarted_api_server_keeps_what_there_was(plane: Sandbox) -> None:
    """And the stub kubelet goes on with it."""
    plane.call("POST", f"{NAMESPACES}/default/configmaps", {"metadata": {"name": "kept"}})
    plane.restart_api()
    spec = {"containers": [{"name": "main", "image": "i"}]}
    plane.call("POST", f"{NAMESPACES}/default/pods", {"metadata": {"name": "after"}, "spec": spec})

    assert plane.call("GET", f"{NAMESPACES}/default/configmaps/kept")
    end = time.monotonic() + 30
    while plane.call("GET", f"{NAMESPACES}/default/pods/after")["status"]["phase"] != "Running":
        assert time.monotonic() < end
        time.sleep(0.1)


def test_an_unknown_order_is_refused(plane: Sandbox) -> None:
    """And the orders that there are, are named."""
    with pytest.raises(ProviderError, match="restart_api"):
        plane.control("dance")
