"""One seam for all clients: the token of this moment, and nobody else's; loopback without anybody's proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from breakglass.errors import UsageError
from breakglass_gcp.services import SERVICES
from breakglass_gcp.settings import GcpSettings
from breakglass_gcp.wire import Wire
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig

NOBODY = GcpSettings.of({"project": "acme-prod"})


def asked_three_ways(rig: Rig) -> list[str]:
    """Call over gRPC, over Google's REST client and over our own REST; return who the sandbox says called."""
    project = rig.provider().project
    before = len(rig.control("calls"))
    project.call("projects", "get_project", {"name": project.name})
    project.every("instances", "aggregated_list", {"project": project.id})
    project.rest("storage", "GET", f"storage/v1/projects/{project.id}/hmacKeys")
    return [one["principal"] for one in rig.control("calls")][before:]


def test_every_way_shows_the_executors_token(rig: Rig) -> None:
    """And no other."""
    assert asked_three_ways(rig) == [rig.email(EXECUTOR)] * 3


def test_somebodys_netrc_does_not_replace_it(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests would show a password from there to any host that `default` stands for."""
    (tmp_path / "netrc").write_text("default login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    assert asked_three_ways(rig) == [rig.email(EXECUTOR)] * 3


def test_somebodys_proxy_does_not_stand_before_loopback(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox is on this machine."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "grpc_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert asked_three_ways(rig) == [rig.email(EXECUTOR)] * 3


def test_real_services_are_reached_over_tls_at_googles_own_hosts() -> None:
    """No call is made: this is where each would go."""
    wire = Wire(NOBODY, lambda: "token", drill=False)

    roots = {wire.rest_root(name, "europe-west1") for name in SERVICES}

    assert all(root.startswith("https://") and root.endswith(".googleapis.com") for root in roots)
    assert "https://europe-west1-aiplatform.googleapis.com" in roots
    wire.close()


@pytest.mark.parametrize("drill", [False, True])
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://metadata.google.internal:80", "http://0x7f.1:1"]
)
def test_plaintext_goes_to_loopback_in_a_drill_and_nowhere_else(url: str, *, drill: bool) -> None:
    """Whatever way an address is written."""
    settings = GcpSettings.of({"endpoints": {"grpc": url}})
    if drill and url == "http://127.0.0.1:1":
        Wire(settings, lambda: "token", drill=drill).close()
        return

    with pytest.raises(UsageError):
        Wire(settings, lambda: "token", drill=drill)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_client_that_there_is(name: str) -> None:
    """A misspelt one would be found only when it is needed."""
    import importlib

    service = SERVICES[name]
    if service.module:
        assert hasattr(importlib.import_module(service.module), service.client)
