"""Nothing is rolled out to the target any more, by whatever pipeline; pipelines come back as they were."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.errors import Denied, ProviderError
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_gcp.actions.cloud_deploy import SPEC
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, proposal, undo

ENTRY = f"clouddeploy:{LOCATION}/prod"


def place(rig: Rig) -> str:
    """Return the region of a test."""
    return f"projects/{rig.project}/locations/{LOCATION}"


def pipeline(rig: Rig, name: str, *targets: str, **fields: Any) -> str:  # noqa: ANN401 - fields of the API
    """Make a pipeline with these stages; return its name."""
    stages = [{"target_id": one} for one in targets]
    asked = {
        "parent": place(rig),
        "delivery_pipeline_id": name,
        "delivery_pipeline": {"serial_pipeline": {"stages": stages}, **fields},
    }
    rig.admin.call("deploy", "create_delivery_pipeline", asked)
    return f"{place(rig)}/deliveryPipelines/{name}"


def rollout(rig: Rig, name: str, target: str = "prod", n: int = 1) -> None:
    """Begin to roll a release out."""
    asked = {
        "parent": f"{name}/releases/r1",
        "rollout_id": f"to-{target}-{n}",
        "rollout": {"target_id": target},
    }
    rig.admin.call("deploy", "create_rollout", asked)


def deploys(rig: Rig, name: str) -> bool:
    """Return whether a pipeline had an effect within two ticks from now."""
    last = max([0, *(one["n"] for one in rig.control("effects", {}))])
    rig.control("platform", {"ticks": 2})
    seen = rig.control("effects", {"since": last})
    return any(one["channel"] == f"deployer:{name}" for one in seen)


def test_pipelines_to_the_target_are_suspended_their_rollouts_cancelled_and_others_left(rig: Rig) -> None:
    """Also where the target is a part of another one."""
    asked = {"parent": place(rig), "target_id": "all", "target": {"multi_target": {"target_ids": ["prod"]}}}
    rig.admin.call("deploy", "create_target", asked)
    for name, target in (("main", "prod"), ("wide", "all"), ("side", "dev")):
        rollout(rig, pipeline(rig, name, target), target)
    before = rig.control("state")["deploy"]
    provider = rig.provider(deployers=[ENTRY])
    target_ = proposal(provider, SPEC.name).target

    prior, _ = close(provider.actions[SPEC.name], target_)

    assert deploys(rig, "side")
    assert not deploys(rig, "main")
    assert not deploys(rig, "wide")
    for name in ("main", "wide"):
        with pytest.raises(ProviderError, match="suspended"):
            rollout(rig, f"{place(rig)}/deliveryPipelines/{name}", n=2)
    outcomes = undo(provider.actions[SPEC.name], target_, prior).objects
    assert {key: one for key, one in outcomes.items() if key.startswith("pipeline/")} == {
        f"pipeline/{place(rig)}/deliveryPipelines/{name}": Outcome.RESTORED for name in ("main", "wide")
    }
    assert {one for key, one in outcomes.items() if key.startswith("rollout/")} == {Outcome.ENDED}
    assert rig.control("state")["deploy"] == before


def test_one_that_was_suspended_before_stays_so(rig: Rig) -> None:
    """That was somebody's decision."""
    pipeline(rig, "main", "prod", suspended=True)
    provider = rig.provider(deployers=[ENTRY])
    target = proposal(provider, SPEC.name).target

    prior, _ = close(provider.actions[SPEC.name], target)

    assert set(undo(provider.actions[SPEC.name], target, prior).objects.values()) == {Outcome.ALREADY}


def test_a_pipeline_that_is_resumed_or_made_between_rounds_is_suspended_too(rig: Rig) -> None:
    """The step is closed over whatever deploys to the target when it runs."""
    name = pipeline(rig, "main", "prod")
    provider = rig.provider(deployers=[ENTRY])
    target, action = proposal(provider, SPEC.name).target, provider.actions[SPEC.name]
    close(action, target)
    wanted = {"name": name, "suspended": False}
    asked = {"delivery_pipeline": wanted, "update_mask": {"paths": ["suspended"]}}
    rig.admin.operate("deploy", "update_delivery_pipeline", asked)
    rollout(rig, pipeline(rig, "fresh", "prod"))

    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    prior, _ = close(action, target)

    assert len([key for key in prior if key.startswith("pipeline/")]) == 2
    assert not deploys(rig, "fresh")


def test_a_pipeline_that_somebody_changed_since_is_not_resumed(rig: Rig) -> None:
    """Who changed it while it was suspended may be the agent."""
    name = pipeline(rig, "main", "prod")
    provider = rig.provider(deployers=[ENTRY])
    target = proposal(provider, SPEC.name).target
    prior, _ = close(provider.actions[SPEC.name], target)
    wanted = {"name": name, "description": "mine"}
    asked = {"delivery_pipeline": wanted, "update_mask": {"paths": ["description"]}}
    rig.admin.operate("deploy", "update_delivery_pipeline", asked)

    outcomes = undo(provider.actions[SPEC.name], target, prior).objects

    assert set(outcomes.values()) == {Outcome.DRIFTED}


def test_an_etag_that_moves_is_read_again_and_one_that_always_moves_goes_up(rig: Rig) -> None:
    """Somebody else writes the same pipeline."""
    pipeline(rig, "main", "prod")
    provider = rig.provider(deployers=[ENTRY])
    target, action = proposal(provider, SPEC.name).target, provider.actions[SPEC.name]
    fault = {"method": "*UpdateDeliveryPipeline", "code": "ABORTED"}
    rig.control("faults", {"faults": [{**fault, "times": 9}]})

    with pytest.raises(ProviderError, match="somebody else"):
        action.apply(target, action.observe(target), "t")
    close(action, target)  # four more conflicts, then it is written


def test_a_change_that_never_ends_is_not_contained(rig: Rig) -> None:
    """What counts is what is read back, not that it was begun."""
    pipeline(rig, "main", "prod")
    provider = rig.provider(deployers=[ENTRY])
    target, action = proposal(provider, SPEC.name).target, provider.actions[SPEC.name]
    rig.control("faults", {"faults": [{"method": "*UpdateDeliveryPipeline", "operation": "never"}]})

    action.apply(target, action.observe(target), "t")

    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED


def test_a_rollout_that_cannot_be_cancelled_is_not_contained(rig: Rig) -> None:
    """And nothing more can begin all the same."""
    name = pipeline(rig, "main", "prod")
    rollout(rig, name)
    provider = rig.provider(deployers=[ENTRY])
    target, action = proposal(provider, SPEC.name).target, provider.actions[SPEC.name]
    rig.control("faults", {"faults": [{"method": "*CancelRollout", "code": "PERMISSION_DENIED"}]})

    with pytest.raises(Denied):
        action.apply(target, action.observe(target), "t")

    assert "suspended; 1 rollouts" in action.judge(target, action.observe(target)).reason


def test_a_target_that_nothing_deploys_to_is_said_and_a_dead_api_is_not_an_answer(rig: Rig) -> None:
    """There is nothing to suspend, which is no proof of more than that."""
    found = rig.provider(deployers=[ENTRY]).discover()
    assert any("no pipeline" in one.reason for one in found.not_touched)
    rig.control("faults", {"faults": [{"method": "*ListDeliveryPipelines", "code": "UNAVAILABLE"}]})

    found = rig.provider(deployers=[ENTRY]).discover()

    assert any(ENTRY in one for one in found.incomplete)


def test_rollouts_of_a_place_that_does_not_answer_are_not_none(rig: Rig) -> None:
    """The listing goes well, holds nothing, and names the place."""
    name = pipeline(rig, "main", "prod")
    rollout(rig, name)
    provider = rig.provider(deployers=[ENTRY])
    target, action = proposal(provider, SPEC.name).target, provider.actions[SPEC.name]
    rig.control("faults", {"faults": [{"method": "*ListRollouts", "unreachable": place(rig)}]})
    action.apply(target, action.observe(target), "token")

    state = action.observe(target)

    assert not state.complete
    assert place(rig) in state.note
