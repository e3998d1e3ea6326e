"""Says whether a statement speaks of a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from breakglass_aws.sandbox.evaluator.conditions import holds
from breakglass_aws.sandbox.evaluator.document import Policy, Statement
from breakglass_aws.sandbox.evaluator.principals import Named, named
from breakglass_aws.sandbox.evaluator.request import Request
from breakglass_aws.sandbox.evaluator.variables import expand
from breakglass_aws.sandbox.evaluator.wildcards import matches, matches_arn, plain

Hit = tuple[Policy, Statement, Named]


def applies(statement: Statement, request: Request) -> bool:
    """Say whether action, resource and conditions match."""
    if not _action(statement, request.action) or not _resource(statement, request):
        return False
    return all(holds(one, request, variables=statement.variables) for one in statement.conditions)


def hits(policies: Iterable[Policy], request: Request, effect: str) -> Iterator[Hit]:
    """Give the statements of this effect that speak of the request, of policies that have no principal."""
    for policy in policies:
        for one in policy.statements:
            if one.effect == effect and applies(one, request):
                yield policy, one, Named.ITSELF


def resource_hits(policies: Iterable[Policy], request: Request, effect: str) -> Iterator[Hit]:
    """Give the statements that speak of the request, of policies that stand at a resource."""
    for policy in policies:
        for one in policy.statements:
            if one.effect != effect:
                continue
            how = named(one, request.principal)
            if how is not Named.NOT and applies(one, request):
                yield policy, one, how


def _action(statement: Statement, action: str) -> bool:
    listed = statement.actions if statement.actions is not None else statement.not_actions or ()
    found = any(matches(plain(one), action, fold=True) for one in listed)
    return found == (statement.actions is not None)


def _resource(statement: Statement, request: Request) -> bool:
    listed = statement.resources if statement.resources is not None else statement.not_resources
    if listed is None:  # a role's trust policy stands at its resource and names none
        return True
    patterns = (expand(one, request, variables=statement.variables) for one in listed)
    found = any(matches_arn(one, request.resource) for one in patterns if one is not None)
    return found == (statement.resources is not None)
