"""The rates that calls are kept at: slower where a service throttles below what it documents, later not."""

from __future__ import annotations

from breakglass.provider import Budget
from breakglass.testing.virtual import VirtualClock
from breakglass_aws.pace import Pace
from breakglass_aws.recent import Recent


def _calls(pace: Pace, clock: VirtualClock, count: int) -> float:
    began_s = clock.monotonic_s()
    for _ in range(count):
        pace.wait("iam", "GetRole")
    return clock.monotonic_s() - began_s


def test_a_service_that_throttles_is_asked_less_often_and_more_again_later() -> None:
    """Refused for some seconds the rate falls; a minute later it is the documented one."""
    clock = VirtualClock()
    pace = Pace(clock, {"iam:read": Budget(per_s=40, burst=1)})
    at_first_s = _calls(pace, clock, 400)

    for _ in range(5):
        for _ in range(30):
            pace.throttled("iam", "GetRole")
        clock.sleep(1.1)
    slowed_s = _calls(pace, clock, 40)
    clock.sleep(90)
    later_s = _calls(pace, clock, 400)

    assert 9 < at_first_s < 11
    assert slowed_s > 2.5
    assert 9 < later_s < 11


def test_a_service_without_a_rate_is_not_slowed() -> None:
    """What is not limited here has no bucket."""
    clock = VirtualClock()
    pace = Pace(clock, {})
    pace.throttled("sqs", "ListQueues")

    pace.wait("sqs", "ListQueues")

    assert clock.monotonic_s() == 0


def test_what_many_ask_within_a_second_is_read_once() -> None:
    """A second later it is read anew, and at once after a change of ours."""
    clock = VirtualClock()
    recent = Recent(clock)
    reads: list[float] = []

    def look() -> bool:
        reads.append(clock.monotonic_s())
        return len(reads) == 1

    assert [recent.ask("policy", look) for _ in range(50)] == [True] * 50
    clock.sleep(1.1)
    assert not recent.ask("policy", look)
    recent.forget()
    assert not recent.ask("policy", look)
    assert len(reads) == 3
