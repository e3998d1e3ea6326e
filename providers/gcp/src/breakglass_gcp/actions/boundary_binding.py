"""Reads one policy binding of a principal access boundary, and extends its condition.

What is armed in peacetime is exactly ``principal.subject in ['breakglass-nobody']``. The stop appends the
agent's subjects to that list and changes nothing else: any other expression is not one that can be extended
without knowing what its author meant. An expression has 250 characters at most (IAM API v3 reference,
PolicyBinding.condition).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from breakglass.canon import Json, JsonObject
from breakglass.errors import Gone, ProviderError
from breakglass_gcp.actions.deny_reach import is_here
from breakglass_gcp.actions.few_reads import FewReads, one_of
from breakglass_gcp.messages import as_json, fields, of_json, text
from breakglass_gcp.project import Project

SERVICE, POLICIES = "policy_bindings", "boundary_policies"
NOBODY = "breakglass-nobody"
LONGEST_CONDITION = 250
_SUBJECT = r"[A-Za-z0-9@._/:+=~-]{1,200}"
_ARMED = re.compile(rf"principal\.subject in \['{NOBODY}'((?:,'{_SUBJECT}')*)\]", re.ASCII)
_PROJECT_SET = re.compile(r"//cloudresourcemanager\.googleapis\.com/projects/([^/]+)", re.ASCII)
_POOL_SET = re.compile(
    r"//iam\.googleapis\.com/projects/([^/]+)/locations/global/workloadIdentityPools/([^/]+)", re.ASCII
)
_POOLED = re.compile(
    r"principal://iam\.googleapis\.com/projects/([^/]+)/locations/global/workloadIdentityPools/([^/]+)"
    r"/subject/(.+)",
    re.ASCII,
)
_ENGINE = re.compile(
    r"principal://agents\.global\.(?:org|proj|project)-\d+\.system\.id\.goog/(resources/[^/]+/projects/(\d+)/.+)",
    re.ASCII,
)


class Bindings(FewReads):
    """The policy bindings of one connection, and the boundaries that they bind."""

    def __init__(self, project: Project) -> None:
        """Read nothing yet."""
        super().__init__(project, SERVICE, self._current)
        self._policies = FewReads(project, POLICIES, self._fetch_policy)

    def write(self, name: str, binding: JsonObject, subjects: Sequence[str]) -> None:
        """Let the condition of exactly the binding that was read name these subjects, and no other.

        Raises:
            Conflict: somebody else wrote it meanwhile.
            ProviderError: refused, or it has no room for them.
        """
        from google.cloud import iam_v3

        expression = naming(subjects)
        if len(expression) > LONGEST_CONDITION:
            raise ProviderError(
                f"its condition would have {len(expression)} of {LONGEST_CONDITION} characters"
            )
        kept: dict[str, Json] = {"name": binding["name"], "etag": text(binding, "etag")}
        condition: dict[str, Json] = {**fields(binding.get("condition")), "expression": expression}
        asked = of_json(iam_v3.PolicyBinding, {**kept, "condition": condition})
        request = {"policy_binding": asked, "update_mask": {"paths": ["condition"]}}
        self.change(name, "update_policy_binding", request)

    def policy(self, name: str) -> JsonObject | None:
        """Return a boundary as it was last seen, None where there is none. Raises ProviderError."""
        return self._policies.remembered(name)

    def _fetch_policy(self, name: str) -> JsonObject | None:
        asked = {"name": name}
        try:
            return as_json(self._project.call(POLICIES, "get_principal_access_boundary_policy", asked))
        except Gone:
            return None

    def _current(self, name: str) -> JsonObject | None:
        try:
            return as_json(self._project.call(SERVICE, "get_policy_binding", {"name": name}))
        except Gone:
            return None


def bindings_of(project: Project) -> Bindings:
    """Return the policy bindings of a connection."""
    return one_of(project, Bindings)


def expression_of(binding: JsonObject | None) -> str:
    """Return the condition of a binding; empty: it has none, and holds for the whole principal set."""
    return text(binding, "condition", "expression") if binding is not None else ""


def principal_set_of(binding: JsonObject) -> str:
    """Return what a binding binds a policy to."""
    return text(binding, "target", "principal_set")


def named_in(expression: str) -> tuple[str, ...] | None:
    """Return whom a condition of ours names beside nobody; None: it is not one of ours."""
    found = _ARMED.fullmatch(expression)
    return None if found is None else tuple(re.findall(rf"'({_SUBJECT})'", found[1]))


def naming(subjects: Iterable[str]) -> str:
    """Return the condition that names these subjects."""
    quoted = ",".join(f"'{one}'" for one in (NOBODY, *subjects))
    return f"principal.subject in [{quoted}]"


def is_ours(project: Project, principal_set: str) -> bool:
    """Return whether a principal set is this project's, or a workload identity pool of it."""
    found = _PROJECT_SET.fullmatch(principal_set) or _POOL_SET.fullmatch(principal_set)
    return found is not None and found[1] in {project.id, project.number}


def subject_of(project: Project, principal_set: str, identity: str) -> str:
    """Return what a condition of a binding to this set calls an identity; empty: it cannot name it alone.

    "Attribute reference for IAM Conditions", principal.subject: an account's address, a federated identity's
    subject, an agent identity from ``resources/`` on. Two pools may have the same subject, so only a binding
    to its own pool names a federated identity and nobody else.
    """
    pool, pooled, engine = (
        _POOL_SET.fullmatch(principal_set),
        _POOLED.fullmatch(identity),
        _ENGINE.fullmatch(identity),
    )
    subject = ""
    if pool is not None:
        own = {project.id, project.number}
        if pooled is not None and pooled[2] == pool[2] and {pooled[1], pool[1]} <= own:
            subject = pooled[3]
    elif engine is not None:
        subject = engine[1] if engine[2] == project.number else ""
    elif "://" not in identity and is_here(project, identity):
        subject = identity
    return subject if re.fullmatch(_SUBJECT, subject, re.ASCII) and subject != NOBODY else ""
