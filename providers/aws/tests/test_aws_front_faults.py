"""Rates and faults on order: each service's own code, and what happened and what did not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from breakglass_aws.sandbox.process import start
from providers.aws.tests.front_clients import once, refused, user
from providers.aws.tests.rig_aws import Rig

THROTTLED = [
    ("iam", "list_users", "Throttling"),
    ("ec2", "describe_vpcs", "RequestLimitExceeded"),
    ("events", "list_rules", "ThrottlingException"),
    ("lambda", "list_functions", "TooManyRequestsException"),
    ("sqs", "list_queues", "RequestThrottled"),
    ("s3", "list_buckets", "SlowDown"),
    ("scheduler", "list_schedules", "ThrottlingException"),
]


@pytest.mark.parametrize(("service", "operation", "code"), THROTTLED)
def test_calls_above_the_rate_are_refused_with_the_services_own_code(
    rig: Rig, service: str, operation: str, code: str
) -> None:
    """The burst goes through, the next does not, other services are not concerned."""
    rig.sandbox.control("settings", {"throttle": {service: {"per_s": 0.01, "burst": 2}}})
    call = getattr(once(rig, service), operation)

    assert [refused(call)[0] for _ in range(3)] == ["", "", code]
    assert refused(once(rig, "sns").list_topics) == ("", 200)
    rig.sandbox.control("settings", {"throttle": {}})
    assert refused(call) == ("", 200)


def test_lookup_events_has_its_two_a_second_always(rig: Rig) -> None:
    """Nobody has to switch it on."""
    lookup = once(rig, "cloudtrail").lookup_events

    assert "ThrottlingException" in [refused(lookup)[0] for _ in range(4)]


def test_a_call_without_effect_is_answered_as_if_it_had_one(rig: Rig) -> None:
    """The answer alone proves nothing."""
    keys = user(rig)
    order = {"service": "iam", "operation": "UpdateAccessKey", "answer": "no-effect", "times": 1}
    rig.sandbox.control("faults", {"faults": [order]})
    iam, change = (
        once(rig, "iam"),
        {"UserName": "bot", "AccessKeyId": keys["AccessKeyId"], "Status": "Inactive"},
    )

    assert refused(iam.update_access_key, **change) == ("", 200)
    assert refused(once(rig, "sqs", keys).list_queues) == ("", 200)
    assert refused(iam.update_access_key, **change) == ("", 200)
    assert refused(once(rig, "sqs", keys).list_queues)[0] == "InvalidClientTokenId"


def test_a_dropped_call_has_had_its_effect(rig: Rig) -> None:
    """The client hears nothing, and it is done."""
    from botocore.exceptions import ConnectionClosedError

    rig.sandbox.control(
        "faults", {"faults": [{"service": "iam", "operation": "CreateUser", "answer": "drop"}]}
    )

    with pytest.raises(ConnectionClosedError):
        once(rig, "iam").create_user(UserName="bot")
    assert "bot" in [one["UserName"] for one in once(rig, "iam").list_users()["Users"]]


def test_a_hanging_call_is_let_go_by_new_orders_and_has_no_effect(rig: Rig) -> None:
    """A client with less patience gives up, and the sandbox lives on."""
    from botocore.exceptions import ReadTimeoutError

    rig.sandbox.control(
        "faults", {"faults": [{"service": "iam", "operation": "CreateUser", "answer": "hang"}]}
    )

    with pytest.raises(ReadTimeoutError):
        once(rig, "iam", read_timeout=0.2).create_user(UserName="bot")
    rig.sandbox.control("faults", {"faults": []})
    assert "bot" not in [one["UserName"] for one in once(rig, "iam").list_users()["Users"]]


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        ("expired", "ExpiredToken", 403),
        ("throttle", "Throttling", 400),
        ("error-500", "InternalFailure", 500),
    ],
)
def test_a_refusal_on_order_comes_as_often_as_ordered_and_to_whom(
    rig: Rig, answer: str, code: str, status: int
) -> None:
    """Counted, and for one key alone where the order says so."""
    keys = user(rig)
    order = {"service": "iam", "operation": "ListUsers", "answer": answer, "times": 2}
    rig.sandbox.control("faults", {"faults": [{**order, "access_key": keys["AccessKeyId"]}]})

    assert refused(once(rig, "iam").list_users) == ("", 200)
    assert [refused(once(rig, "iam", keys).list_users) for _ in range(3)] == [(code, status)] * 2 + [
        ("", 200)
    ]


def test_a_reset_forgets_users_sessions_faults_rates_and_the_record_at_once(rig: Rig) -> None:
    """No visibility delay holds for it."""
    keys = user(rig)
    session = once(rig, "sts", keys).get_session_token()["Credentials"]
    rig.sandbox.control(
        "settings", {"throttle": {"sns": {"per_s": 0.01, "burst": 1}}, "visibility_delay_s": 60}
    )
    rig.sandbox.control("faults", {"faults": [{"answer": "error-500"}]})

    rig.sandbox.control("reset")

    assert rig.sandbox.control("calls") == []
    assert [refused(once(rig, "sns").list_topics)[0] for _ in range(3)] == ["", "", ""]
    for gone in (keys, session):
        assert refused(once(rig, "sqs", gone).list_queues)[0] == "InvalidClientTokenId"
    assert [one["PolicyName"] for one in once(rig, "iam").list_policies()["Policies"]].count(
        "AWSDenyAll"
    ) == 1


def test_orders_that_make_no_sense_are_refused(rig: Rig) -> None:
    """A typing error in a test must not make it pass."""
    from breakglass.errors import ProviderError

    with pytest.raises(ProviderError, match="no fault"):
        rig.sandbox.control("faults", {"faults": [{"answer": "no-efect"}]})
    with pytest.raises(ProviderError, match="no such settings"):
        rig.sandbox.control("settings", {"visibility": 3})
    with pytest.raises(ProviderError, match="no control verb"):
        rig.sandbox.control("resett")


def test_the_sandbox_ends_when_its_input_ends() -> None:
    """Whoever started it and died takes it along."""
    running = start()
    process = running.program.process
    assert process.stdin is not None

    process.stdin.close()

    assert process.wait(5) == 0
    running.close()


def test_the_program_says_how_to_point_an_sdk_at_it_and_ends_quietly_on_a_signal() -> None:
    """The first line is the endpoint, for whoever starts it."""
    command = [sys.executable, "-I", "-m", "breakglass_aws.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline().strip()
        process.terminate()
        rest, said = process.stdout.read(), process.stderr.read()

    assert first.startswith("http://127.0.0.1:")
    assert f"AWS_ENDPOINT_URL={first}" in rest
    assert (process.returncode, said) == (0, "")
