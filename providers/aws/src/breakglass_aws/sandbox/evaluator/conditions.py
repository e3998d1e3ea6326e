"""Evaluates the Condition block: all keys of all operators must hold; values of one key are alternatives.

Source: IAM User Guide "IAM JSON policy elements: Condition operators", "Set operators for multivalued context
keys" and "Conditions with multiple context keys or values" (for negated operators the values are a NOR).
"""

from __future__ import annotations

from breakglass_aws.sandbox.evaluator.document import Condition, PolicyError
from breakglass_aws.sandbox.evaluator.operators import OPERATORS, Operator
from breakglass_aws.sandbox.evaluator.request import Request
from breakglass_aws.sandbox.evaluator.variables import Pattern, expand

ALL, ANY, IF_EXISTS, NULL = "forallvalues:", "foranyvalue:", "ifexists", "null"
_BY_NAME = {name.lower(): one for name, one in OPERATORS.items()}


def holds(condition: Condition, request: Request, *, variables: bool) -> bool:
    """Say whether a condition is met. Raises PolicyError: the operator or a value is unknown."""
    quantifier, name = _split(condition.operator)
    if name == NULL:
        return _null(condition, request)
    optional = name.endswith(IF_EXISTS)
    operator = _BY_NAME.get(name.removesuffix(IF_EXISTS))
    if operator is None:
        raise PolicyError(f"unknown condition operator {condition.operator!r}")
    given = request.values(condition.key)
    wanted = [expand(value, request, variables=variables) for value in condition.values]
    if not given:
        return _absent(quantifier, operator, optional=optional)
    results = [_one(operator, wanted, value) for value in given]
    if quantifier == ANY:
        return any(results)
    # Without a set operator a key has one value; of several, all must satisfy a negated operator, one a
    # plain one
    return all(results) if quantifier == ALL or operator.negated else any(results)


def _split(operator: str) -> tuple[str, str]:
    lowered = operator.lower()
    for quantifier in (ALL, ANY):
        if lowered.startswith(quantifier):
            return quantifier, lowered.removeprefix(quantifier)
    return "", lowered


def _absent(quantifier: str, operator: Operator, *, optional: bool) -> bool:
    """Answer for a key that the request does not have.

    ForAllValues "returns true if there are no context keys in the request", ForAnyValue false; ...IfExists
    true; a negated operator is true ("if the key is not present, the condition is met"), any other false.
    """
    if optional or quantifier == ALL:
        return True
    return operator.negated and quantifier != ANY


def _one(operator: Operator, wanted: list[Pattern | None], value: str) -> bool:
    found = any(operator.test(one, value) for one in wanted if one is not None)
    return found != operator.negated


def _null(condition: Condition, request: Request) -> bool:
    """Say whether the key is absent (``true``), or there and not empty (``false``)."""
    absent = not request.values(condition.key)
    for value in condition.values:
        if value.lower() not in ("true", "false"):
            raise PolicyError(f"Null takes true or false, not {value!r}")
    return any((value.lower() == "true") == absent for value in condition.values)
