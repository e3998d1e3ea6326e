"""Calls end in time and in words: pages, operations, garbage, refusals of every age."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import Denied, ProviderError, Throttled, Transient
from breakglass_gcp.calls import Calls
from breakglass_gcp.pace import Pace
from breakglass_gcp.refusals import SERVICE_DISABLED, Conflict, code_of, reason_of
from breakglass_gcp.settings import GcpSettings
from breakglass_gcp.wire import Wire
from providers.gcp.tests.rig_gcp import LOCATION, Rig
from providers.gcp.tests.said_gcp import saying

RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
READ = ("instances", "get", {"project": "p", "zone": "z", "instance": "i"})


def calls_to(url: str) -> Calls:
    """Return calls of anybody to a server."""
    settings = GcpSettings.of({"endpoints": {"grpc": url, "rest": url}})
    clock = SystemClock()
    return Calls(Wire(settings, lambda: "token", drill=True), clock, Pace(clock, {}))


def error(code: int, **more: object) -> bytes:
    """Return an error as Google's REST interfaces give it."""
    return json.dumps({"error": {"code": code, "message": "no", **more}}).encode()


@pytest.fixture
def faults(rig: Rig) -> Iterator[Rig]:
    """Give a project whose calls go wrong on order, and no longer than the test."""
    yield rig
    rig.control("faults", {"faults": []})


@pytest.fixture
def accounts(faults: Rig) -> Rig:
    """Give a project with six accounts, the executor's among them."""
    for n in range(5):
        faults.account(f"robot-{n}")
    return faults


LIST, LIST_METHOD = "list_service_accounts", "ListServiceAccounts"


def test_a_page_that_failed_once_is_not_taken_for_the_end(accounts: Rig) -> None:
    """Google's own iterator is at its end after a failure: the rest of a listing would be lost in silence."""
    asked = {"name": f"projects/{accounts.project}", "page_size": 2}
    pages = accounts.admin.pages("iam_admin", LIST, asked)
    first = next(pages)
    order = {"method": "*ListServiceAccounts", "code": "UNAVAILABLE", "times": 1}
    accounts.control("faults", {"faults": [order]})

    rest = list(pages)

    emails = {account.email for page in (first, *rest) for account in page.accounts}
    assert len(emails) == 6
    codes = [one["code"] for one in accounts.control("calls") if LIST_METHOD in one["method"]]
    assert codes == ["OK", "UNAVAILABLE", "OK", "OK"]


def test_a_page_that_goes_on_failing_fails_the_listing(accounts: Rig) -> None:
    """What came before it is not the whole."""
    asked = {"name": f"projects/{accounts.project}", "page_size": 2}
    pages = accounts.admin.pages("iam_admin", LIST, asked)
    next(pages)
    accounts.control("faults", {"faults": [{"method": "*ListServiceAccounts", "code": "UNAVAILABLE"}]})

    with pytest.raises(Transient):
        list(pages)


def test_a_listing_that_goes_round_in_circles_ends() -> None:
    """Over REST, as a lying server would do it."""
    with (
        saying(json.dumps({"items": [1], "nextPageToken": "again"}).encode()) as url,
        pytest.raises(ProviderError, match="does not end"),
    ):
        calls_to(url).rest_pages("orgpolicy", "v1/x", "items")


@pytest.mark.parametrize("answer", [b"<html>", b"\xff", b'{"status": {"a": 1}}', b"{" * 99999])
def test_an_answer_that_cannot_be_read_is_told_in_words(answer: bytes) -> None:
    """A 200 with garbage to one of Google's own clients: neither success nor a crash."""
    with saying(answer) as url, pytest.raises(ProviderError):
        calls_to(url).call(*READ)


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'"x"', b"\xff", b"[" * 99999])
def test_an_answer_that_is_no_object_is_told_in_words(answer: bytes) -> None:
    """The same, where we read it ourselves."""
    with saying(answer) as url, pytest.raises(ProviderError):
        calls_to(url).rest("orgpolicy", "GET", "v1/x")


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"error": "invalid_grant"}', b'{"error": 7}', b""])
def test_a_refusal_that_is_garbage_is_told_in_words(answer: bytes) -> None:
    """Whatever stands between us and Google may answer so."""
    with saying(answer, status=502) as url:
        for ask in (
            lambda: calls_to(url).call(*READ),
            lambda: calls_to(url).rest("orgpolicy", "GET", "v1/x"),
        ):
            with pytest.raises(ProviderError):
                ask()


def test_a_redirect_is_not_followed() -> None:
    """A token is shown to the host that was meant and to no other."""
    with saying(b"", status=307) as url, pytest.raises(ProviderError):
        calls_to(url).rest("orgpolicy", "GET", "v1/x")


@pytest.mark.parametrize(
    ("body", "delay_s"),
    [
        (error(429), 1.0),
        (
            error(429, details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}]),
            7.5,
        ),
        (
            error(429, details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "soon"}]),
            1.0,
        ),
        (
            error(
                429, details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "9999s"}]
            ),
            60.0,
        ),
    ],
)
def test_a_quota_tells_how_long_to_wait(body: bytes, delay_s: float) -> None:
    """RetryInfo, as far as it makes sense: a quota is of one minute."""
    with saying(body, status=429) as url, pytest.raises(Throttled) as caught:
        calls_to(url).rest("orgpolicy", "GET", "v1/x")

    assert delay_s == caught.value.retry_after_s


@pytest.mark.parametrize(
    ("reason", "kind", "told"),
    [
        ("rateLimitExceeded", Throttled, "RATE_LIMIT_EXCEEDED"),
        ("accessNotConfigured", Denied, SERVICE_DISABLED),
        ("forbidden", Denied, "forbidden"),
    ],
)
def test_older_interfaces_say_the_same_in_other_words(
    reason: str, kind: type[ProviderError], told: str
) -> None:
    """Compute Engine refuses a rate with 403."""
    with saying(error(403, errors=[{"reason": reason, "domain": "usageLimits"}]), status=403) as url:
        with pytest.raises(kind) as caught:
            calls_to(url).call(*READ)

        assert reason_of(caught.value) == told


def test_a_lost_race_is_a_conflict_over_either_transport(rig: Rig) -> None:
    """ABORTED over gRPC, 412 over REST."""
    resource = f"projects/{rig.project}"
    policy = rig.admin.call("projects", "get_iam_policy", {"resource": resource})
    policy.etag = b"stale"
    with pytest.raises(Conflict) as caught:
        rig.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})
    with saying(error(412), status=412) as url, pytest.raises(Conflict):
        calls_to(url).rest("storage", "POST", "storage/v1/b/x")

    assert code_of(caught.value) == "ABORTED"


def test_an_operation_that_never_ends_is_waited_for_so_long_and_no_longer(faults: Rig) -> None:
    """False: it goes on, and is read back later."""
    faults.control("faults", {"faults": [{"method": "*CreateService", "operation": "never"}]})
    template = {"containers": [{"image": "x"}]}
    parent = f"projects/{faults.project}/locations/{LOCATION}"
    asked = {"parent": parent, "service_id": "slow", "service": {"template": template}}
    began = time.monotonic()

    done = faults.admin.operate("run_services", "create_service", asked, wait_s=1.0)

    assert not done
    assert time.monotonic() - began < 30


def test_an_operation_that_cannot_be_looked_at_is_not_done(faults: Rig) -> None:
    """Google's own future would try for ten minutes."""
    orders = [
        {"method": "*GetOperation", "code": "UNAVAILABLE"},
        {"method": "*CreateService", "operation": "3"},
    ]
    faults.control("faults", {"faults": orders})
    template = {"containers": [{"image": "x"}]}
    parent = f"projects/{faults.project}/locations/{LOCATION}"
    asked = {"parent": parent, "service_id": "slow", "service": {"template": template}}
    began = time.monotonic()

    assert not faults.admin.operate("run_services", "create_service", asked, wait_s=1.0)
    assert time.monotonic() - began < 30


def test_an_operation_of_compute_engine_is_waited_for(rig: Rig) -> None:
    """It lies in a zone, a region, or nowhere: asked where it lies."""
    rule = {"name": "deny-all", "direction": "EGRESS", "denied": [{"I_p_protocol": "all"}]}

    assert rig.admin.operate("firewalls", "insert", {"project": rig.project, "firewall_resource": rule})
    assert rig.admin.call("firewalls", "get", {"project": rig.project, "firewall": "deny-all"}).name
