"""The executor's own access is missing, wrong, ends in the middle, or the region does not answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from breakglass.errors import Unreachable
from breakglass.execute.context import StepEvent
from breakglass.model.action import Verdict
from breakglass_aws.sandbox.process import ACCOUNT
from tests.aws.cloud_fleet import EXECUTOR, Cloud, cloud_fleet, said, secret
from tests.hosts.fleet import give

CONNECTING_S = 30.0
DENY = "aws.iam.deny_user"
KEYS = "aws.iam.deactivate_access_keys"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (None, "no credential spare"),
        (b"[default]\naws_access_key_id=AKIA", "is not JSON with access_key_id"),
        (b'{"access_key_id": "AKIAUNKNOWNUNKNOWN00", "secret_access_key": "guess"}', "refused"),
    ],
    ids=["none", "no JSON", "unknown keys"],
)
def test_a_reach_without_good_credentials_is_not_planned_and_the_others_are_stopped(
    cloud: Cloud, data: bytes | None, word: str
) -> None:
    """It is named before anybody signs; the other reach is contained, and the whole is unknown."""
    cloud.user()
    blind = cloud.reach(users=["rogue"], credential="spare", region="eu-central-1")
    with cloud_fleet(cloud, cloud.reach(users=["rogue"]), blind) as ours:
        if data is not None:
            give(ours, "spare", data)
        named: list[str] = []
        plan, done = ours.stop(planned=lambda plan: named.extend(one.reason for one in plan.not_planned))

    assert 1 == len(named)
    assert word in named[0]
    assert 1 == len(plan.reaches)
    assert (Verdict.UNKNOWN, 4) == (done.report.verdict, done.report.verdict.exit_code), said(done.report)
    assert ["not_planned"] == [one.kind for one in done.report.open]
    assert {Verdict.CONTAINED} == {step.verdict for step in done.report.steps}, said(done.report)
    assert 1 == len(cloud.made("AttachUserPolicy"))


def test_with_an_ended_session_alone_nothing_is_planned(cloud: Cloud) -> None:
    """There is nothing to sign, nothing is changed, and the exit code says that nothing could be reached."""
    cloud.user()
    before = cloud.state()
    cloud.faults({"answer": "expired", "access_key": cloud.executor["AccessKeyId"]})
    with cloud_fleet(cloud, cloud.reach(users=["rogue"])) as ours, pytest.raises(Unreachable) as caught:
        ours.stop()

    assert 69 == caught.value.exit_code
    assert "expired" in caught.value.what
    assert before == cloud.state()


def test_credentials_of_another_account_are_refused_before_anything_is_planned(cloud: Cloud) -> None:
    """The caller's account must be the one that the inventory names."""
    cloud.user()
    before = cloud.state()
    wrong = cloud.reach(users=["rogue"], account="210987654321")
    with cloud_fleet(cloud, wrong) as ours, pytest.raises(Unreachable) as caught:
        ours.stop()

    assert 69 == caught.value.exit_code
    assert f"belong to account {ACCOUNT}, not to 210987654321" in caught.value.what
    assert before == cloud.state()
    executor = cloud.executor["AccessKeyId"]
    assert {"GetCallerIdentity"} == {
        one["operation"] for one in cloud.calls() if one["access_key"] == executor
    }


@pytest.fixture(params=["refuses", "is silent"])
def dead_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Return a port where nobody listens, or where somebody accepts and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
        if request.param == "is silent":
            listener.listen(64)
        yield port


def test_a_region_that_does_not_answer_is_not_planned_in_time(cloud: Cloud, dead_port: int) -> None:
    """It is given up within its deadline; the region that answers is stopped."""
    cloud.user()
    dead = cloud.reach(users=["rogue"], region="eu-north-1", endpoint=f"http://127.0.0.1:{dead_port}")
    planned_s: list[float] = []
    with cloud_fleet(cloud, dead, cloud.reach(users=["rogue"])) as ours:
        began_s = time.monotonic()
        plan, done = ours.stop(planned=lambda _: planned_s.append(time.monotonic() - began_s))

    assert CONNECTING_S > planned_s[0]
    assert 1 == len(plan.not_planned)
    assert "eu-north-1" in plan.not_planned[0].reason
    assert (Verdict.UNKNOWN, ["not_planned"]) == (
        done.report.verdict,
        [one.kind for one in done.report.open],
    ), said(done.report)
    assert {Verdict.CONTAINED} == {step.verdict for step in done.report.steps}, said(done.report)


def test_credentials_that_end_in_the_middle_are_asked_for_and_the_stop_goes_on_with_new_ones(
    cloud: Cloud,
) -> None:
    """Nothing is lost: the steps wait, and end contained once somebody renewed the keys."""
    cloud.user()
    before = cloud.state_of_rogue()
    asked: list[str] = []
    fresh = cloud.new_key(EXECUTOR)
    renew = threading.Event()

    def saw(event: StepEvent) -> None:
        if "expired" in event.detail:
            asked.append(event.detail)
            renew.set()

    with cloud_fleet(cloud, cloud.reach(users=["rogue"])) as ours:

        def later() -> None:
            renew.wait(20)
            time.sleep(1)
            cloud.executor = fresh
            give(ours, EXECUTOR, secret(fresh))

        helper = threading.Thread(target=later)
        helper.start()
        _, done = ours.stop(observer=saw, planned=lambda _: _expire(cloud))
        helper.join()
        cloud.faults()

        assert asked
        whole = [one for one in asked if "the executor's credentials have expired: renew them" in one]
        assert [asked[0]] == whole, "the remedy is said once, then only that it waits"
        assert (Verdict.CONTAINED, 0) == (done.report.verdict, done.report.verdict.exit_code), said(
            done.report
        )
        assert 1 == len(cloud.made("AttachUserPolicy", by=fresh))
        _, back = ours.restore()

    assert Verdict.CONTAINED is back.verdict, said(back)
    assert before == cloud.state_of_rogue()


def test_credentials_that_nobody_renews_leave_the_stop_open_within_its_time(cloud: Cloud) -> None:
    """Nothing was read, so nothing is claimed."""
    cloud.user()
    with cloud_fleet(cloud, cloud.reach(users=["rogue"]), step_s=5) as ours:
        began_s = time.monotonic()
        _, done = ours.stop(planned=lambda _: _expire(cloud))
        passed_s = time.monotonic() - began_s

    assert (Verdict.UNKNOWN, 4) == (done.report.verdict, done.report.verdict.exit_code), said(done.report)
    assert Verdict.CONTAINED not in {
        step.verdict for step in done.report.steps if step.action in (DENY, KEYS)
    }
    assert [] == cloud.made("AttachUserPolicy")
    assert 75 > passed_s


def _expire(cloud: Cloud) -> Any:  # noqa: ANN401 - nothing
    """From now on the executor's first key has ended."""
    cloud.faults({"answer": "expired", "access_key": cloud.executor["AccessKeyId"]})
