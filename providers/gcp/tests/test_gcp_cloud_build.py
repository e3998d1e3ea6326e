"""Build triggers start nothing any more, what they started is cancelled, and they come back as they were."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.errors import Denied, ProviderError
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_gcp.actions.cloud_build import SPEC
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, proposal, undo

NAME = "deploy-bot"
ENTRY = f"cloudbuild:{LOCATION}/{NAME}"


def trigger(rig: Rig, name: str = NAME, **fields: Any) -> Any:  # noqa: ANN401 - BuildTrigger
    """Make one that fires all the time."""
    asked = {
        "parent": f"projects/{rig.project}/locations/{LOCATION}",
        "project_id": rig.project,
        "trigger": {
            "name": name,
            "tags": ["auto"],
            "filename": "cloudbuild.yaml",
            "substitutions": {"_SERVICE": f"{LOCATION}/bot", "_TOKEN": "sekrit"},
            **fields,
        },
    }
    return rig.admin.call("builds", "create_build_trigger", asked)


def fires(rig: Rig, name: str = NAME) -> bool:
    """Return whether a build of it had an effect within three ticks from now."""
    last = max([0, *(one["n"] for one in rig.control("effects", {}))])
    rig.control("platform", {"ticks": 3})
    seen = rig.control("effects", {"since": last})
    return any(one["channel"] == f"deployer:{name}" for one in seen)


def change(rig: Rig, made: Any, **fields: Any) -> None:  # noqa: ANN401 - BuildTrigger
    """Change a trigger as its owner or the agent does."""
    asked = {
        "project_id": rig.project,
        "trigger_id": made.id,
        "trigger": {"resource_name": made.resource_name, "id": made.id, **fields},
        "update_mask": {"paths": [*fields]},
    }
    rig.admin.call("builds", "update_build_trigger", asked)


def test_a_trigger_fires_no_more_its_builds_are_cancelled_and_it_comes_back_equal(rig: Rig) -> None:
    """Nothing else of it is written."""
    trigger(rig)
    trigger(rig, "other")
    before = rig.control("state")["build"]
    assert fires(rig)
    provider = rig.provider(deployers=[ENTRY])
    target = proposal(provider, SPEC.name).target

    prior, _ = close(provider.actions[SPEC.name], target)

    assert not fires(rig)
    assert fires(rig, "other")
    outcomes = undo(provider.actions[SPEC.name], target, prior).objects
    assert {Outcome.RESTORED} == {one for key, one in outcomes.items() if key.startswith("trigger/")}
    assert {Outcome.RESTORED, Outcome.ENDED} >= set(outcomes.values())
    assert rig.control("state")["build"] == before
    assert fires(rig)


def test_what_the_trigger_holds_is_in_no_state(rig: Rig) -> None:
    """Its substitutions may be secrets."""
    trigger(rig)
    provider = rig.provider(deployers=[ENTRY])

    state = provider.actions[SPEC.name].observe(proposal(provider, SPEC.name).target)

    assert "sekrit" not in str(state)


def test_one_that_was_disabled_before_stays_disabled(rig: Rig) -> None:
    """That was somebody's decision."""
    made = trigger(rig, disabled=True)
    provider = rig.provider(deployers=[f"cloudbuild:{LOCATION}/{made.id}"])
    target = proposal(provider, SPEC.name).target

    prior, _ = close(provider.actions[SPEC.name], target)

    assert set(undo(provider.actions[SPEC.name], target, prior).objects.values()) == {Outcome.ALREADY}
    assert not fires(rig)


def test_one_that_is_enabled_again_between_rounds_is_seen_and_disabled_again(rig: Rig) -> None:
    """What counts is what is read back."""
    made = trigger(rig)
    provider = rig.provider(deployers=[ENTRY])
    target, action = proposal(provider, SPEC.name).target, provider.actions[SPEC.name]
    close(action, target)
    change(rig, made, disabled=False)

    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    close(action, target)

    assert not fires(rig)


def test_one_that_is_made_anew_under_its_name_is_disabled_too(rig: Rig) -> None:
    """Its id is another, and it deploys the same."""
    made = trigger(rig)
    provider = rig.provider(deployers=[ENTRY])
    target = proposal(provider, SPEC.name).target
    gone = {"name": made.resource_name, "project_id": rig.project, "trigger_id": made.id}
    rig.admin.call("builds", "delete_build_trigger", gone)
    fresh = trigger(rig)

    prior, _ = close(provider.actions[SPEC.name], target)

    assert f"trigger/{fresh.id}" in prior
    assert not fires(rig)


def test_one_that_points_elsewhere_since_is_not_enabled_again(rig: Rig) -> None:
    """Who changed it while it was disabled may be the agent."""
    made = trigger(rig)
    provider = rig.provider(deployers=[ENTRY])
    target = proposal(provider, SPEC.name).target
    prior, _ = close(provider.actions[SPEC.name], target)
    change(rig, made, filename="evil.yaml")

    outcomes = undo(provider.actions[SPEC.name], target, prior).objects

    assert outcomes[f"trigger/{made.id}"] is Outcome.DRIFTED
    assert not fires(rig)


def test_a_build_that_cannot_be_cancelled_is_not_contained_and_the_trigger_is_disabled(rig: Rig) -> None:
    """One failure stops nothing else."""
    trigger(rig)
    rig.control("platform", {"ticks": 1})
    provider = rig.provider(deployers=[ENTRY])
    target, action = proposal(provider, SPEC.name).target, provider.actions[SPEC.name]
    rig.control("faults", {"faults": [{"method": "*CancelBuild", "code": "PERMISSION_DENIED"}]})

    with pytest.raises(Denied):
        action.apply(target, action.observe(target), "t")

    judged = action.judge(target, action.observe(target))
    assert judged.verdict is Verdict.NOT_CONTAINED
    assert "1 of its builds run" in judged.reason


def test_an_api_that_is_off_or_a_region_that_is_down_is_not_an_answer(rig: Rig) -> None:
    """Neither says that there is no such trigger."""
    trigger(rig)
    for fault in ({"code": "UNAVAILABLE"}, {"code": "PERMISSION_DENIED", "reason": "SERVICE_DISABLED"}):
        rig.control("faults", {"faults": [{"method": "*ListBuildTriggers", **fault}]})
        found = rig.provider(deployers=[ENTRY]).discover()
        assert any(ENTRY in one for one in found.incomplete)
    rig.control("faults", {"faults": []})
    provider = rig.provider(deployers=[ENTRY])
    target = proposal(provider, SPEC.name).target
    rig.control("faults", {"faults": [{"method": "*ListBuilds", "code": "UNAVAILABLE"}]})

    with pytest.raises(ProviderError):
        provider.actions[SPEC.name].observe(target)


def test_a_trigger_that_is_not_there_is_said(rig: Rig) -> None:
    """And one that went meanwhile is contained."""
    made = trigger(rig)
    provider = rig.provider(deployers=[ENTRY, f"cloudbuild:{LOCATION}/none"])
    target = proposal(provider, SPEC.name).target
    assert any("no such trigger" in one.reason for one in provider.discover().not_touched)
    prior = provider.actions[SPEC.name].observe(target).objects
    gone = {"name": made.resource_name, "project_id": rig.project, "trigger_id": made.id}
    rig.admin.call("builds", "delete_build_trigger", gone)

    _, state = close(provider.actions[SPEC.name], target)

    assert "it is gone" in provider.actions[SPEC.name].judge(target, state).reason
    outcomes = undo(provider.actions[SPEC.name], target, prior).objects
    assert outcomes == {f"trigger/{made.id}": Outcome.DRIFTED}


def test_a_service_of_cloud_run_is_not_deployed_again_by_a_frozen_trigger(rig: Rig) -> None:
    """That is what the trigger is frozen for: a deployer undoes a stop without meaning to."""
    service = {"template": {"containers": [{"image": "bot"}]}, "scaling": {"manual_instance_count": 0}}
    asked = {
        "parent": f"projects/{rig.project}/locations/{LOCATION}",
        "service_id": "bot",
        "service": service,
    }
    rig.admin.operate("run_services", "create_service", asked)
    trigger(rig)
    rig.control("platform", {"ticks": 4})
    again = f"redeployed:{LOCATION}/bot"
    assert rig.control("effects", {"channel": again})
    provider = rig.provider(deployers=[ENTRY])
    close(provider.actions[SPEC.name], proposal(provider, SPEC.name).target)
    last = max(one["n"] for one in rig.control("effects", {}))

    rig.control("platform", {"ticks": 8})

    assert rig.control("effects", {"channel": again, "since": last}) == []
