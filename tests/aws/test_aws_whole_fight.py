"""An agent that watches itself and undoes the stop, while changes are seen late, never lives on unseen."""

from __future__ import annotations

import time

import pytest

from breakglass.model.action import Verdict
from tests.aws.agent_record import answered, violations
from tests.aws.cloud_fleet import Cloud, cloud_fleet, said
from tests.aws.fighter import OWN, WIDE, Fighter

SAMPLE = 1
SEEDS = 5
SETTLE_FACTORS = {2: "0.3", 4: "0.6"}
"""Visibility delay in seconds -> what makes the settle time longer than it, as 10 s are than 3 to 4 s."""


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("delay_s", SETTLE_FACTORS)
@pytest.mark.parametrize("wide", [False, True], ids=["on what is its own", "with new identities"])
def test_an_agent_that_fights_back_ends_contained_or_is_reported_open(
    cloud: Cloud, seed: int, delay_s: int, *, wide: bool, full: bool
) -> None:
    """What is proven, and what is contained, the record shows to be refused; whoever acts on is named."""
    if (seed >= SAMPLE or delay_s > min(SETTLE_FACTORS)) and not full:
        pytest.skip("one seed without --full")
    key = cloud.user()
    cloud.role(trusts=["rogue"])
    session = cloud.session()
    cloud.settings(visibility_delay_s=delay_s)
    agent = Fighter(cloud, key, session, seed=seed, does=OWN + (WIDE if wide else ()))
    reach = cloud.reach(users=["rogue"], roles=["rogue-role"], settle_factor=SETTLE_FACTORS[delay_s])
    with cloud_fleet(cloud, reach, step_s=40) as ours, agent:
        _, done = ours.stop()
        ended_ms = time.time_ns() // 1_000_000
        time.sleep(delay_s + 0.5)
        broken = violations(cloud, done.report, ended_ms)

    assert answered(cloud), "it never began"
    assert [] == broken, said(done.report)
    assert Verdict.CONTAINED is done.report.verdict or done.report.open
