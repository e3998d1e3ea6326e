"""Exactly the project that is meant, as the executor, and no hanging where nobody answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from breakglass.canon import Json
from breakglass.clock import SystemClock
from breakglass.errors import Denied, Throttled, Unreachable, UsageError
from breakglass.model.resource import AgentRef, Reach
from breakglass.provider import Connection
from breakglass_gcp import CARD
from breakglass_gcp.connect import GcpProvider, warm
from breakglass_gcp.refusals import SERVICE_DISABLED, CredentialsExpired, reason_of
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig

FIND = """
import sys, time
from breakglass.errors import Denied
from breakglass_gcp import adc
from breakglass_gcp.executor import SCOPES
began = time.monotonic()
assert adc.credentials_file() is None
assert adc.of_machine(SCOPES) is None
print(time.monotonic() - began)
sys.stdout.flush()
import os
os._exit(0)
"""


def test_it_connects_to_the_project_that_is_meant(rig: Rig) -> None:
    """By id and by number."""
    assert rig.provider().project.id == rig.project


@pytest.mark.parametrize(
    ("key", "value"), [("project_number", "999999999999"), ("project", "nobodys-project")]
)
def test_another_project_is_refused(rig: Rig, key: str, value: str) -> None:
    """Denied: the plan means one project and no other, whatever the executor may see."""
    with pytest.raises(Denied):
        rig.provider(**{key: value})


def test_the_api_that_tells_the_project_is_not_enabled(rig: Rig) -> None:
    """Denied, and what to enable."""
    order = {"method": "*GetProject", "code": "PERMISSION_DENIED", "reason": SERVICE_DISABLED}
    rig.control("faults", {"faults": [order]})

    with pytest.raises(Denied) as caught:
        rig.provider()

    rig.control("faults", {"faults": []})
    assert "enable cloudresourcemanager" in caught.value.remedy


def test_nobody_answers(rig: Rig) -> None:
    """Unreachable at once, and no secret was shown to anybody."""
    with pytest.raises(Unreachable):
        rig.provider(endpoints={"grpc": "http://127.0.0.1:9", "rest": "http://127.0.0.1:9"})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1.evil.example:1", "https://127.0.0.1:1", "http://10.0.0.1:1"]
)
def test_an_endpoint_that_is_not_on_loopback_is_refused_before_any_credential_is_read(
    rig: Rig, url: str
) -> None:
    """Exit 2, in a drill too."""
    with pytest.raises(UsageError) as caught:
        rig.provider(endpoints={"grpc": url}, credential="no such secret")

    assert caught.value.exit_code == 2


def test_an_endpoint_in_a_real_plan_is_refused(rig: Rig) -> None:
    """Exit 2: a fake is never mistaken for the world; nor is any credential looked for."""
    with pytest.raises(UsageError) as caught:
        _connect(rig.reach(), rig, drill=False)

    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"project": "Evil\nproject"},
        {"project_number": "12; drop"},
        {"service_accounts": ["x@evil.example"]},
        {"scheduler_jobs": ["europe-west1/../../x"]},
        {"scheduler_jobs": ["no-location"]},
        {"principals": ["user:somebody@example.com"]},
        {"locations": ["[red]eu[/red]"]},
        {"class_deny_policy": "policies/x"},
        {"settle_factor": "7"},
        {"evidence_days": "forever"},
        {"deployers": ["jenkins:a/b"]},
    ],
)
def test_an_odd_entry_is_refused_in_words(rig: Rig, settings: dict[str, Json]) -> None:
    """Exit 2, before anything is read or called."""
    before = len(rig.control("calls"))

    with pytest.raises(UsageError):
        CARD.connect(_connection({**rig.reach(), **settings}, rig, drill=True))

    assert len(rig.control("calls")) == before


def test_a_machine_without_credentials_and_metadata_says_so_within_the_deadline(tmp_path: object) -> None:
    """The metadata trap: Google's library alone takes twelve seconds and more."""
    environ = {**os.environ, "CLOUDSDK_CONFIG": str(tmp_path), "GCE_METADATA_IP": "192.0.2.1"}
    environ |= {"GCE_METADATA_HOST": "192.0.2.1"}
    environ.pop("GOOGLE_APPLICATION_CREDENTIALS", None)

    done = subprocess.run(
        [sys.executable, "-c", FIND], env=environ, capture_output=True, text=True, check=True
    )

    assert float(done.stdout) < 7.5


def test_a_hung_server_ends_in_a_deadline(rig: Rig) -> None:
    """Unreachable after two tries, not after minutes."""
    rig.control("faults", {"faults": [{"method": "*GetProject", "hang": True}]})
    began = time.monotonic()

    with pytest.raises(Unreachable):
        rig.provider()

    rig.control("faults", {"faults": []})
    assert time.monotonic() - began < 20


def test_credentials_that_end_in_the_middle_are_renewed_from_their_source(rig: Rig) -> None:
    """Refused with words while the file is the old one; a renewed file lets it go on, with no restart."""
    rig.secrets.keep_token(EXECUTOR, rig.token(rig.email(EXECUTOR), life_s=2))
    project = rig.provider().project
    time.sleep(2.1)

    with pytest.raises(CredentialsExpired) as caught:
        project.call("projects", "get_project", {"name": project.name})

    rig.secrets.keep_token(EXECUTOR, rig.token(rig.email(EXECUTOR)))
    time.sleep(1.1)
    assert f"credential {EXECUTOR}" in caught.value.what
    assert project.call("projects", "get_project", {"name": project.name}).project_id == rig.project


def test_a_throttled_call_tells_how_long_to_wait(rig: Rig) -> None:
    """RESOURCE_EXHAUSTED is patience, and neither refusal nor success."""
    project = rig.provider().project
    rig.control("faults", {"faults": [{"method": "*GetProject", "code": "RESOURCE_EXHAUSTED", "times": 1}]})

    with pytest.raises(Throttled) as caught:
        project.call("projects", "get_project", {"name": project.name})

    assert caught.value.retry_after_s >= 1
    assert reason_of(caught.value) in {"", "RATE_LIMIT_EXCEEDED"}


def _connection(settings: dict[str, Json], rig: Rig, *, drill: bool) -> Connection:
    class Nowhere:
        """No evidence and no sealed store: a connection needs none."""

    return Connection(
        reach=Reach("gcp", settings, "test"),
        agent=AgentRef("rogue", "the test", None),
        incident="inc-test",
        drill=drill,
        clock=SystemClock(),
        evidence=Nowhere(),  # type: ignore[arg-type]  # never asked
        sealed=Nowhere(),  # type: ignore[arg-type]  # never asked
        credentials=rig.secrets,
    )


def _connect(settings: dict[str, Json], rig: Rig, *, drill: bool) -> GcpProvider:
    return warm(_connection(settings, rig, drill=drill))()
