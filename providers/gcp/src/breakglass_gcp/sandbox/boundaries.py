"""Principal access boundary policies as the evaluator sees them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.deny import principals

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Caller
    from breakglass_gcp.sandbox.world import World

_SUBJECT = re.compile(r"""principal\.subject\s*(==|in)\s*(.+)""")
_TYPE = re.compile(r"""principal\.type\s*==\s*["']([^"']+)["']""")
_QUOTED = re.compile(r"""["']([^"']+)["']""")
_TYPES = {
    "user": "iam.googleapis.com/WorkspaceIdentity",
    "serviceAccount": "iam.googleapis.com/ServiceAccount",
}
_ENGINES = "principal://agents.global."


def eligible(world: World, caller: Caller, permission: str, resources: Iterable[str]) -> bool:
    """Tell whether the caller may access a resource at all; `resources`: itself and what is above it.

    IAM documentation, "Principal access boundary policies": no policy bound: eligible for everything; else
    for what any of the bound ones names. Permissions outside of the enforcement version are not blocked:
    settings name those (``pab_passes``).
    """
    bound = [policy for policy in _bound(world, caller) if policy is not None]
    if not bound or any(fnmatchcase(permission, one) for one in world.settings.pab_passes):
        return True
    named = {
        world.normal(_relative(one))
        for policy in bound
        for rule in policy.details.rules
        for one in rule.resources
    }
    return not named.isdisjoint(resources)


def binds(world: World, binding: Any, caller: Caller) -> bool:  # noqa: ANN401 - PolicyBinding
    """Tell whether a binding is for a caller."""
    target = binding.target.principal_set
    names = {one.partition("principalSet:")[2].removesuffix("/*") for one in principals(world, caller)}
    normal = {_normal(world, one) for one in names if one}
    return _normal(world, target) in normal and _condition(binding.condition.expression, caller)


def _bound(world: World, caller: Caller) -> list[Any]:
    names = [
        binding.policy
        for key in world.config.named("binding")
        if (binding := world.config.seen(key)) is not None and binds(world, binding, caller)
    ]
    return [world.config.seen(("pab", name)) for name in names]


def _condition(expression: str, caller: Caller) -> bool:
    """Decide principal.type and principal.subject; any other condition does not hold."""
    if not expression:
        return True
    for part in (one.strip() for one in expression.split("&&")):
        subject, kind = _SUBJECT.fullmatch(part), _TYPE.fullmatch(part)
        if subject is not None and _subject_of(caller) in _QUOTED.findall(subject[2]):
            continue
        if kind is not None and _type_of(caller) == kind[1]:
            continue
        return False
    return True


def _subject_of(caller: Caller) -> str:
    """Return what conditions call a caller ("Attribute reference for IAM Conditions", principal.subject).

    An address; of a federated identity its subject alone, of an agent identity all from ``resources/`` on.
    """
    if caller.principal.startswith(_ENGINES):
        return f"resources/{caller.principal.partition('/resources/')[2]}"
    return caller.principal.partition("/subject/")[2] or caller.principal


def _type_of(caller: Caller) -> str:
    engine = caller.principal.startswith(_ENGINES)
    federated = "AgentPoolIdentity" if engine else "WorkloadPoolIdentity"
    return _TYPES.get(caller.kind, f"iam.googleapis.com/{federated}")


def _relative(full: str) -> str:
    return full[2:].partition("/")[2] if full.startswith("//") else full


def _normal(world: World, full: str) -> str:
    host, _, name = full.removeprefix("//").partition("/")
    return f"{host}/{world.normal(name)}"
