"""Exactly the cluster that is meant, and no hanging where nobody answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from breakglass.errors import Denied, InDoubt, Transient, Unreachable, UsageError
from breakglass_kubernetes.connect import SANDBOX_MARK
from breakglass_kubernetes.kinds import NAMESPACES, SERVICE_ACCOUNTS
from breakglass_kubernetes.sandbox import pki
from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.connecting_k8s import SYSTEM, connect
from providers.kubernetes.tests.front_k8s import UID, front, say
from providers.kubernetes.tests.rig_k8s import MASTERS, Rig


@pytest.fixture
def data(plane: Sandbox) -> bytes:
    """Return the executor's kubeconfig."""
    return plane.kubeconfig("executor", MASTERS)


# -- which cluster ----------------------------------------------------------------------------------------


def test_it_connects_and_leaves_nothing_in_the_folder_for_temporary_files(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key lies there for an instant alone."""
    empty = tmp_path / "tmp"
    empty.mkdir()
    monkeypatch.setenv("TMPDIR", str(empty))
    (tmp_path / "kubeconfig").write_bytes(data)
    program = (
        "import sys; from pathlib import Path; from breakglass_kubernetes.kubeconfig import read;"
        "from breakglass_kubernetes.credential import Shown; from breakglass_kubernetes.wire import Wire;"
        "c = read(Path(sys.argv[1]).read_bytes(), '', where='', folder=None);"
        "Wire(c, Shown('', c.identity.certificate, c.identity.key)).call('GET', '/version')"
    )

    subprocess.run([sys.executable, "-c", program, str(tmp_path / "kubeconfig")], check=True)

    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"server": "https://127.0.0.1:1"}, "and the plan means"),
        ({"ca_sha256": "0" * 64}, "another certificate authority"),
        ({"cluster_uid": UID}, "another cluster"),
        ({"as": "other"}, "'other' is not in it"),
        ({"kubeconfig": "/nonexistent/kubeconfig"}, "cannot be read"),
        ({"kubeconfig": "/dev/null"}, "no plain file"),
        ({"kubeconfig": "/proc/self"}, "cannot be read"),
    ],
)
def test_another_cluster_than_the_one_that_is_meant_is_refused(
    plane: Sandbox, tmp_path: Path, data: bytes, settings: dict[str, Any], words: str
) -> None:
    """By address, by authority, by the uid of kube-system, by context."""
    with pytest.raises(Denied, match=words):
        connect(plane, tmp_path, data, **settings)


def test_a_kubeconfig_that_is_a_pipe_does_not_hang(plane: Sandbox, tmp_path: Path, data: bytes) -> None:
    """Nor does one that never ends."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(Denied):
            connect(plane, tmp_path, data, kubeconfig=str(path))


def test_a_sandbox_in_a_real_plan_is_refused(plane: Sandbox, tmp_path: Path, data: bytes) -> None:
    """Whether or not the reach says that it is one."""
    with pytest.raises(UsageError, match="drill only"):
        connect(plane, tmp_path, data, drill=False)
    for drill in (True, False):
        with pytest.raises(Denied, match="is a sandbox"):
            connect(plane, tmp_path, data, drill=drill, sandbox=False)


def test_a_real_cluster_is_never_taken_for_a_sandbox(plane: Sandbox, tmp_path: Path, data: bytes) -> None:
    """The mark is the cluster's own."""
    for mark in (None, "false"):
        plane.call("PATCH", SYSTEM, note(mark), content_type="application/merge-patch+json")
        try:
            with pytest.raises(Denied, match="no sandbox"):
                connect(plane, tmp_path, data)
        finally:
            plane.call("PATCH", SYSTEM, note("true"), content_type="application/merge-patch+json")


def note(mark: str | None) -> dict[str, object]:
    """Return a patch of the mark."""
    return {"metadata": {"annotations": {SANDBOX_MARK: mark}}}


# -- who does not answer ----------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_unreachable_within_seconds(plane: Sandbox, tmp_path: Path) -> None:
    """The port is closed."""
    with front(tmp_path, lambda request: say(request, {})) as made:
        server, pem = made.server, made.pem
    before = time.monotonic()

    with pytest.raises(Unreachable, match="cannot be reached"):
        connect(plane, tmp_path, kubeconfig(server, pem), server=server)
    assert time.monotonic() - before < 20


def test_a_server_that_answers_something_else_is_unreachable(plane: Sandbox, tmp_path: Path) -> None:
    """A portal's page of HTML, an error, or a namespace without a uid: never the cluster."""
    page = {"data": b"<html>sign on</html>", "status": 200}
    with front(tmp_path, lambda request: say(request, page["data"], status=int(str(page["status"])))) as made:
        for body, status, kind in (
            (b"<html>sign on</html>", 200, Unreachable),
            (b"<html>bad gateway</html>", 502, Unreachable),
            (b"{}", 200, Denied),
        ):
            page.update(data=body, status=status)
            with pytest.raises(kind):
                connect(plane, tmp_path, kubeconfig(made.server, made.pem), server=made.server)


def kubeconfig(server: str, pem: bytes) -> bytes:
    """Return a kubeconfig of a front."""
    return pki.kubeconfig(server, pem, "executor", {"token": "t"})


def test_a_server_that_falls_silent_leaves_reads_to_be_tried_again_and_writes_in_doubt(rig: Rig) -> None:
    """Nothing hangs, and afterwards all works again."""
    provider = rig.provider()
    cluster = provider.cluster
    rig.plane.pause()
    try:
        before = time.monotonic()
        with pytest.raises(Transient):
            cluster.raw("GET", SYSTEM, read_s=1)
        with pytest.raises(InDoubt):
            cluster.raw("POST", SERVICE_ACCOUNTS.path(rig.namespace), body={}, read_s=1)
        assert time.monotonic() - before < 30
    finally:
        rig.plane.resume()

    assert cluster.get(NAMESPACES, "", "kube-system")
