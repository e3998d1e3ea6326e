"""The operators on single values (IAM User Guide "IAM JSON policy elements: Condition operators")."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial

from breakglass_aws.sandbox.evaluator.document import PolicyError
from breakglass_aws.sandbox.evaluator.variables import Pattern, literal
from breakglass_aws.sandbox.evaluator.wildcards import matches, matches_arn

Test = Callable[[Pattern, str], bool]
"""(the policy's value, the request's value) -> do they match?"""


@dataclass(frozen=True, slots=True)
class Operator:
    """A test of one value, and whether the operator is its negation."""

    test: Test
    negated: bool = False


def _equals(wanted: Pattern, given: str) -> bool:
    return literal(wanted) == given


def _equals_fold(wanted: Pattern, given: str) -> bool:
    return literal(wanted).casefold() == given.casefold()


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise PolicyError(f"{text!r} is not a number") from error


def _moment(text: str) -> datetime:
    """Read a date: ISO 8601 or seconds of the epoch."""
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise PolicyError(f"{text!r} is not a date") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _compare(how: Callable[[object, object], bool], wanted: Pattern, given: str) -> bool:
    return how(_number(given), _number(literal(wanted)))


def _compare_dates(how: Callable[[object, object], bool], wanted: Pattern, given: str) -> bool:
    return how(_moment(given), _moment(literal(wanted)))


def _binary(wanted: Pattern, given: str) -> bool:
    try:
        return base64.b64decode(literal(wanted), validate=True) == base64.b64decode(given, validate=True)
    except binascii.Error as error:
        raise PolicyError("BinaryEquals compares base64 and nothing else") from error


def _address(wanted: Pattern, given: str) -> bool:
    try:
        network = ipaddress.ip_network(literal(wanted), strict=False)
    except ValueError as error:
        raise PolicyError(f"{literal(wanted)!r} is not a range of addresses") from error
    return ipaddress.ip_address(given) in network


def _ordered(prefix: str, compare: Callable[..., bool]) -> dict[str, Operator]:
    return {
        f"{prefix}Equals": Operator(partial(compare, operator.eq)),
        f"{prefix}NotEquals": Operator(partial(compare, operator.eq), negated=True),
        f"{prefix}LessThan": Operator(partial(compare, operator.lt)),
        f"{prefix}LessThanEquals": Operator(partial(compare, operator.le)),
        f"{prefix}GreaterThan": Operator(partial(compare, operator.gt)),
        f"{prefix}GreaterThanEquals": Operator(partial(compare, operator.ge)),
    }


OPERATORS: dict[str, Operator] = {
    "StringEquals": Operator(_equals),
    "StringNotEquals": Operator(_equals, negated=True),
    "StringEqualsIgnoreCase": Operator(_equals_fold),
    "StringNotEqualsIgnoreCase": Operator(_equals_fold, negated=True),
    "StringLike": Operator(matches),
    "StringNotLike": Operator(matches, negated=True),
    **_ordered("Numeric", _compare),
    **_ordered("Date", _compare_dates),
    "Bool": Operator(_equals_fold),
    "BinaryEquals": Operator(_binary),
    "IpAddress": Operator(_address),
    "NotIpAddress": Operator(_address, negated=True),
    # "ArnEquals and ArnLike behave identically."
    "ArnEquals": Operator(matches_arn),
    "ArnLike": Operator(matches_arn),
    "ArnNotEquals": Operator(matches_arn, negated=True),
    "ArnNotLike": Operator(matches_arn, negated=True),
}
