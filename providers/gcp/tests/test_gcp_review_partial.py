"""One read that fails while a plan is made takes no step away that does not need it, whoever made it fail."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.canon import Json
from breakglass_gcp.actions import run_jobs
from breakglass_gcp.discover import audit
from breakglass_gcp.discover.gather import gather
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.deny_gcp import arm
from providers.gcp.tests.pools_gcp import make_pool
from providers.gcp.tests.rig_gcp import LOCATION, Rig, proposal
from providers.gcp.tests.rig_run import BOT, Run
from providers.gcp.tests.test_gcp_api_keys import ACTION as DELETE
from providers.gcp.tests.test_gcp_api_keys import make

SUSPEND, DENY = "gcp.compute.suspend_instance", "gcp.compute.deny_egress"
POOL, GRANTS = "gcp.iam.disable_workload_pool", "gcp.projects.remove_grants"


def _fails(rig: Rig, method: str, code: str = "UNAVAILABLE", **more: Any) -> None:  # noqa: ANN401 - fields of a fault
    rig.control("faults", {"faults": [{"method": method, "code": code, **more}]})


def _pool(rig: Rig, name: str) -> str:
    """Make a workload identity pool; return a principal of it."""
    make_pool(rig.admin, rig.project, name)
    return (
        f"principal://iam.googleapis.com/projects/{rig.number}/locations/global/workloadIdentityPools/"
        f"{name}/subject/bot"
    )


def test_a_machine_that_names_a_group_which_does_not_answer_is_turned_off_all_the_same(rig: Rig) -> None:
    """Its metadata is its owner's to write, and so is what is asked because of it."""
    compute.network(rig)
    planted = f"projects/{rig.number}/zones/nowhere-a/instanceGroupManagers/x"
    name = compute.machine(rig, "bot", metadata={"items": [{"key": "created-by", "value": planted}]})
    _fails(rig, "compute.*nstanceGroupManagers.listManagedInstances", "INVALID_ARGUMENT")

    found = rig.provider(instances=[name]).discover()

    assert {SUSPEND, DENY} <= {one.action for one in found.proposals}
    assert any("listManaged" in one or "list_managed" in one for one in found.incomplete)


def test_a_listing_of_all_instances_that_fails_takes_no_step_from_those_that_are_named(rig: Rig) -> None:
    """Who else has their account is not known then; that they are turned off needs none of it."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    _fails(rig, "compute.instances.aggregatedList")

    found = rig.provider(instances=[name]).discover()

    assert SUSPEND in {one.action for one in found.proposals}
    assert any("aggregated_list" in one for one in found.incomplete)


def test_reads_of_deny_policies_that_the_agent_used_up_take_no_other_step_away(rig: Rig) -> None:
    """There are five a minute and project, for whoever asks first."""
    bot = _pool(rig, "bots")
    rig.grant(bot, "roles/viewer")
    policy = arm(rig)
    _fails(rig, "*GetPolicy", "RESOURCE_EXHAUSTED")

    provider = rig.provider(principals=[bot], workload_pools=["bots"], class_deny_policy=policy)
    found = provider.discover()

    assert {POOL, GRANTS} <= {one.action for one in found.proposals}
    assert any("get_policy" in one for one in found.incomplete)


def test_a_pool_that_does_not_answer_keeps_no_other_from_being_disabled(rig: Rig) -> None:
    """Nor the grants from being taken away, nor the class from being denied."""
    bot = _pool(rig, "bots")
    _pool(rig, "mute")
    policy = arm(rig)
    _fails(rig, "iam.*workloadIdentityPools.get", times=2)

    provider = rig.provider(principals=[bot], workload_pools=["mute", "bots"], class_deny_policy=policy)
    found = provider.discover()

    assert {POOL, GRANTS, "gcp.iam.deny_class"} <= {one.action for one in found.proposals}


def test_a_jobs_policy_that_cannot_be_read_keeps_no_execution_running(rig: Rig) -> None:
    """Who may start it again is another step than what runs now."""
    run = Run.new(rig)
    run.job()
    _fails(rig, "/google.cloud.run.v2.Jobs/GetIamPolicy", "PERMISSION_DENIED")

    provider = rig.provider(run_jobs=[BOT])

    assert proposal(provider, run_jobs.SPEC.name)
    assert any("get_iam_policy" in one for one in provider.discover().incomplete)


def test_an_api_key_that_does_not_answer_keeps_no_other_from_being_deleted(rig: Rig) -> None:
    """Each is a credential of its own."""
    keys: list[Json] = [make(rig, "mute"), make(rig, "maps")]
    _fails(rig, "*ApiKeys/GetKey", times=2)

    found = rig.provider(api_keys=keys).discover()

    assert [one.target.params["key"] for one in found.proposals if one.action == DELETE] == keys[1:]
    assert any("get_key" in one for one in found.incomplete)


def _answers_then_fails(rig: Rig, answers: int) -> None:
    """Let the log be read so often, and then refuse: its reads of this minute are used up."""
    method = "*LoggingServiceV2/ListLogEntries"
    spent = {"method": method, "code": "RESOURCE_EXHAUSTED"}
    rig.control("faults", {"faults": [{"method": method, "times": answers}, spent]})


def _child_and_queue(rig: Rig) -> tuple[str, str]:
    """Let the agent make an account, and then a queue; return both accounts' addresses."""
    bot = rig.account("bot", roles=["roles/owner"])
    agent = rig.calls_as(rig.token(bot))
    asked = {"name": f"projects/{rig.project}", "account_id": "child-of-bot"}
    child = str(agent.call("iam_admin", "create_service_account", asked).email)
    parent = f"projects/{rig.project}/locations/{LOCATION}"
    agent.call("tasks", "create_queue", {"parent": parent, "queue": {"name": f"{parent}/queues/own"}})
    return bot, child


def test_what_one_look_at_the_log_told_is_not_lost_with_the_next(rig: Rig) -> None:
    """An account that the agent made is followed by a second look, and the reads of a minute may be over."""
    bot, child = _child_and_queue(rig)
    _answers_then_fails(rig, 1)

    found = gather(rig.provider(service_accounts=[bot]).project)

    assert list(found.found.identities) == [bot, child]
    assert found.found.of("task_queues") == (f"{LOCATION}/own",)
    assert not found.found.harm.whole
    assert any("accounts that it made" in one for one in found.proposed.incomplete)


def test_a_page_of_the_log_that_fails_takes_no_page_before_it_away(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest entries come first: what the agent made last is known."""
    bot, _ = _child_and_queue(rig)
    monkeypatch.setattr(audit, "PAGE", 1)
    _answers_then_fails(rig, 1)

    found = gather(rig.provider(service_accounts=[bot]).project)

    assert found.found.of("task_queues") == (f"{LOCATION}/own",)
    assert not found.found.harm.whole
    assert any("was read back to" in one for one in found.proposed.incomplete)
