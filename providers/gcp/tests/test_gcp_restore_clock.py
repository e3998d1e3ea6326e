"""The executor's clock revives no token: when the stop was, and what time it is, Google tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from breakglass.canon import Json
from breakglass.clock import Instant, SystemClock
from breakglass.errors import ProviderError, Transient
from breakglass.model.resource import Resource
from breakglass.provider import Outcome, Proposal
from breakglass_gcp.actions import run_requests
from breakglass_gcp.calls import Calls
from breakglass_gcp.connect import GcpProvider
from breakglass_gcp.google_time import GoogleTime, date_of
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Unauthenticated
from breakglass_gcp.token_life import HOUR_S
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

DISABLE, POOL_OFF = "gcp.iam.disable_service_account", "gcp.iam.disable_workload_pool"
TWO_HOURS_S = 7200.0
SEEN_S = 60.0
HTTP = "%a, %d %b %Y %H:%M:%S GMT"


@dataclass(slots=True)
class OffClock(SystemClock):
    """A machine whose wall clock is wrong, and which can have been awake for longer."""

    off_s: float = 0.0
    awake_s: float = 0.0

    def now(self) -> Instant:
        """Return the wrong time."""
        return SystemClock.now(self).plus(self.off_s)

    def monotonic_s(self) -> float:
        """Return how long it has been awake."""
        return SystemClock.monotonic_s(self) + self.awake_s


def again(rig: Rig, provider: GcpProvider, clock: OffClock) -> GcpProvider:
    """Connect anew, as a restore does, on a machine with this clock."""
    project = provider.project
    made = GcpProvider(Project(project.settings, replace(project.connection, clock=clock)))
    rig.opened.append(made)
    return made


def restored(target: Resource, clock: OffClock | None = None) -> Resource:
    """Return the target of the restore of a stop that was just made by a machine with this clock."""
    return replace(target, params={**target.params, "stopped_at_ms": (clock or OffClock()).now().epoch_ms})


@dataclass(slots=True)
class Stopped:
    """An account that was stopped, and a token of before."""

    rig: Rig
    agent: Calls
    provider: GcpProvider
    step: Proposal
    prior: dict[str, Json]

    @classmethod
    def of(cls, rig: Rig) -> Stopped:
        """Stop it."""
        email = rig.account("bot", roles=["roles/viewer"])
        agent = rig.calls_as(rig.token(email))
        provider = rig.provider(service_accounts=[email])
        step = proposal(provider, DISABLE)
        prior, _ = close(provider.actions[DISABLE], step.target)
        return cls(rig, agent, provider, step, prior)

    def undone(self, by: GcpProvider, stop: OffClock | None = None) -> dict[str, Outcome]:
        """Try its restore once."""
        done = undo(by.actions[DISABLE], restored(self.step.target, stop), self.prior)
        return dict(done.objects)

    def works(self) -> bool:
        """Try the token of before the stop."""
        try:
            self.agent.call("projects", "get_project", {"name": f"projects/{self.rig.project}"})
        except Unauthenticated:
            return False
        return True


@pytest.fixture
def stopped(rig: Rig) -> Iterator[Stopped]:
    """Stop an account."""
    made = Stopped.of(rig)
    yield made
    made.agent.close()


@contextmanager
def dated(rig: Rig, said: str) -> Iterator[None]:
    """Let the answers of the sandbox say this of when they were made."""
    rig.control("settings", {"date": said})
    try:
        yield
    finally:
        rig.control("settings", {"date": "now"})


@contextmanager
def no_log(rig: Rig) -> Iterator[None]:
    """Refuse to show the log."""
    rig.control("faults", {"faults": [{"method": "*ListLogEntries", "code": "PERMISSION_DENIED"}]})
    try:
        yield
    finally:
        rig.control("faults", {"faults": []})


def test_a_clock_two_hours_ahead_at_the_restore_revives_no_token(rig: Rig, stopped: Stopped) -> None:
    """By that clock the tokens had ended an hour ago; Google would still take them."""
    ahead = again(rig, stopped.provider, OffClock(off_s=TWO_HOURS_S))
    with pytest.raises(Transient, match="live until"):
        stopped.undone(ahead)
    assert not stopped.works()


def test_a_clock_two_hours_behind_at_the_stop_revives_no_token(rig: Rig, stopped: Stopped) -> None:
    """The journal has a stop of two hours ago; the clock was set right before the restore."""
    right = again(rig, stopped.provider, OffClock())
    with pytest.raises(Transient, match="live until"):
        stopped.undone(right, OffClock(off_s=-TWO_HOURS_S))
    assert not stopped.works()


def test_a_clock_two_hours_behind_waits_no_longer_than_the_tokens_live(rig: Rig, stopped: Stopped) -> None:
    """It says until when, by Google's time; then the account comes back, and no token of before with it."""
    behind = again(rig, stopped.provider, OffClock(off_s=-TWO_HOURS_S))
    with pytest.raises(Transient, match=r"live until .* UTC, .* at Google it is"):
        stopped.undone(behind)
    rig.control("advance", {"seconds": HOUR_S + SEEN_S})
    assert stopped.undone(behind) == {"account": Outcome.RESTORED}
    assert not stopped.works()


def test_a_stop_that_a_clock_ahead_recorded_waits_no_longer_than_the_tokens_live(
    rig: Rig, stopped: Stopped
) -> None:
    """The journal has a stop that is to come in two hours."""
    rig.control("advance", {"seconds": HOUR_S + SEEN_S})
    right = again(rig, stopped.provider, OffClock())
    assert stopped.undone(right, OffClock(off_s=TWO_HOURS_S)) == {"account": Outcome.RESTORED}
    assert not stopped.works()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("", id="missing"),
        pytest.param("in two hours", id="garbled"),
        pytest.param("Xyz, 99 Foo 2026 77:00:00 GMT", id="no such day"),
        pytest.param("Fri, 01 Jan 2100 00:00:00 GMT", id="absurd"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", id="of a server without a clock"),
    ],
)
def test_where_google_does_not_tell_the_time_a_whole_life_is_waited_out(
    rig: Rig, stopped: Stopped, said: str
) -> None:
    """From the restore's first look on, and by a clock that nobody sets."""
    clock = OffClock(off_s=TWO_HOURS_S)
    ahead = again(rig, stopped.provider, clock)
    with dated(rig, said):
        with pytest.raises(Transient, match=r"time it is at Google cannot be read.*whole life of 3600 s"):
            stopped.undone(ahead)
        clock.awake_s = HOUR_S - SEEN_S
        with pytest.raises(Transient, match="whole life"):
            stopped.undone(ahead)
        clock.awake_s = HOUR_S + SEEN_S
        assert stopped.undone(ahead) == {"account": Outcome.RESTORED}


def test_a_time_before_the_stop_is_absurd(rig: Rig, stopped: Stopped) -> None:
    """The log and the answers contradict each other: neither is believed."""
    clock = OffClock()
    before = time.strftime(HTTP, time.gmtime(time.time() - TWO_HOURS_S))
    with dated(rig, before), pytest.raises(Transient, match=r"cut off later.*whole life"):
        stopped.undone(again(rig, stopped.provider, clock))


def test_where_the_log_cannot_be_read_a_whole_life_is_waited_out(rig: Rig, stopped: Stopped) -> None:
    """Whatever the journal has: what was recorded then is of a clock that nobody can check any more."""
    clock = OffClock()
    later = again(rig, stopped.provider, clock)
    rig.control("advance", {"seconds": TWO_HOURS_S})
    with no_log(rig):
        with pytest.raises(Transient, match=r"audit log.*whole life"):
            stopped.undone(later, OffClock(off_s=-TWO_HOURS_S))
        clock.awake_s = HOUR_S + SEEN_S
        assert stopped.undone(later) == {"account": Outcome.RESTORED}


def test_who_enabled_it_meanwhile_for_a_moment_makes_the_wait_begin_anew(rig: Rig, stopped: Stopped) -> None:
    """Tokens were given in that moment, half an hour after the stop."""
    name = f"projects/-/serviceAccounts/{stopped.step.target.params['email']}"
    rig.control("advance", {"seconds": HOUR_S / 2})
    rig.admin.call("iam_admin", "enable_service_account", {"name": name})
    fresh = rig.calls_as(rig.token(str(stopped.step.target.params["email"])))
    rig.admin.call("iam_admin", "disable_service_account", {"name": name})
    rig.control("advance", {"seconds": HOUR_S / 2 + SEEN_S})
    with pytest.raises(Transient, match="live until"):
        stopped.undone(again(rig, stopped.provider, OffClock()))
    with pytest.raises(Unauthenticated):
        fresh.call("projects", "get_project", {"name": f"projects/{rig.project}"})
    fresh.close()


def test_a_log_that_does_not_show_the_stop_yet_is_not_believed(rig: Rig) -> None:
    """It shows that the account was disabled long ago, and enabled after that: the last word is missing."""
    email = rig.account("bot", roles=["roles/viewer"])
    name = f"projects/-/serviceAccounts/{email}"
    rig.admin.call("iam_admin", "disable_service_account", {"name": name})
    rig.admin.call("iam_admin", "enable_service_account", {"name": name})
    rig.control("advance", {"seconds": TWO_HOURS_S})
    provider = rig.provider(service_accounts=[email])
    step = proposal(provider, DISABLE)
    rig.control("iam.google_disables", {"email": email})  # nobody's call: no entry tells of it
    action = again(rig, provider, OffClock()).actions[DISABLE]
    before: dict[str, Json] = {"account": {"email": email, "unique_id": "", "disabled": False}}
    with pytest.raises(Transient, match=r"audit log.*whole life"):
        undo(action, restored(step.target), before)


def test_an_account_that_this_restore_enabled_is_told_so_where_the_answer_was_lost(
    rig: Rig, stopped: Stopped
) -> None:
    """Nobody else did: the log cannot be read either, and all the same it is no drift."""
    clock = OffClock()
    ours = again(rig, stopped.provider, clock)
    lost = {"method": "*/EnableServiceAccount", "code": "DEADLINE_EXCEEDED", "after": True, "times": 1}
    unread = {"method": "*ListLogEntries", "code": "PERMISSION_DENIED"}
    rig.control("faults", {"faults": [lost, unread]})
    with pytest.raises(Transient, match=r"audit log.*whole life"):
        stopped.undone(ours)
    clock.awake_s = HOUR_S + SEEN_S
    with pytest.raises(ProviderError):
        stopped.undone(ours)
    assert stopped.undone(ours) == {"account": Outcome.ALREADY}
    other = again(rig, stopped.provider, OffClock())
    assert stopped.undone(other) == {"account": Outcome.DRIFTED}
    rig.control("faults", {"faults": []})


def test_a_pool_is_not_enabled_by_a_clock_two_hours_ahead(rig: Rig) -> None:
    """Enabled, it would make every token of before work again."""
    where = f"v1/projects/{rig.project}/locations/global"
    asked = {"workloadIdentityPoolId": "agents"}
    rig.admin.rest("iam_rest", "POST", f"{where}/workloadIdentityPools", query=asked, body={})
    end_s = time.monotonic() + 60
    while "workloadIdentityPools/agents" not in str(rig.control("state")["wif"]) and time.monotonic() < end_s:
        time.sleep(0.02)
    provider = rig.provider(workload_pools=["agents"])
    step = proposal(provider, POOL_OFF)
    prior, _ = close(provider.actions[POOL_OFF], step.target)
    ahead = again(rig, provider, OffClock(off_s=TWO_HOURS_S))
    with pytest.raises(Transient, match="live until"):
        undo(ahead.actions[POOL_OFF], restored(step.target), prior)
    rig.control("advance", {"seconds": HOUR_S + SEEN_S})
    done = undo(ahead.actions[POOL_OFF], restored(step.target), prior)
    assert done.objects == {"pool": Outcome.RESTORED}
    assert undo(ahead.actions[POOL_OFF], restored(step.target), prior).objects == {"pool": Outcome.ALREADY}


def test_requests_in_flight_are_not_over_by_a_clock_two_hours_ahead(rig: Rig) -> None:
    """The service was updated just now, by Google's clock; a hidden revision may serve for an hour."""
    provider = rig.provider(settle_factor="1")
    ahead = again(rig, provider, OffClock(off_s=TWO_HOURS_S)).project
    updated = str(OffClock().now())
    wait_s = run_requests.wait_s(ahead, {"update_time": updated}, {"longest_s": 300})
    assert wait_s > run_requests.LONGEST_S - SEEN_S
    with dated(rig, ""):
        old = str(OffClock().now().plus(-TWO_HOURS_S))
        wait_s = run_requests.wait_s(provider.project, {"update_time": old}, {"longest_s": 300})
    assert wait_s == run_requests.LONGEST_S + run_requests.MARGIN_S


def test_answers_of_the_sandbox_say_what_time_it_is_there(rig: Rig) -> None:
    """It is not the time of the machine that it runs on."""
    project = rig.provider().project
    first = project.google_time.now()
    rig.control("advance", {"seconds": TWO_HOURS_S})
    then = project.google_time.now()
    assert first is not None
    assert then is not None
    assert TWO_HOURS_S - 5 < then.seconds_since(first) < TWO_HOURS_S + 600


@pytest.mark.parametrize(
    "said",
    [
        "2026-01-31T03:12:08Z",
        "Sat, 31 Jan 2026 03:12:08 +0200",
        "Saturday, 31-Jan-26 03:12:08 GMT",
        "Sat Jan 31 03:12:08 2026",
        "Sat, 31 Jan 2026 03:12:08 GMT, Sat, 31 Jan 2026 09:12:08 GMT",
        "Sat, 31 Jan 2026 24:12:08 GMT",
    ],
)
def test_a_date_of_another_form_is_none(said: str) -> None:
    """RFC 9110, 5.6.7: a server sends one form alone."""
    assert date_of(said) is None
    assert date_of("Sat, 31 Jan 2026 03:12:08 GMT") == Instant.parse("2026-01-31T03:12:08Z")


def test_the_time_is_asked_anew_each_time() -> None:
    """A later answer may say less: what is told never runs ahead of Google."""
    said = iter(("Sat, 31 Jan 2026 03:12:08 GMT", "Sat, 31 Jan 2026 03:12:05 GMT", ""))
    off_s = (Instant.parse("2026-01-31T03:12:08Z").epoch_ms - SystemClock().now().epoch_ms) / 1000
    told = GoogleTime(lambda: next(said), OffClock(off_s=off_s))
    assert [str(told.now()), str(told.now()), told.now()] == [
        "2026-01-31T03:12:08.000Z",
        "2026-01-31T03:12:05.000Z",
        None,
    ]
