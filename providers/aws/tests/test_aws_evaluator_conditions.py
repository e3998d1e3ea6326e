"""Condition operators, row by row (IAM User Guide "IAM JSON policy elements: Condition operators")."""

from __future__ import annotations

import pytest

from breakglass_aws.sandbox.evaluator import PolicyError, Principal, Request
from breakglass_aws.sandbox.evaluator.conditions import holds
from breakglass_aws.sandbox.evaluator.document import Condition
from breakglass_aws.sandbox.evaluator.request import context

WHO = Principal("user", "arn:aws:iam::123456789012:user/ada", "123456789012", userid="AIDA1")
ROLE = "arn:aws:iam::123456789012:role/team/worker"
NONE: tuple[str, ...] = ()


def request(**keys: str | tuple[str, ...]) -> Request:
    """Return a request with these values of the key k (or others)."""
    return Request(WHO, "sqs:SendMessage", "*", WHO.account, context(keys))


def met(operator: str, policy: str | tuple[str, ...], given: str | tuple[str, ...] | None) -> bool:
    """Say whether the condition is met for a key k with the given values; None: the key is absent."""
    values = (policy,) if isinstance(policy, str) else policy
    asked = request() if given is None else request(k=given)
    return holds(Condition(operator, "K", values), asked, variables=True)


SINGLE = [
    # "String condition operators"
    ("StringEquals", "red", "red", True),
    ("StringEquals", "red", "Red", False),
    ("StringEquals", "re*", "red", False),
    ("StringEquals", ("red", "blue"), "blue", True),
    ("StringNotEquals", "red", "blue", True),
    ("StringNotEquals", ("red", "blue"), "blue", False),
    ("StringEqualsIgnoreCase", "RED", "red", True),
    ("StringNotEqualsIgnoreCase", "RED", "red", False),
    ("StringLike", "r?d*", "redder", True),
    ("StringLike", "r?d", "rd", False),
    ("StringNotLike", "r*", "red", False),
    ("StringNotLike", "r*", "blue", True),
    # "Numeric condition operators"
    ("NumericEquals", "10", "10.0", True),
    ("NumericNotEquals", "10", "11", True),
    ("NumericLessThan", "10", "9", True),
    ("NumericLessThan", "10", "10", False),
    ("NumericLessThanEquals", "10", "10", True),
    ("NumericGreaterThan", "9", "10", True),
    ("NumericGreaterThanEquals", "10", "9", False),
    # "Date condition operators": ISO 8601 or UNIX epoch
    ("DateEquals", "2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z", True),
    ("DateNotEquals", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", True),
    ("DateLessThan", "2026-11-20T00:00:00Z", "2026-11-19T23:59:59Z", True),
    ("DateLessThan", "2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z", False),
    ("DateLessThanEquals", "2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z", True),
    ("DateGreaterThan", "2026-11-20T01:00:00+01:00", "2026-11-20T00:00:01Z", True),
    ("DateGreaterThanEquals", "1763596800", "2025-11-20T00:00:00Z", True),
    # "Boolean", "Binary"
    ("Bool", "true", "true", True),
    ("Bool", "true", "false", False),
    ("Bool", "True", "true", True),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", True),
    ("BinaryEquals", "QmluYXJ5", "b3RoZXI=", False),
    # "IP address condition operators"
    ("IpAddress", "203.0.113.0/24", "203.0.113.9", True),
    ("IpAddress", "203.0.113.7", "203.0.113.9", False),
    ("IpAddress", "2001:db8::/32", "2001:db8::1", True),
    ("IpAddress", "203.0.113.0/24", "2001:db8::1", False),
    ("NotIpAddress", ("203.0.113.0/24", "198.51.100.0/24"), "198.51.100.1", False),
    ("NotIpAddress", "203.0.113.0/24", "192.0.2.1", True),
    # "ARN condition operators": each of the six components is checked separately
    ("ArnEquals", "arn:aws:iam::123456789012:role/*", ROLE, True),
    ("ArnLike", "arn:aws:iam::*:role/team/worke?", ROLE, True),
    ("ArnLike", "arn:aws:*:role/team/worker", ROLE, False),
    ("ArnNotEquals", "arn:aws:iam::123456789012:role/*", ROLE, False),
    ("ArnNotLike", "arn:aws:iam::210987654321:role/*", ROLE, True),
    # operators are named whatever the case; keys too ("Condition key names are not case-sensitive")
    ("stringequals", "red", "red", True),
]
ABSENT = [
    # "If the key that you specify in a policy condition is not present in the request context, the values do
    # not match and the condition is false"; of negated operators true
    *((name, "x", False) for name in ("StringEquals", "StringLike", "StringEqualsIgnoreCase", "Bool")),
    ("NumericLessThan", "1", False),
    ("DateLessThan", "2026-11-20T00:00:00Z", False),
    ("IpAddress", "203.0.113.0/24", False),
    ("ArnLike", "arn:aws:*", False),
    ("BinaryEquals", "QQ==", False),
    *((name, "x", True) for name in ("StringNotEquals", "StringNotLike", "StringNotEqualsIgnoreCase")),
    ("NumericNotEquals", "1", True),
    ("DateNotEquals", "2026-11-20T00:00:00Z", True),
    ("NotIpAddress", "203.0.113.0/24", True),
    ("ArnNotLike", "arn:aws:*", True),
    # "...IfExists": "If the key is not present, evaluate the condition element as true"
    ("StringEqualsIfExists", "x", True),
    ("BoolIfExists", "false", True),
    ("NumericLessThanIfExists", "1", True),
    ("StringNotEqualsIfExists", "x", True),
    # "Condition operator to check existence of condition keys"
    ("Null", "true", True),
    ("Null", "false", False),
    # "Set operators": ForAllValues "also returns true if there are no context keys in the request", the other
    # false
    ("ForAllValues:StringEquals", "x", True),
    ("ForAnyValue:StringEquals", "x", False),
    ("ForAnyValue:StringNotEquals", "x", False),
    ("ForAnyValue:StringLikeIfExists", "x", True),
]
SETS = [
    ("ForAllValues:StringEquals", ("a", "b"), ("a", "b"), True),
    ("ForAllValues:StringEquals", ("a", "b"), ("a", "c"), False),
    ("ForAllValues:StringLike", "a*", ("ab", "ac"), True),
    ("ForAnyValue:StringEquals", ("a", "b"), ("c", "b"), True),
    ("ForAnyValue:StringEquals", ("a", "b"), ("c", "d"), False),
    ("ForAllValues:StringNotEquals", ("a", "b"), ("c", "d"), True),
    ("ForAllValues:StringNotEquals", ("a", "b"), ("c", "b"), False),
    ("ForAnyValue:StringNotEquals", ("a", "b"), ("a", "c"), True),
    ("ForAnyValue:StringNotEquals", ("a", "b"), ("a", "b"), False),
]


@pytest.mark.parametrize(("operator", "policy", "given", "expected"), [*SINGLE, *SETS])
def test_an_operator_compares_as_documented(
    operator: str, policy: str | tuple[str, ...], given: str | tuple[str, ...], *, expected: bool
) -> None:
    """Each row is one sentence of the table of its operator."""
    assert expected is met(operator, policy, given)


@pytest.mark.parametrize(("operator", "policy", "expected"), ABSENT)
def test_a_key_that_the_request_lacks_is_judged_as_documented(
    operator: str, policy: str, *, expected: bool
) -> None:
    """Absence is no value: it fails what asks for one, and passes what forbids one."""
    assert expected is met(operator, policy, None)


@pytest.mark.parametrize("value", ["false", "true"])
def test_null_asks_whether_a_key_is_there(value: str) -> None:
    """With the key present only "false" holds."""
    assert (value == "false") is met("Null", value, "x")


@pytest.mark.parametrize(
    ("operator", "policy", "given"),
    [
        ("StringMatches", "x", "x"),
        ("NullIfExists", "true", "x"),
        ("ForSomeValues:StringEquals", "x", "x"),
        ("NumericEquals", "many", "1"),
        ("DateLessThan", "soon", "2026-11-20T00:00:00Z"),
        ("IpAddress", "home", "203.0.113.1"),
        ("Null", "perhaps", "x"),
        ("BinaryEquals", "?", "QQ=="),
    ],
)
def test_what_nobody_documented_is_refused_loudly(operator: str, policy: str, given: str) -> None:
    """An unknown operator or a value of the wrong kind is neither true nor false."""
    with pytest.raises(PolicyError):
        met(operator, policy, given)


@pytest.mark.parametrize(
    ("policy", "keys", "expected"),
    [
        # IAM policy elements, "Variables and tags"
        ("${aws:username}", {"aws:username": "ada", "k": "ada"}, True),
        ("home/${aws:username}/*", {"aws:username": "ada", "k": "home/ada/x"}, True),
        ("home/${aws:username}/*", {"aws:username": "bob", "k": "home/ada/x"}, False),
        # a value's own wildcard is no wildcard
        ("home/${aws:username}/*", {"aws:username": "*", "k": "home/ada/x"}, False),
        # default values
        ("${aws:PrincipalTag/team, 'nobody'}", {"k": "nobody"}, True),
        ("${aws:PrincipalTag/team, 'nobody'}", {"aws:principaltag/team": "red", "k": "red"}, True),
        # without a value: "effectively null. There is no equal or like value"
        ("${aws:username}", {"k": "${aws:username}"}, False),
        # special characters
        ("a${*}", {"k": "a*"}, True),
        ("a${*}", {"k": "ab"}, False),
        ("${$}x", {"k": "$x"}, True),
    ],
)
def test_policy_variables_take_their_value_from_the_request(
    policy: str, keys: dict[str, str], *, expected: bool
) -> None:
    """A variable is replaced by exactly one literal value, or matches nothing."""
    condition = Condition("StringLike", "k", (policy,))

    assert expected is holds(condition, request(**keys), variables=True)


def test_variables_of_an_old_policy_version_are_plain_text() -> None:
    """Version 2008-10-17 knows no variables."""
    condition = Condition("StringEquals", "k", ("${aws:username}",))

    assert holds(condition, request(k="${aws:username}", **{"aws:username": "ada"}), variables=False)
