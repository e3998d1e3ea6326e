"""The executor's credential: what ends is said, what is renewed is used, and nobody else acts with it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from breakglass.errors import BreakglassError, Denied
from breakglass_kubernetes.connect import KubernetesProvider
from breakglass_kubernetes.kinds import NAMESPACES, SERVICE_ACCOUNTS
from breakglass_kubernetes.refusals import CredentialsExpired
from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.connecting_k8s import changed, connect
from providers.kubernetes.tests.rig_k8s import MASTERS, Rig


@dataclass(frozen=True, slots=True)
class Ended:
    """Connections whose token has ended, and where each was had from, by the way in which it was had."""

    folders: dict[str, Path]
    providers: dict[str, KubernetesProvider]


@pytest.fixture
def data(plane: Sandbox) -> bytes:
    """Return the executor's kubeconfig."""
    return plane.kubeconfig("executor", MASTERS)


@pytest.fixture(scope="module")
def executor(plane: Sandbox) -> str:
    """Make an account that may do everything, whose tokens the executor may show; return its namespace."""
    plane.make_namespace("tokens")
    plane.call("POST", SERVICE_ACCOUNTS.path("tokens"), {"metadata": {"name": "executor"}})
    binding = {
        "metadata": {"name": "tokens-executor"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "tokens", "name": "executor"}],
    }
    plane.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    return "tokens"


def minted(plane: Sandbox, namespace: str) -> str:
    """Mint a token of the executor's account."""
    path = f"{SERVICE_ACCOUNTS.path(namespace, 'executor')}/token"
    return str(plane.call("POST", path, {"spec": {"expirationSeconds": 3600}})["status"]["token"])


# -- credentials that end ---------------------------------------------------------------------------------


def test_an_expired_certificate_is_told_with_its_end(plane: Sandbox, tmp_path: Path) -> None:
    """The server says 401 and no more."""
    over = plane.kubeconfig("executor", MASTERS, valid_s=-3600)

    with pytest.raises(Denied, match=r"certificate expired at 20\d\d-") as caught:
        connect(plane, tmp_path, over)
    assert "PRIVATE KEY" not in str(caught.value)


def test_a_token_that_was_never_one_is_refused_in_words(plane: Sandbox, tmp_path: Path, data: bytes) -> None:
    """Without the token in them."""
    with pytest.raises(Denied, match="refused") as caught:
        connect(plane, tmp_path, changed(data, token="garbage-token"))  # noqa: S106 - nobody's
    assert "garbage-token" not in f"{caught.value}{caught.value!r}"


def test_a_token_with_a_line_break_in_it_is_refused_before_it_is_sent(
    plane: Sandbox, tmp_path: Path, data: bytes
) -> None:
    """It would be a header of somebody else's making."""
    for token in ("a\r\nX-Remote-User: root", "t\u00f6ken"):
        with pytest.raises(Denied, match="no token"):
            connect(plane, tmp_path, changed(data, token=token))


def until_it_works(provider: KubernetesProvider) -> None:
    """Call as the engine does, again and again."""
    end = time.monotonic() + 30
    while True:
        try:
            provider.cluster.get(NAMESPACES, "", "kube-system")
        except CredentialsExpired:
            assert time.monotonic() < end, "it was not renewed"
            time.sleep(0.3)
        else:
            return


@pytest.fixture(scope="module")
def ended(plane: Sandbox, executor: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """Connect in each way that a token can be had, and end all of them: the account is made anew."""
    data, folders, providers = plane.kubeconfig("executor", MASTERS), {}, {}
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "cat", "args": ["answer"]}
    users: dict[str, dict[str, Any]] = {
        "token file": {"tokenFile": "token"},
        "kubeconfig": {"token": minted(plane, executor)},
        "plugin": {"exec": plugin},
    }
    for way, user in users.items():
        folders[way] = tmp_path_factory.mktemp("way")
        (folders[way] / "token").write_text(minted(plane, executor))
        (folders[way] / "answer").write_text(answer_of(minted(plane, executor)))
        providers[way] = connect(plane, folders[way], changed(data, **user))
    end_account(plane, executor, *providers.values())
    yield Ended(folders, providers)
    for provider in providers.values():
        provider.close()


def answer_of(token: str) -> str:
    """Return what a plug-in prints."""
    return json.dumps({"status": {"token": token}})


def test_a_stop_goes_on_when_the_token_file_is_written_anew(
    plane: Sandbox, executor: str, ended: Ended
) -> None:
    """The account is made anew, so that the old token is worth nothing."""
    (ended.folders["token file"] / "token").write_text(minted(plane, executor) + "\n")

    until_it_works(ended.providers["token file"])


def test_a_stop_goes_on_when_the_kubeconfig_is_written_anew_and_still_means_this_cluster(
    plane: Sandbox, data: bytes, executor: str, ended: Ended
) -> None:
    """One of another cluster is not taken."""
    provider = ended.providers["kubeconfig"]
    good = changed(data, token=minted(plane, executor))
    path = ended.folders["kubeconfig"] / "kubeconfig"

    path.write_bytes(good.replace(plane.server.encode(), b"https://127.0.0.1:1"))
    time.sleep(1.1)
    with pytest.raises(CredentialsExpired):
        provider.cluster.get(NAMESPACES, "", "kube-system")
    path.write_bytes(good)

    until_it_works(provider)


def test_a_stop_goes_on_when_the_plugin_gives_another_token(
    plane: Sandbox, executor: str, ended: Ended
) -> None:
    """It is run again when the server refuses."""
    (ended.folders["plugin"] / "answer").write_text(answer_of(minted(plane, executor)))

    until_it_works(ended.providers["plugin"])


def test_a_plugin_may_give_a_certificate(plane: Sandbox, tmp_path: Path, data: bytes) -> None:
    """With its key, as text."""
    user = yaml.safe_load(data)["users"][0]["user"]
    pair = (base64.b64decode(user[f"client-{one}-data"]).decode() for one in ("certificate", "key"))
    status = dict(zip(("clientCertificateData", "clientKeyData"), pair, strict=True))
    (tmp_path / "answer").write_text(json.dumps({"status": status}))

    connect(plane, tmp_path, changed(data, exec={"command": "cat", "args": ["answer"]})).close()


def end_account(plane: Sandbox, namespace: str, *providers: KubernetesProvider) -> None:
    """Make the account anew, and wait until the server refuses the old tokens (its cache: 10 s)."""
    plane.call("DELETE", SERVICE_ACCOUNTS.path(namespace, "executor"))
    plane.call("POST", SERVICE_ACCOUNTS.path(namespace), {"metadata": {"name": "executor"}})
    end = time.monotonic() + 20
    while not all(map(is_refused, providers)):
        assert time.monotonic() < end, "the token of a deleted account still works"
        time.sleep(0.3)


def is_refused(provider: KubernetesProvider) -> bool:
    """Return whether the server refuses the executor's credential."""
    try:
        provider.cluster.get(NAMESPACES, "", "kube-system")
    except CredentialsExpired:
        return True
    return False


# -- nobody else's identity -------------------------------------------------------------------------------

_LEAK = """
import json, sys
import kubernetes.client
from kubernetes.client import Configuration
given = json.loads(sys.stdin.read())
admin = Configuration(host=given["server"])
admin.api_key = {"authorization": "Bearer " + given["admin"], "BearerToken": "Bearer " + given["admin"]}
def hook(configuration):
    print("HOOK")
    configuration.api_key["authorization"] = "Bearer " + given["admin"]
admin.refresh_api_key_hook = hook
Configuration.set_default(admin)
from breakglass_kubernetes.credential import Shown
from breakglass_kubernetes.kubeconfig import Context, Identity
from breakglass_kubernetes.wire import Wire
context = Context("t", given["server"], given["ca"].encode(), "", "", Identity())
for token in (given["agent"], "garbage", ""):
    print(Wire(context, Shown(token)).call("GET", "/api/v1/secrets").status)
"""


def test_the_default_configuration_of_the_client_never_acts_in_anybodys_place(
    plane: Sandbox, rig: Rig, executor: str
) -> None:
    """An administrator's with a hook that renews his token: the agent stays refused, and nobody nobody."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    given = {
        "server": plane.server,
        "ca": plane.ca_pem.decode(),
        "admin": minted(plane, executor),
        "agent": rig.token("bot"),
    }

    done = subprocess.run(
        [sys.executable, "-c", _LEAK], input=json.dumps(given), capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["403", "401", "401"]


def test_a_call_as_the_agent_shows_nothing_of_the_executors(rig: Rig) -> None:
    """Not even its client certificate, by which the server would know it."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    cluster = rig.provider().cluster
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}

    said = cluster.as_token(rig.token("bot"), "POST", review, body=body)
    nobody = cluster.as_token("garbage", "GET", "/api/v1/secrets")

    assert said.json()["status"]["userInfo"]["username"] == f"system:serviceaccount:{rig.namespace}:bot"
    assert nobody.status == 401


def test_no_error_of_a_connection_tells_a_secret(plane: Sandbox, tmp_path: Path, data: bytes) -> None:
    """Whatever is wrong with it."""
    secret = "correct-horse-battery"  # noqa: S105 - nobody's
    for user in (
        {"token": secret},
        {"client-certificate-data": "YQ==", "client-key-data": secret},
        {"exec": {"command": "sh", "args": ["-c", f"echo token={secret} >&2; exit 1"]}},
        {"exec": {"command": "echo", "args": [secret]}},
    ):
        with pytest.raises(BreakglassError) as caught:
            connect(plane, tmp_path, changed(data, **user))
        assert secret not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


@pytest.fixture(autouse=True)
def no_children() -> Iterator[None]:
    """Fail where a test leaves a process of a plug-in behind."""
    yield
    left = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/stat")
        if _parent(path) == os.getpid() and _name(path) in {"sh", "cat", "echo", "sleep"}
    ]
    assert left == []


def _stat(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return "0 () Z 0"


def _parent(path: Path) -> int:
    return int(_stat(path).rpartition(") ")[2].split()[1])


def _name(path: Path) -> str:
    return _stat(path).partition("(")[2].rpartition(")")[0]
