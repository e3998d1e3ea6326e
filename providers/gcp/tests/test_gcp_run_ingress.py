"""gcp.run.close_ingress: no request comes in, also where no invoker is needed."""

from __future__ import annotations

import pytest

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from providers.gcp.tests.rig_gcp import Rig, close, undo
from providers.gcp.tests.rig_run import BOT, Run, step

ACTION = "gcp.run.close_ingress"


@pytest.fixture
def run(rig: Rig) -> Run:
    """Return a project with the agent's account."""
    return Run.new(rig)


def test_a_public_service_lets_nobody_in_and_comes_back_byte_for_byte(run: Run) -> None:
    """To take away invokers would do nothing here: no invoker is checked."""
    run.service(invoker_iam_disabled=True)
    before = run.state("run")
    assert run.request()["accepted"]
    action, target = step(run.rig.provider(run_services=[BOT]), ACTION)
    prior, last = close(action, target)
    for source in ("internet", "internal", "load_balancer"):
        assert run.request(source=source)["status"] == 404
    action.apply(target, last, "again")
    assert undo(action, target, prior).objects["ingress"] is Outcome.RESTORED
    assert run.state("run") == before
    assert run.request()["accepted"]


def test_a_service_that_was_closed_stays_closed(run: Run) -> None:
    """What was so before the stop is left so."""
    run.service(ingress="INGRESS_TRAFFIC_NONE", default_uri_disabled=True)
    action, target = step(run.rig.provider(run_services=[BOT]), ACTION)
    state = action.observe(target)
    assert action.judge(target, state).verdict is Verdict.CONTAINED
    assert undo(action, target, state.objects).objects["ingress"] is Outcome.ALREADY


def test_an_ingress_that_somebody_opened_is_closed_again_and_drifts_at_the_restore(run: Run) -> None:
    """Between rounds it is closed again; after the stop it is somebody's decision."""
    run.service(ingress="INGRESS_TRAFFIC_INTERNAL_ONLY")
    action, target = step(run.rig.provider(run_services=[BOT]), ACTION)
    prior, _ = close(action, target)
    run.update_service("ingress", ingress="INGRESS_TRAFFIC_ALL")
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    close(action, target)
    run.update_service("ingress", ingress="INGRESS_TRAFFIC_ALL")
    assert undo(action, target, prior).objects["ingress"] is Outcome.DRIFTED
    run.rig.admin.operate("run_services", "delete_service", {"name": run.name("services")})
    assert undo(action, target, prior).objects["ingress"] is Outcome.DRIFTED


def test_an_open_ingress_does_not_matter_once_nothing_can_run(run: Run) -> None:
    """The plan says so: scaled to zero and proven, this step is moot."""
    run.service()
    found = run.rig.provider(run_services=[BOT]).discover().proposals
    by_action = {one.action: one for one in found}
    assert by_action[ACTION].moot_by == (by_action["gcp.run.scale_service_to_zero"].key,)
