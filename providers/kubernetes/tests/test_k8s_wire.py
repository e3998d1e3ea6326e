"""Answers that no honest API server gives: none hangs, fills the memory, or takes the token elsewhere."""

from __future__ import annotations

import socket
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import InDoubt, ProviderError, Transient
from breakglass.incident.evidence import FolderEvidence
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed
from breakglass.model.resource import AgentRef, Reach
from breakglass.provider import Connection
from breakglass_kubernetes import wire
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.credential import Credential
from breakglass_kubernetes.kinds import PODS
from breakglass_kubernetes.kubeconfig import Context, Identity
from breakglass_kubernetes.settings import KubernetesSettings
from providers.kubernetes.tests.front_k8s import UID, Front, front, say
from providers.kubernetes.tests.rig_k8s import Secrets

TOKEN = "the-token-of-the-executor"  # noqa: S105 - nobody's


def connected(folder: Path, server: str, pem: bytes, *, proxy: str = "") -> Cluster:
    """Return a cluster of the server."""
    incident = IncidentFolder(folder / "incident")
    incident.path.mkdir()
    connection = Connection(
        reach=Reach("kubernetes", {}, "test"),
        agent=AgentRef("bot", "the test", None),
        incident="inc-test",
        drill=True,
        clock=SystemClock(),
        evidence=FolderEvidence(incident),
        sealed=FolderSealed(incident),
        credentials=Secrets(),
    )
    context = Context("test", server, pem, "", proxy, Identity(token=TOKEN))
    settings = KubernetesSettings.of({"server": server, "cluster_uid": UID})
    return Cluster(settings, connection, context, Credential(context.identity, SystemClock(), where="test"))


def of(made: Front, folder: Path) -> Cluster:
    """Return a cluster of a front."""
    return connected(folder, made.server, made.pem)


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(tmp_path: Path) -> None:
    """Neither to another host nor to another path, for a read and for a write."""
    (tmp_path / "two").mkdir()
    with front(tmp_path / "two", lambda request: say(request, {})) as other:

        def away(request: BaseHTTPRequestHandler) -> None:
            say(request, b"", status=307, Location=f"{other.server}/api/v1/pods")

        with front(tmp_path, away) as made:
            cluster = of(made, tmp_path)
            with pytest.raises(ProviderError, match="307"):
                cluster.every(PODS)
            with pytest.raises(ProviderError, match="307"):
                cluster.create(PODS, "ns", {})

            assert len(made.seen) == 2
    assert other.seen == []


@pytest.mark.parametrize(
    "body", [b"<html>sign on</html>", b"", b'{"items": [', b"[" * 100_000, b"[]", b"\xff", b'"x"']
)
def test_an_answer_that_is_no_object_is_never_an_empty_listing(tmp_path: Path, body: bytes) -> None:
    """A listing that failed is not one with nothing in it."""
    with front(tmp_path, lambda request: say(request, body)) as made, pytest.raises(Transient):
        of(made, tmp_path).every(PODS)


def test_an_answer_that_is_cut_short_is_no_answer(tmp_path: Path) -> None:
    """Less than its length says: a read may be made again, a write is in doubt."""

    def cut(request: BaseHTTPRequestHandler) -> None:
        say(request, b'{"items": []}', Content_Length="5000")
        request.close_connection = True

    with front(tmp_path, cut) as made:
        cluster = of(made, tmp_path)
        with pytest.raises(Transient):
            cluster.every(PODS)
        with pytest.raises(InDoubt):
            cluster.create(PODS, "ns", {})


def test_an_answer_without_end_is_ended(tmp_path: Path) -> None:
    """2 GB, whatever its status: read up to the bound; and slowly dripping: up to the time."""

    def flood(request: BaseHTTPRequestHandler) -> None:
        request.send_response(500 if "pods" in request.path else 200)
        request.send_header("Content-Length", str(2 * 1024**3))
        request.end_headers()
        for _ in range(2048):
            request.wfile.write(b" " * 1024**2)

    with front(tmp_path, flood) as made:
        cluster = of(made, tmp_path)
        for path in ("/api/v1/pods", "/other"):
            with pytest.raises(Transient):
                cluster.ask("GET", path)


def test_objects_that_are_made_very_large_do_not_hide_a_listing(tmp_path: Path) -> None:
    """A page that is too long is asked for again, smaller."""

    def handle(request: BaseHTTPRequestHandler) -> None:
        if "limit=500" not in request.path:
            say(request, {"items": [{"metadata": {"name": "a"}}]})
            return
        request.send_response(200)
        request.send_header("Content-Length", str(1024**3))
        request.end_headers()
        for _ in range(1024):
            request.wfile.write(b" " * 1024**2)

    with front(tmp_path, handle) as made:
        assert len(of(made, tmp_path).every(PODS)) == 1


def test_an_answer_that_drips_is_ended(tmp_path: Path) -> None:
    """Each byte comes in time, and all of them never."""

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        for _ in range(300):
            request.wfile.write(b" ")
            time.sleep(0.1)

    before = time.monotonic()
    with front(tmp_path, drip) as made, pytest.raises(Transient):
        of(made, tmp_path).raw("GET", "/x", read_s=0.5)

    assert time.monotonic() - before < wire.CONNECT_S + 0.5 * wire.WHOLE + 2


def test_a_listing_that_never_ends_is_ended(tmp_path: Path) -> None:
    """The same mark again and again."""
    page = {"items": [{"metadata": {"name": "a"}}], "metadata": {"continue": "more"}}
    with front(tmp_path, lambda request: say(request, page)) as made:
        with pytest.raises(ProviderError, match="does not end"):
            of(made, tmp_path).every(PODS)

        assert len(made.seen) < 5


def test_a_snapshot_that_expires_in_the_middle_is_read_anew(tmp_path: Path) -> None:
    """410 with a mark: the listing begins again, and nothing stands in it twice."""
    answers = iter(
        [
            (200, {"items": [{"metadata": {"name": "old"}}], "metadata": {"continue": "x"}}),
            (410, {"kind": "Status", "reason": "Expired", "message": "too old", "code": 410}),
            (200, {"items": [{"metadata": {"name": "a"}}], "metadata": {"continue": "y"}}),
            (200, {"items": [{"metadata": {"name": "b"}}], "metadata": {}}),
        ]
    )

    def handle(request: BaseHTTPRequestHandler) -> None:
        status, body = next(answers)
        say(request, body, status=status)

    with front(tmp_path, handle) as made:
        found = of(made, tmp_path).every(PODS)

    assert [one["metadata"]["name"] for one in found] == ["a", "b"]


def test_an_error_shows_neither_the_token_nor_what_a_terminal_would_do(tmp_path: Path) -> None:
    """The server's words are somebody else's."""
    status = {"reason": "Forbidden", "message": f"\x1b[2J\n[red]no {'x' * 5000}", "code": 403}
    with front(tmp_path, lambda request: say(request, status, status=403)) as made:
        cluster = of(made, tmp_path)
        with pytest.raises(ProviderError) as caught:
            cluster.every(PODS)

    text = f"{caught.value}{caught.value!r}{caught.value.__cause__!r}{cluster.context!r}"
    assert TOKEN not in text
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_port_that_nobody_listens_on_is_told_at_once(tmp_path: Path) -> None:
    """Nothing was sent: also a write is not in doubt."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{free.getsockname()[1]}"
    cluster = connected(tmp_path, server, b"")
    before = time.monotonic()

    with pytest.raises(Transient, match="cannot be reached"):
        cluster.create(PODS, "ns", {})
    assert time.monotonic() - before < 20


def test_a_listener_that_never_answers_is_given_up(tmp_path: Path) -> None:
    """Not even the handshake is answered."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        cluster = connected(tmp_path, f"https://127.0.0.1:{hole.getsockname()[1]}", b"")
        before = time.monotonic()
        with pytest.raises(Transient):
            cluster.every(PODS)

    assert time.monotonic() - before < wire.CONNECT_S + 2


def test_another_certificate_authority_is_refused_before_the_token_is_sent(tmp_path: Path) -> None:
    """Whoever answers there is not the cluster."""
    (tmp_path / "two").mkdir()
    with (
        front(tmp_path / "two", lambda request: say(request, {})) as other,
        front(tmp_path, lambda request: say(request, {})) as made,
    ):
        with pytest.raises(Transient, match=r"(?i)certificate"):
            connected(tmp_path, made.server, other.pem).every(PODS)

        assert made.seen == []


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"])
def test_a_proxy_of_the_environment_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The client would read it by itself; the header of a run says that it is ignored."""
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    with front(tmp_path, lambda request: say(request, {"items": []})) as made:
        assert of(made, tmp_path).every(PODS) == []


def test_a_proxy_of_the_kubeconfig_is_used_and_no_variable_goes_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in the executor's own file."""
    monkeypatch.setenv("NO_PROXY", "*")
    with (
        front(tmp_path, lambda request: say(request, {"items": []})) as made,
        pytest.raises(Transient, match="cannot be reached"),
    ):
        connected(tmp_path, made.server, made.pem, proxy="http://127.0.0.1:1").every(PODS)
