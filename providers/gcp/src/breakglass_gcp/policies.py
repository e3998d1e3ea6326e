"""Decides over allow policies: who is granted what, the policy without some members, and with them put back.

Policies are JSON as `messages.as_json` writes them. Conditions, the version and whoever else is in a binding
stay as they are. `policy_writes` reads and writes them on any resource.

    grants(policy, held)            every (role, member, condition) of the members that `held` picks
    without(policy, gone)           the policy to write that lacks exactly these grants
    with_back(policy, grants)       the policy to write that has them again, each where it stood
    grant.key, grant.as_json(), Grant.of(json)   one grant is one object of a State
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject, canonical, sha256
from breakglass_gcp.messages import field, fields, text

CONDITIONS_VERSION = 3
"""google/iam/v1/policy.proto, Policy.version: with a condition anywhere it must be 3."""
LAST = 1 << 30


@dataclass(frozen=True, slots=True)
class Grant:
    """One member of one binding."""

    role: str
    member: str
    condition: JsonObject | None = None
    binding_at: int = LAST
    member_at: int = LAST
    """Where it stood, so that a policy that nobody else changed comes back byte for byte."""

    @property
    def key(self) -> str:
        """Return a name that is the same wherever the grant stands, and no other grant has.

        A federated subject is any text: one with spaces could end as a condition's mark does.
        """
        member = json.dumps(self.member) if " " in self.member else self.member
        return f"{self.role} {member}{condition_mark(self.condition)}"

    def as_json(self) -> JsonObject:
        """Return all that is needed to put it back."""
        return {
            "role": self.role,
            "member": self.member,
            "condition": None if self.condition is None else dict(self.condition),
            "at": [self.binding_at, self.member_at],
        }

    @classmethod
    def of(cls, value: Json) -> Grant:
        """Read what `as_json` wrote."""
        condition, at = field(value, "condition"), field(value, "at")
        places = [one for one in at if isinstance(one, int)] if isinstance(at, list) else []
        binding_at, member_at = places if len(places) == 2 else (LAST, LAST)  # noqa: PLR2004 - as as_json
        held = fields(condition) or None
        return cls(text(value, "role"), text(value, "member"), held, binding_at, member_at)


def condition_mark(condition: JsonObject | None) -> str:
    """Return a short mark of a condition; empty where there is none."""
    return f" if {sha256(canonical(dict(condition)))[:12]}" if condition else ""


def bindings(policy: Json) -> list[JsonObject]:
    """Return the bindings of a policy."""
    found = field(policy, "bindings")
    return [fields(one) for one in found] if isinstance(found, list) else []


def members(binding: JsonObject) -> list[str]:
    """Return the members of a binding."""
    found = binding.get("members")
    return [str(one) for one in found] if isinstance(found, list) else []


def condition_of(binding: JsonObject) -> JsonObject | None:
    """Return the condition of a binding; None where it has none."""
    return fields(binding.get("condition")) or None


def grants(policy: Json, held: Callable[[str], bool]) -> tuple[Grant, ...]:
    """Return the grants of the members that `held` picks."""
    return tuple(
        Grant(text(binding, "role"), member, condition_of(binding), n, m)
        for n, binding in enumerate(bindings(policy))
        for m, member in enumerate(members(binding))
        if held(member)
    )


def without(policy: Json, gone: Iterable[Grant]) -> JsonObject:
    """Return the policy to write that lacks exactly these grants; a binding of nobody is left out."""
    keys = {one.key for one in gone}
    kept: list[Json] = []
    for binding in bindings(policy):
        role, condition, before = text(binding, "role"), condition_of(binding), members(binding)
        left: list[Json] = [one for one in before if Grant(role, one, condition).key not in keys]
        if left or not before:
            kept.append({**binding, "members": left})
    return _to_write(policy, kept)


def with_back(policy: Json, wanted: Iterable[Grant]) -> JsonObject:
    """Return the policy to write that has these grants too, each where it stood."""
    changed = [dict(one) for one in bindings(policy)]
    for grant in sorted(wanted, key=lambda one: (one.binding_at, one.member_at)):
        found = next((one for one in changed if _is_of(one, grant)), None)
        if found is None:
            found = {"role": grant.role, "members": []}
            if grant.condition is not None:
                found["condition"] = dict(grant.condition)
            changed.insert(min(grant.binding_at, len(changed)), found)
        names = members(found)
        if grant.member not in names:
            names.insert(min(grant.member_at, len(names)), grant.member)
            found["members"] = [*names]
    return _to_write(policy, list(changed))


def _is_of(binding: Mapping[str, Json], grant: Grant) -> bool:
    return text(binding, "role") == grant.role and condition_of(binding) == grant.condition


def _to_write(policy: Json, changed: list[Json]) -> JsonObject:
    """Return a policy with other bindings; its etag stays: only the policy that was read is replaced."""
    written = {**fields(policy), "bindings": changed}
    if any(condition_of(fields(one)) for one in changed):
        written["version"] = CONDITIONS_VERSION
    return written
