"""The sandbox's own life: operations, budgets, the platform, what a test may ask, a fresh start."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from typing import Any

import pytest

from breakglass.errors import ProviderError
from breakglass_gcp.sandbox import process
from providers.gcp.tests.rig_gcp import Rig

LONGEST_START_S = 20.0


def _parent(rig: Rig) -> str:
    return f"policies/cloudresourcemanager.googleapis.com%2Fprojects%2F{rig.project}/denypolicies"


def _create(rig: Rig, short: str) -> Any:  # noqa: ANN401 - Google's operation
    asked = {"parent": _parent(rig), "policy": {"display_name": short}, "policy_id": short}
    return rig.admin.call("iam_deny", "create_policy", asked)


def _there(rig: Rig, short: str) -> bool:
    try:
        rig.admin.call("iam_deny", "get_policy", {"name": f"{_parent(rig)}/{short}"})
    except ProviderError:
        return False
    return True


def test_an_operation_ends_by_itself_and_then_has_its_effect(rig: Rig) -> None:
    """It is not done when it is begun; Google's own client waits for it."""
    begun = _create(rig, "soon")
    assert not begun.operation.done
    assert begun.result(timeout=10).display_name == "soon"
    assert _there(rig, "soon")


def test_an_operation_may_be_told_to_end_late_or_never(rig: Rig) -> None:
    """What it is for does not happen before."""
    rig.control("faults", {"faults": [{"method": "*CreatePolicy", "times": 1, "operation": "never"}]})
    begun = _create(rig, "never")
    rig.control("advance", {"seconds": 3600})
    assert not begun.done()
    assert not _there(rig, "never")
    rig.control("faults", {"faults": [{"method": "*CreatePolicy", "times": 1, "operation": "30"}]})
    begun = _create(rig, "late")
    assert not begun.done()
    rig.control("advance", {"seconds": 31})
    assert begun.done()
    assert _there(rig, "late")


def test_two_changes_at_once_leave_one_failed_operation(rig: Rig) -> None:
    """The operation itself says what became of the second."""
    first, second = _create(rig, "twice"), _create(rig, "twice")
    first.result(timeout=10)
    with pytest.raises(Exception, match="concurrently"):
        second.result(timeout=10)


def test_the_budget_of_iam_writes_is_per_project_and_minute(rig: Rig) -> None:
    """RESOURCE_EXHAUSTED when it is spent; another minute is another budget; reads are not in it."""
    email = rig.account("counted")
    name = {"name": f"projects/-/serviceAccounts/{email}"}
    rig.control("settings", {"iam_writes_per_min": 5})
    try:
        codes = []
        for _ in range(6):
            try:
                rig.admin.call("iam_admin", "disable_service_account", name)
            except ProviderError as error:
                codes.append(type(error).__name__)
        assert "Throttled" in codes
        assert rig.admin.call("iam_admin", "get_service_account", name).disabled
        rig.control("advance", {"seconds": 61})
        rig.admin.call("iam_admin", "enable_service_account", name)
    finally:
        rig.control("settings", {"iam_writes_per_min": 600})


def test_a_setting_that_there_is_not_is_refused(rig: Rig) -> None:
    """A test that is misspelt must not pass."""
    for verb, body in (("settings", {"delay": 1}), ("faults", {"faults": [{"code": "NO"}]}), ("nothing", {})):
        with pytest.raises(ProviderError):
            rig.control(verb, body)


def test_the_platform_works_when_told(rig: Rig) -> None:
    """So many ticks now, and none failed."""
    before = rig.control("platform", {})["ran"]
    told = rig.control("platform", {"ticks": 3})
    assert told["ran"] >= before + 3
    assert told["failed"] == ""


def test_state_tells_what_a_restore_must_bring_back(rig: Rig) -> None:
    """Equal before and after a disable that is undone."""
    email = rig.account("stateful")
    name = {"name": f"projects/-/serviceAccounts/{email}"}
    before = rig.control("state")
    rig.admin.call("iam_admin", "disable_service_account", name)
    assert rig.control("state") != before
    rig.admin.call("iam_admin", "enable_service_account", name)
    assert rig.control("state") == before


def test_it_starts_quickly_answers_and_forgets_all_at_a_reset() -> None:
    """A program of its own, over its control address."""
    begun = time.monotonic()
    sandbox = process.start()
    try:
        assert time.monotonic() - begun < LONGEST_START_S
        made = sandbox.control("project", {"id": "kept"})
        token = sandbox.control("admin")["token"]
        url = f"{sandbox.rest}/v3/projects/{made['number']}"
        request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"})  # noqa: S310 - our own program on loopback
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
            assert json.loads(answer.read())["projectId"] == "kept"
        sandbox.control("reset")
        assert sandbox.control("calls") == []
        with pytest.raises(ProviderError):
            sandbox.control("state", {"project": "kept"})
    finally:
        sandbox.close()


def test_it_ends_with_the_program_that_started_it() -> None:
    """Its end of the pipe closes, however that program died."""
    command = [sys.executable, "-m", "breakglass_gcp.sandbox", "--quiet", "--until-eof"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert set(json.loads(running.stdout.readline())) == {"grpc", "rest"}
        assert running.stdin is not None
        running.stdin.close()
        assert running.wait(10) == 0
