"""An agent that watches itself and undoes the stop, while changes are seen late, never lives on unseen."""

from __future__ import annotations

import time

import pytest

from breakglass.model.action import Verdict
from tests.aws.cloud_fleet import Cloud, cloud_fleet, said
from tests.aws.fighter import OWN, WIDE, Fighter

SAMPLE = 1
SEEDS = 5
DELAY_S = 2


@pytest.mark.campaign
@pytest.mark.timeout(200)
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("wide", [False, True], ids=["on what is its own", "with new identities"])
def test_an_agent_that_fights_back_ends_contained_or_is_reported_open(
    cloud: Cloud, seed: int, *, wide: bool, full: bool
) -> None:
    """After a report that says contained the record shows nothing of the agent's that was allowed."""
    if seed >= SAMPLE and not full:
        pytest.skip("one seed without --full")
    key = cloud.user()
    cloud.role(trusts=["rogue"])
    session = cloud.session()
    cloud.settings(visibility_delay_s=DELAY_S)
    agent = Fighter(cloud, key, session, seed=seed, does=OWN + (WIDE if wide else ()))
    reach = cloud.reach(users=["rogue"], roles=["rogue-role"], settle_factor="0.3")
    with cloud_fleet(cloud, reach, step_s=40) as ours, agent:
        _, done = ours.stop()
        ended_us = time.monotonic_ns() // 1000
        time.sleep(DELAY_S + 0.5)
        later = agent.allowed_since(ended_us)

    assert agent.allowed_since(0), "it never began"
    if later:
        assert Verdict.CONTAINED is not done.report.verdict, f"{later[:5]}\n{said(done.report)}"
        assert done.report.open
