"""Moments are UTC in whole milliseconds and have one spelling."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakglass.clock import Instant, SystemClock
from breakglass.errors import MalformedInput

FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999


@given(st.integers(FIRST, LAST))
def test_every_moment_is_read_back_as_it_was_written(epoch_ms: int) -> None:
    """From the year 1 to the year 9999, to the millisecond."""
    assert Instant(epoch_ms) == Instant.parse(str(Instant(epoch_ms)))


@given(st.integers(0, LAST), st.integers(0, LAST))
def test_later_moments_are_greater_and_their_spelling_sorts_alike(a: int, b: int) -> None:
    """A sorted listing of texts is in order of time."""
    assert (a < b) == (Instant(a) < Instant(b)) == (str(Instant(a)) < str(Instant(b)))


@given(st.integers(0, 2**40), st.integers(-(2**30), 2**30))
def test_adding_and_taking_the_difference_undo_each_other(epoch_ms: int, ms: int) -> None:
    """Durations are exact to the millisecond."""
    start = Instant(epoch_ms)

    assert ms == round(start.plus(ms / 1000).seconds_since(start) * 1000)


def test_one_known_moment() -> None:
    """The only form that breakglass writes is RFC 3339 with milliseconds and Z."""
    assert "2026-01-31T03:12:08.005Z" == str(Instant(1_769_829_128_005))
    assert Instant(1_769_829_128_000) == Instant.parse("2026-01-31T03:12:08Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-31",
        "2026-01-31T03:12:08",
        "2026-01-31T03:12:08+00:00",
        "2026-01-31t03:12:08z",
        "2026-01-31T03:12:08.5Z",
        "2026-01-31T03:12:08.000000Z",
        "2026-02-30T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T03:12:60Z",
        "0000-01-01T00:00:00Z",
        "\uff12\uff1026-01-31T03:12:08Z",
        "2026-01-31T03:12:08Z\n",
        " 2026-01-31T03:12:08Z",
    ],
)
def test_another_spelling_of_a_time_is_refused(text: str) -> None:
    """Local times, offsets, leap seconds and digits of other scripts are not guessed at."""
    with pytest.raises(MalformedInput) as caught:
        Instant.parse(text, "alert.json:3:9")

    assert "alert.json:3:9" == caught.value.where


def test_the_system_clock_tells_the_machine_s_time() -> None:
    """Wall clock in UTC, a monotonic clock that other processes share, and a sleep that waits."""
    clock = SystemClock()
    before = clock.monotonic_s()
    clock.sleep(0.01)
    clock.sleep(-1.0)

    assert 0.01 <= clock.monotonic_s() - before < 5
    assert abs(clock.now().epoch_ms - time.time() * 1000) < 5000
    assert abs(clock.monotonic_s() - time.clock_gettime(time.CLOCK_MONOTONIC)) < 5
