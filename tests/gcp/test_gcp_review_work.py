"""Whole stops against a patient agent: it waits until a step is proven, then undoes it while it still can."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import ProviderError, UsageError
from breakglass.model.action import Verdict
from breakglass_gcp.calls import Calls
from breakglass_gcp.pace import Pace
from breakglass_gcp.settings import GcpSettings
from breakglass_gcp.wire import Wire
from tests.gcp.project_fleet import LOCATION, Cloud, project_fleet, said

LATE_S = 2.5
"""What is changed in IAM is seen so late here; a settle time of 60 s takes 0.6 s."""


@pytest.mark.parametrize("was", ["ENABLED", "PAUSED"])
def test_a_job_that_is_resumed_after_its_proof_is_paused_again_and_comes_back_as_it_was(
    cloud: Cloud, was: str
) -> None:
    """Every proof is read once more at the end; what its owner had paused is not started by the restore."""
    account = cloud.account("bot", "roles/cloudscheduler.admin")
    place = f"projects/{cloud.project}/locations/{LOCATION}"
    job = {"name": f"{place}/jobs/nightly", "schedule": "* * * * *", "http_target": {"uri": "https://x.y/"}}
    cloud.admin.call("scheduler", "create_job", {"parent": place, "job": job})
    if was == "PAUSED":
        cloud.admin.call("scheduler", "pause_job", {"name": job["name"]})
    settings = GcpSettings.of({"endpoints": {"grpc": cloud.sandbox.grpc, "rest": cloud.sandbox.rest}})
    token, proven = cloud.token(account), threading.Event()
    calls = Calls(Wire(settings, lambda: token, drill=True), SystemClock(), Pace(SystemClock(), {}))
    won: list[str] = []

    def patient() -> None:
        proven.wait(60)
        try:
            calls.call("scheduler", "resume_job", {"name": job["name"]})
            won.append("resumed")
        except ProviderError as error:
            won.append(str(error))

    def see(event: object) -> None:
        if "stage='proven', detail='the job is PAUSED'" in str(event):
            proven.set()

    def slow(_plan: object) -> None:
        # What the executor was granted is seen by then; what the stop changes is seen late.
        time.sleep(LATE_S)
        cloud.control("settings", visibility_delay_s=LATE_S)

    thread = threading.Thread(target=patient, daemon=True)
    thread.start()
    reach = cloud.reach(service_accounts=[account], scheduler_jobs=[f"{LOCATION}/nightly"])
    try:
        with project_fleet(cloud, reach) as ours:
            _, done = ours.stop(observer=see, planned=slow)
            stopped = cloud.admin.call("scheduler", "get_job", {"name": job["name"]}).state.name
            cloud.control("settings", visibility_delay_s=0)
            with contextlib.suppress(UsageError):  # nothing was changed that can be put back
                ours.restore()
    finally:
        proven.set()
        thread.join()
        calls.close()
        cloud.control("settings", visibility_delay_s=0)

    state = cloud.admin.call("scheduler", "get_job", {"name": job["name"]}).state.name
    step = next(one for one in done.report.steps if one.action == "gcp.scheduler.pause_job")
    assert won == ["resumed"], "the agent came too late to be a test"
    assert (step.verdict, stopped) == (Verdict.CONTAINED, "PAUSED"), said(done.report)
    assert state == was
