"""gcp.run.stop_instance: a Cloud Run instance stops, and comes back only as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from breakglass.errors import Gone, ProviderError, Transient, Unsettled
from breakglass.model.action import Verdict
from breakglass.model.resource import Resource
from breakglass.provider import Action, Outcome
from breakglass_gcp import permissions
from breakglass_gcp.actions.run_instances import SPEC
from breakglass_gcp.discover.gather import gather
from breakglass_gcp.discover.labels import LABEL, origin_of
from breakglass_gcp.refusals import SERVICE_DISABLED
from providers.gcp.tests.harm_gcp import Harm
from providers.gcp.tests.rig_gcp import AGENT, LOCATION, Rig, close, undo
from providers.gcp.tests.rig_run import BOT, Run, step

ACTION, CHANNEL = "gcp.run.stop_instance", "instance:bot"
METHODS = "/google.cloud.run.v2.Instances/"
RIGHTS = {"run.instances.get", "run.instances.list", "run.instances.start", "run.instances.stop"}


@pytest.fixture
def run(rig: Rig) -> Iterator[Run]:
    """Return a project with the agent's account; its calls go wrong no longer than the test."""
    yield Run.new(rig)
    rig.control("faults", {"faults": []})


def fails(run: Run, method: str, **how: object) -> None:
    """Let calls go wrong."""
    run.rig.control("faults", {"faults": [{"method": method, **how}]})


def tells(run: Run, **what: str) -> None:
    """Let the instance tell, or be, something else."""
    run.rig.control("run.instance_tells", {"instance": BOT, **what})


def stopped(run: Run) -> tuple[Action, Resource]:
    """Return the step of the agent's instance, which runs."""
    run.instance()
    assert run.works(CHANNEL)
    return step(run.rig.provider(run_instances=[BOT]), ACTION)


def verdict(action: Action, target: Resource) -> Verdict:
    """Return what is said of it now."""
    return action.judge(target, action.observe(target)).verdict


def remade(run: Run) -> None:
    """Delete it, and make another of its name that is stopped."""
    name = {"name": run.name("instances")}
    run.rig.admin.operate("run_instances", "delete_instance", name)
    run.instance()
    run.rig.admin.operate("run_instances", "stop_instance", name)


def test_it_is_stopped_and_runs_again(run: Run) -> None:
    """By the executor's printed rights alone; a second call changes nothing."""
    action, target = stopped(run)
    before = run.state("run_singletons")
    assert verdict(action, target) is Verdict.NOT_CONTAINED
    prior, last = close(action, target)
    assert not run.works(CHANNEL)
    action.apply(target, last, "again")
    assert undo(action, target, prior).objects["instance"] is Outcome.RESTORED
    assert run.state("run_singletons") == before
    assert run.works(CHANNEL)
    assert undo(action, target, prior).objects["instance"] is Outcome.ALREADY


def test_one_that_did_not_run_stays_off(run: Run) -> None:
    """It is contained as it is, and a restore starts nothing."""
    run.instance()
    run.rig.admin.operate("run_instances", "stop_instance", {"name": run.name("instances")})
    action, target = step(run.rig.provider(run_instances=[BOT]), ACTION)
    prior, _ = close(action, target)
    assert undo(action, target, prior).objects["instance"] is Outcome.ALREADY
    assert not run.works(CHANNEL)


@pytest.mark.parametrize("change", ["another of its name", "another image", "gone"])
def test_what_is_not_the_same_any_more_is_not_started(run: Run, change: str) -> None:
    """Whoever made it anew, or changed what it runs while it was off, may be the agent."""
    action, target = stopped(run)
    prior, _ = close(action, target)
    if change == "another image":
        tells(run, image="evil")
    elif change == "gone":
        run.rig.admin.operate("run_instances", "delete_instance", {"name": run.name("instances")})
        assert verdict(action, target) is Verdict.CONTAINED
    else:
        remade(run)
    assert undo(action, target, prior).objects["instance"] is Outcome.DRIFTED
    assert not run.works(CHANNEL)


def test_one_that_was_made_since_the_harm_began_is_left_off(rig: Rig) -> None:
    """The agent made it itself: it is found by that, stopped, said to stay off, and stays off."""
    harm = Harm.of(rig)
    run = Run(rig, harm.bot)
    harm.begins()
    run.instance(by=harm.agent)
    assert run.works(CHANNEL)
    made, _ = harm.plan(ACTION)
    assert any("since the harm began" in one for one in made.affects)
    assert harm.stopped_and_restored(made) == {"instance": "ended"}
    assert not run.works(CHANNEL)


def test_one_of_before_the_harm_comes_back(rig: Rig) -> None:
    """Also where it is known when that was."""
    harm = Harm.of(rig)
    run = Run(rig, harm.bot)
    run.instance()
    harm.begins(run_instances=[BOT])
    made, _ = harm.plan(ACTION)
    assert not made.affects
    assert harm.stopped_and_restored(made) == {"instance": "restored"}
    assert run.works(CHANNEL)


def test_a_stop_that_never_ends_is_unknown(run: Run) -> None:
    """It works on, nobody says contained, and a restore waits."""
    action, target = stopped(run)
    seen = action.observe(target)
    fails(run, f"{METHODS}StopInstance", operation="never")
    action.apply(target, seen, "t")
    assert verdict(action, target) is Verdict.UNKNOWN
    action.apply(target, action.observe(target), "again")
    assert run.works(CHANNEL)
    with pytest.raises(Unsettled):
        undo(action, target, seen.objects)


def test_a_start_that_does_not_end_is_no_restore(run: Run) -> None:
    """It is tried again, and found done."""
    action, target = stopped(run)
    prior, _ = close(action, target)
    fails(run, f"{METHODS}StartInstance", operation="never")
    with pytest.raises(Transient):
        undo(action, target, prior)


def test_a_start_that_somebody_else_wrote_before_is_decided_again(run: Run) -> None:
    """It is looked at anew, and started where it is still the same."""
    action, target = stopped(run)
    prior, _ = close(action, target)
    fails(run, f"{METHODS}StartInstance", code="ABORTED", times=1)
    assert undo(action, target, prior).objects["instance"] is Outcome.RESTORED
    assert run.works(CHANNEL)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"reason": "INSTANCE_NON_ZERO_EXIT_CODE", "state": "CONDITION_FAILED"}, Verdict.UNKNOWN),
        ({"reason": "", "state": "CONDITION_FAILED"}, Verdict.UNKNOWN),
        ({"reason": "INSTANCE_STOPPED", "state": "CONDITION_SUCCEEDED"}, Verdict.UNKNOWN),
        ({"reason": "INSTANCE_STOPPING", "state": "CONDITION_FAILED"}, Verdict.UNKNOWN),
        ({"reason": "SOMETHING_NEW", "state": "CONDITION_FAILED"}, Verdict.UNKNOWN),
        ({"reason": "INSTANCE_STOPPED", "state": "CONDITION_FAILED"}, Verdict.CONTAINED),
    ],
)
def test_only_a_reason_that_says_so_is_contained(run: Run, told: dict[str, str], expected: Verdict) -> None:
    """What failed may be started again by its restart policy, and a word that nobody knows says nothing."""
    action, target = stopped(run)
    tells(run, **told)
    assert verdict(action, target) is expected


@pytest.mark.parametrize("code", ["UNIMPLEMENTED", "NOT_FOUND"])
def test_an_api_that_knows_no_instances_hides_nothing_else(run: Run, code: str) -> None:
    """It is said that the plan is incomplete; that none is there, or is contained, is not said."""
    run.pool()
    action, target = stopped(run)
    fails(run, f"{METHODS}*", code=code)
    found = run.rig.provider(run_instances=[BOT], worker_pools=[BOT]).discover()
    assert [one.action for one in found.proposals if ".run." in one.action] == ["gcp.run.scale_pool_to_zero"]
    assert any("Cloud Run instances" in one for one in found.incomplete)
    assert not any(BOT in one.resource for one in found.not_touched)
    with pytest.raises(ProviderError) as raised:
        action.observe(target)
    assert not isinstance(raised.value, Gone)


def test_where_run_is_not_enabled_nothing_is_missing(run: Run) -> None:
    """As with all of Cloud Run: there can be none."""
    how = {"code": "PERMISSION_DENIED", "reason": SERVICE_DISABLED}
    fails(run, f"{METHODS}*", **how)
    assert not any("Cloud Run instance" in one for one in run.rig.provider().discover().incomplete)


def test_one_that_is_not_there_is_said(run: Run) -> None:
    """Not touched, and why."""
    found = run.rig.provider(run_instances=[BOT]).discover()
    assert any(BOT in one.resource for one in found.not_touched)


def test_it_is_found_by_its_label(run: Run) -> None:
    """And one of somebody else's is not."""
    run.instance(labels={LABEL: AGENT})
    run.instance("web", labels={LABEL: "somebody-else"})
    found = gather(run.rig.provider().project).found
    assert found.of("run_instances") == (BOT,)
    assert found.origin("run_instances", BOT) == origin_of(AGENT)


def test_one_that_uses_the_agents_account_is_named(run: Run) -> None:
    """Before anyone signs; the agent's own is no other user."""
    run.instance()
    run.instance("web")
    provider = run.rig.provider(service_accounts=[run.account], run_instances=[BOT])
    found = gather(provider.project).found
    assert found.sharers[run.account] == (f"Cloud Run instance {LOCATION}/web",)


def test_one_that_appears_after_the_plan_is_found_by_the_next_look(run: Run) -> None:
    """Discovery of then has a principal and a step that the plan has not."""
    provider = run.rig.provider()
    before = provider.discover()
    run.instance(labels={LABEL: AGENT})
    after = provider.discover()
    assert {one.id for one in after.principals} - {one.id for one in before.principals} == {BOT}
    assert ACTION in {one.action for one in after.proposals}


def test_the_printed_role_has_its_rights_and_no_more() -> None:
    """It is never made, changed or deleted by the executor."""
    held = {one for one in permissions.needed("") if one.startswith("run.instances.")}
    assert held == RIGHTS
    assert "run.instances.start" not in permissions.needed("stop")
    assert set(SPEC.permissions) <= set(permissions.needed("stop"))


def test_its_account_disabled_it_does_nothing_at_google(run: Run) -> None:
    """What it does without Google goes on: so it is stopped as well."""
    run.instance()
    assert run.works(f"{CHANNEL}:api")
    account = {"name": f"projects/-/serviceAccounts/{run.account}"}
    run.rig.admin.call("iam_admin", "disable_service_account", account)
    assert not run.works(f"{CHANNEL}:api")
    assert run.works(CHANNEL)
