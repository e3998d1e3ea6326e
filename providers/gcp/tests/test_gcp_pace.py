"""Calls keep to the rates that Google documents, and to what a service takes at the moment."""

from __future__ import annotations

import pytest

from breakglass.provider import Budget
from breakglass.testing.virtual import VirtualClock
from breakglass_gcp.pace import CALLS, Pace
from breakglass_gcp.services import SERVICES

A_DAY_S = 86_400.0
A_MINUTE = {
    "iam:read": 6000,
    "iam:write": 600,
    "iam_deny:read": 5,
    "iam_deny:write": 5,
    "pools:write": 60,
    "logging:read": 60,
}
"""IAM "Quotas and limits"; Cloud Logging "Quotas and limits"."""


def seconds_for(pace: Pace, clock: VirtualClock, calls: int) -> float:
    """Make so many writes; return how long they took."""
    began = clock.monotonic_s()
    for _ in range(calls):
        pace.wait("x", write=True)
    return clock.monotonic_s() - began


@pytest.mark.parametrize("name", A_MINUTE)
def test_no_minute_ever_has_more_calls_than_google_allows(name: str) -> None:
    """Burst and sixty seconds of the rate together."""
    assert CALLS[name].burst + 60 * CALLS[name].per_s <= A_MINUTE[name]


def test_a_thousand_accounts_are_disabled_at_the_documented_rate() -> None:
    """Less than two minutes, and never faster than allowed."""
    clock = VirtualClock()
    pace = Pace(clock, {"x:write": CALLS["iam:write"]})

    took_s = seconds_for(pace, clock, 1000)

    assert 96 < took_s < 110


def test_a_service_that_throttles_is_asked_less_often_and_more_again_later() -> None:
    """Others of the project use the same quota."""
    clock = VirtualClock()
    pace = Pace(clock, {"x:write": Budget(per_s=10, burst=1)})
    seconds_for(pace, clock, 1)
    pace.throttled("x", write=True)
    slowed_s = seconds_for(pace, clock, 10)
    clock.sleep(120)

    assert slowed_s > 1.2
    assert seconds_for(pace, clock, 11) < 1.1


def test_a_day_of_waiting_for_a_signature_breaks_nothing() -> None:
    """The rate grows back to the documented one, and no number overflows."""
    clock = VirtualClock()
    pace = Pace(clock, {"x:write": Budget(per_s=10, burst=1)})
    seconds_for(pace, clock, 1)
    clock.sleep(A_DAY_S)

    assert seconds_for(pace, clock, 11) < 1.1


def test_a_service_without_a_rate_is_not_slowed() -> None:
    """What Google documents no limit of waits for nothing here."""
    clock = VirtualClock()

    assert seconds_for(Pace(clock, {}), clock, 10_000) == 0


def test_every_budget_that_a_rate_is_given_for_is_some_services() -> None:
    """A rate under a name that no service draws from would hold nothing back."""
    drawn = {service.budget for service in SERVICES.values()}

    assert {name.partition(":")[0] for name in CALLS} <= drawn
