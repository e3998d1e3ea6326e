"""gcp.run.scale_service_to_zero: no instance is left, none can start, and everything comes back."""

from __future__ import annotations

import pytest

from breakglass.errors import ProviderError, Transient
from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, undo
from providers.gcp.tests.rig_run import BOT, Run, step, value

ACTION = "gcp.run.scale_service_to_zero"
UPDATE = "/google.cloud.run.v2.Services/UpdateService"


@pytest.fixture
def run(rig: Rig) -> Run:
    """Return a project with the agent's account."""
    return Run.new(rig)


def test_a_service_is_scaled_to_zero_and_comes_back_byte_for_byte(run: Run) -> None:
    """No instance works any more, no request is served; then all is as before."""
    run.service(scaling={"min_instance_count": 2, "max_instance_count": 9}, invoker_iam_disabled=True)
    assert run.works("run:bot")
    before = run.state("run")
    provider = run.rig.provider(run_services=[BOT])
    action, target = step(provider, ACTION)
    prior, last = close(action, target)
    assert value(prior, "scaling") == {"min_instance_count": 2, "max_instance_count": 9}
    run.later()
    assert not run.works("run:bot")
    assert run.request()["status"] == 503
    action.apply(target, last, "again")
    assert undo(action, target, prior).objects == {
        "scaling": Outcome.RESTORED,
        "tags": Outcome.ALREADY,
        "status": Outcome.ALREADY,
    }
    assert run.state("run") == before
    assert run.works("run:bot")


@pytest.mark.parametrize(
    "scaling",
    [
        {},
        {"scaling_mode": "AUTOMATIC"},
        {"min_instance_count": 3},
        {"max_instance_count": 4},
        {"scaling_mode": "MANUAL", "manual_instance_count": 5},
    ],
)
def test_every_kind_of_scaling_comes_back(run: Run, scaling: dict[str, object]) -> None:
    """Also where only one of minimum and maximum was set, which a change of mode refuses."""
    run.service(scaling=scaling)
    before = run.state("run")
    action, target = step(run.rig.provider(run_services=[BOT]), ACTION)
    prior, _ = close(action, target)
    undo(action, target, prior)
    assert run.state("run") == before


def test_a_service_that_was_at_zero_stays_there(run: Run) -> None:
    """A restore revives nothing that was off before."""
    run.service(scaling={"scaling_mode": "MANUAL", "manual_instance_count": 0})
    action, target = step(run.rig.provider(run_services=[BOT]), ACTION)
    state = action.observe(target)
    assert action.judge(target, state).verdict is Verdict.CONTAINED
    assert set(undo(action, target, state.objects).objects.values()) == {Outcome.ALREADY}


def test_a_revision_that_only_a_tag_keeps_alive_is_closed_too(run: Run) -> None:
    """It has a minimum of its own and answers its tag: manual scaling of the service does not reach it."""
    run.service(template={"scaling": {"min_instance_count": 1}}, invoker_iam_disabled=True)
    revision = run.live_service().latest_ready_revision.rpartition("/")[2]
    latest = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}
    hidden = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision, "tag": "hidden"}
    run.update_service(
        "template,traffic", template={"service_account": run.account}, traffic=[latest, hidden]
    )
    before = run.state("run")
    action, target = step(run.rig.provider(run_services=[BOT]), ACTION)
    run.update_service("scaling", scaling={"scaling_mode": "MANUAL", "manual_instance_count": 0})
    assert run.works("run:bot")
    assert run.request(tag="hidden")["accepted"]
    seen = action.observe(target)
    assert action.judge(target, seen).verdict is Verdict.NOT_CONTAINED
    run.update_service("scaling", scaling={"min_instance_count": 1, "max_instance_count": 1})
    run.update_service("scaling", scaling={"min_instance_count": 1})
    prior, _ = close(action, target)
    run.later(1.2)
    assert not run.works("run:bot")
    assert run.request(tag="hidden")["status"] == 404
    assert undo(action, target, prior).objects["tags"] is Outcome.RESTORED
    assert run.state("run") == before


def test_an_agent_that_scales_up_again_between_rounds_is_scaled_down_again(run: Run) -> None:
    """The state is read each time; the prior state is the first one."""
    run.service()
    action, target = step(run.rig.provider(run_services=[BOT]), ACTION)
    prior, _ = close(action, target)
    agent = run.rig.calls_as(run.rig.token(run.account))
    body = {"name": run.name("services"), "scaling": {"min_instance_count": 7, "max_instance_count": 7}}
    agent.operate("run_services", "update_service", {"service": body, "update_mask": {"paths": ["scaling"]}})
    seen = action.observe(target)
    assert action.judge(target, seen).verdict is Verdict.NOT_CONTAINED
    close(action, target)
    assert undo(action, target, prior).objects["scaling"] is Outcome.RESTORED
    assert run.live_service().scaling.min_instance_count == 1
    agent.close()


def test_an_etag_that_is_stale_five_times_is_told_and_four_times_is_not(run: Run) -> None:
    """Somebody who writes all the time delays a round, and the engine comes again."""
    run.service()
    action, target = step(run.rig.provider(run_services=[BOT]), ACTION)
    seen = action.observe(target)
    run.rig.control("faults", {"faults": [{"method": UPDATE, "code": "ABORTED", "times": 5}]})
    with pytest.raises(Transient):
        action.apply(target, seen, "t")
    run.rig.control("faults", {"faults": [{"method": UPDATE, "code": "ABORTED", "times": 4}]})
    action.apply(target, seen, "t")
    assert action.judge(target, action.observe(target)).verdict is Verdict.CONTAINED


def test_a_change_that_never_comes_into_force_is_unknown(run: Run) -> None:
    """It is written, the operation does not end, and the instances work on."""
    run.service()
    provider = run.rig.provider(run_services=[BOT])
    action, target = step(provider, ACTION)
    run.rig.control("faults", {"faults": [{"method": UPDATE, "operation": "never"}]})
    seen = action.observe(target)
    action.apply(target, seen, "t")
    state = action.observe(target)
    judged = action.judge(target, state)
    assert judged.verdict is Verdict.UNKNOWN
    assert "still works on it" in judged.reason
    assert run.works("run:bot")


def test_a_service_that_cannot_be_reconciled_is_told_as_that(run: Run) -> None:
    """A broken deploy of the agent's keeps the change from force: never contained."""
    run.service()
    action, target = step(run.rig.provider(run_services=[BOT]), ACTION)
    place = f"locations/{LOCATION}/services/bot"
    run.rig.control("run.break", {"name": place, "why": "image not found"})
    with pytest.raises(ProviderError, match="image not found"):
        action.apply(target, action.observe(target), "t")
    judged = action.judge(target, action.observe(target))
    assert judged.verdict is Verdict.UNKNOWN
    assert "image not found" in judged.reason


def test_a_restore_leaves_a_service_alone_that_somebody_changed_or_made_again(run: Run) -> None:
    """Not as the stop left it, or another uid: drifted."""
    run.service()
    action, target = step(run.rig.provider(run_services=[BOT]), ACTION)
    prior, _ = close(action, target)
    run.update_service("scaling", scaling={"scaling_mode": "MANUAL", "manual_instance_count": 2})
    assert undo(action, target, prior).objects["scaling"] is Outcome.DRIFTED
    run.rig.admin.operate("run_services", "delete_service", {"name": run.name("services")})
    gone = action.observe(target)
    assert action.judge(target, gone).verdict is Verdict.CONTAINED
    assert action.revert(target, State(prior), gone).objects["scaling"] is Outcome.DRIFTED
    run.service(scaling={"scaling_mode": "MANUAL", "manual_instance_count": 0})
    assert undo(action, target, prior).objects["scaling"] is Outcome.DRIFTED


def test_a_region_that_is_down_is_told_and_hides_no_other_service(run: Run) -> None:
    """What cannot be read is incomplete, never absent."""
    run.service()
    order = {"method": "/google.cloud.run.v2.Services/GetService", "code": "UNAVAILABLE"}
    provider = run.rig.provider(run_services=["us-east1/bot", BOT])
    run.rig.control("faults", {"faults": [{**order, "location": "us-east1"}]})
    found = provider.discover()
    assert [one.target.id for one in found.proposals if one.action == ACTION] == [f"run/{BOT}"]
    assert any("run_services.get_service" in one for one in found.incomplete)


def test_scaling_comes_back_also_where_the_first_of_two_writes_was_made_before(run: Run) -> None:
    """A restore that was ended between them, or lost the answer, finds its own work and not a stranger's."""
    run.service(scaling={"min_instance_count": 3})
    before = run.state("run")
    action, target = step(run.rig.provider(run_services=[BOT]), ACTION)
    prior, _ = close(action, target)
    lost = {"method": UPDATE, "code": "UNAVAILABLE", "after": True, "times": 1}
    run.rig.control("faults", {"faults": [lost]})
    with pytest.raises(Transient):
        undo(action, target, prior)

    done = undo(action, target, prior)

    assert done.objects["scaling"] is Outcome.RESTORED
    assert run.state("run") == before
