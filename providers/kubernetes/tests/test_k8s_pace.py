"""The rate limit of one reach: who waits goes by lanes, nobody starves, and a 429 slows all down."""

from __future__ import annotations

import threading
import time
from collections import Counter

from breakglass.clock import SystemClock
from breakglass.testing.virtual import VirtualClock
from breakglass_kubernetes.pace import BURST, PER_S, Lane, Pace


def _calls(pace: Pace, clock: VirtualClock, count: int) -> float:
    began_s = clock.monotonic_s()
    for _ in range(count):
        pace.wait()
    return clock.monotonic_s() - began_s


def test_calls_go_at_once_within_the_burst_and_then_at_the_rate() -> None:
    """So many calls take what the rate adds beyond the burst."""
    clock = VirtualClock()
    pace = Pace(clock)
    at_once_s, later_s = _calls(pace, clock, int(BURST)), _calls(pace, clock, 500)

    assert at_once_s == 0
    assert abs(later_s - 500 / PER_S) < 0.1


def test_a_server_that_throttles_is_asked_less_often_and_more_again_later() -> None:
    """Refused some times the rate falls; minutes later it is the client's own again."""
    clock = VirtualClock()
    pace = Pace(clock)
    _calls(pace, clock, int(BURST))
    for _ in range(4):
        pace.throttled()

    assert _calls(pace, clock, 100) > 1.5 * 100 / PER_S
    clock.sleep(120)
    _calls(pace, clock, int(BURST))
    assert _calls(pace, clock, 100) < 1.1 * 100 / PER_S


def test_rights_are_taken_first_and_no_lane_starves() -> None:
    """With all lanes full, each gets about its weight; the rate holds for all of them together."""
    pace = Pace(SystemClock())
    for _ in range(int(BURST)):
        pace.wait()
    seen: Counter[Lane] = Counter()
    began_s = time.monotonic()

    def work(lane: Lane) -> None:
        while time.monotonic() - began_s < 2:
            pace.wait(lane)
            seen[lane] += 1

    threads = [threading.Thread(target=work, args=(lane,)) for lane in Lane for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sum(seen.values()) <= PER_S * (time.monotonic() - began_s) + len(threads) + 1
    assert seen[Lane.CUT] > seen[Lane.READ] > seen[Lane.PROOF] > 0
