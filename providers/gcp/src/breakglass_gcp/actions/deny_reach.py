"""Tells what a deny policy reaches: this project, and all else that the agent's principals may be granted.

IAM documentation, "Deny policies", Deny policy inheritance: it holds for what it is attached to and for all
below that. One on a project says nothing of what another project, a folder or the organisation grants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from breakglass.errors import ProviderError
from breakglass_gcp.messages import text
from breakglass_gcp.project import Project

ORGANISATIONS = "organizations"
_ABOVE = {"folder": "folders", "organization": ORGANISATIONS}
_PROJECT = "{}"
_HOMES = (
    (r"principal(?:Set)?://iam\.googleapis\.com/projects/([^/]+)/locations/.+", _PROJECT),
    (r"principal(?:Set)?://agents\.global\.org-(\d+)\.system\.id\.goog/.+", f"{ORGANISATIONS}/{{}}"),
    (r"principal(?:Set)?://agents\.global\.project-(\d+)\.system\.id\.goog/.+", _PROJECT),
    (r"(\d+)-compute@developer\.gserviceaccount\.com", _PROJECT),
    (r"([a-z][a-z0-9-]+)@appspot\.gserviceaccount\.com", _PROJECT),
    (r"[^@/:]+@([a-z][a-z0-9-]+)\.iam\.gserviceaccount\.com", _PROJECT),
)
"""Whose a principal is, by its name (IAM documentation, "Principal identifiers"; "Service accounts overview";
"Agent identity overview")."""


@dataclass(frozen=True, slots=True)
class Cover:
    """What a class deny may stand for."""

    keys: tuple[str, ...] = ()
    """Of the steps that, proven, stand for what is granted in this project; empty: none does."""
    everywhere: frozenset[str] = field(default_factory=frozenset)
    """Identities of whose whole organisation it is the policy, too."""


def attachment(policy: str) -> tuple[str, str]:
    """Return the kind and id of what a policy is attached to: ``("organizations", "123")``."""
    attached = policy.split("/")[1].replace("%2F", "/").replace("%2f", "/").partition("/")[2]
    kind, _, which = attached.partition("/")
    return kind, which


@dataclass(frozen=True, slots=True)
class Attached:
    """Whether a policy holds for this project."""

    here: bool | None
    """None: nobody can tell."""
    why: str = ""
    """Why it does not, or why nobody can tell."""


def attached_here(project: Project, policy: str) -> Attached:
    """Return whether a policy hangs on this project or above it."""
    kind, which = attachment(policy)
    if kind == "projects":
        ours = which in {project.id, project.number}
        return Attached(ours, "" if ours else "it is attached to another project than this one")
    try:
        above = ancestors(project, project.id)
    except ProviderError as error:
        why = f"whether {kind}/{which}, which it is attached to, is above this project is unknown: {error}"
        return Attached(None, why)
    ours = f"{kind}/{which}" in above
    return Attached(ours, "" if ours else f"it is attached to {kind}/{which}, not above this project")


def reached(project: Project, policy: str, identities: Iterable[str]) -> frozenset[str]:
    """Return the identities of the organisation that a policy is attached to; none where it hangs lower.

    A grant by another organisation than their own is never reached.
    """
    kind, which = attachment(policy)
    if kind != ORGANISATIONS:
        return frozenset()
    known: dict[str, bool] = {}
    found = set()
    for identity in identities:
        home = home_of(identity)
        if home not in known:
            known[home] = _within(project, home, f"{kind}/{which}")
        if known[home]:
            found.add(identity)
    return frozenset(found)


def home_of(identity: str) -> str:
    """Return whose an identity is: a project's id or number, ``organizations/N``; empty where none tells."""
    for pattern, whose in _HOMES:
        if found := re.fullmatch(pattern, identity):
            return whose.format(found[1])
    return ""


def is_here(project: Project, identity: str) -> bool:
    """Return whether an identity is of this project, by its name."""
    return home_of(identity) in {project.id, project.number}


def ancestors(project: Project, which: str) -> frozenset[str]:
    """Return what is above a project: ``folders/N``, ``organizations/N``.

    Resource Manager v1 reference, projects.getAncestry: asks for the right to read the project, and for none
    over what is above it.

    Raises:
        ProviderError: it cannot be read.
    """
    answer = project.rest("projects", "POST", f"v1/projects/{which}:getAncestry", body={})
    found = answer.get("ancestor")
    return frozenset(
        f"{_ABOVE[kind]}/{text(one, 'resourceId', 'id')}"
        for one in (found if isinstance(found, list) else ())
        if (kind := text(one, "resourceId", "type")) in _ABOVE
    )


def _within(project: Project, home: str, organisation: str) -> bool:
    """Return whether a home is known to be in an organisation."""
    if not home or home.startswith(f"{ORGANISATIONS}/"):
        return home == organisation
    try:
        return organisation in ancestors(project, project.id if home == project.number else home)
    except ProviderError:
        return False
