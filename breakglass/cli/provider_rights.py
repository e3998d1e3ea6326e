"""Prints the executor's least rights as each platform takes them: policies, RBAC roles, custom roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from breakglass.canon import JsonObject
    from breakglass.cli.session import Session
    from breakglass.model.resource import Reach
    from breakglass.provider import Card

_RIGHTS = "those that `breakglass providers show` lists with each action"


def show_policy(here: Session, card: Card, purpose: str, agent: str, *, split: bool) -> None:
    """Print the platform's own documents.

    Raises:
        UsageError: this platform has none, or there is no such purpose or agent.
    """
    from breakglass.cli.session import show_json

    documents = _policy(card, purpose or "stop", _reaches(here, card, agent), split=split)
    _say_left_out(here, card, documents[0])
    show_json(here.out, documents if split else documents[0])


def _reaches(here: Session, card: Card, agent: str) -> Sequence[Reach]:
    """Return how the kit's inventory reaches an agent by this provider; nothing without an agent.

    Raises:
        UsageError: there is no such agent, or it is not reached so.
    """
    from breakglass.errors import UsageError
    from breakglass.usecases.connections import card_or_none
    from breakglass.usecases.site import open_site

    if not agent:
        return ()
    site = open_site(None, here.environ, here.clock, card_or_none, drill_wanted=True)
    found = [reach for reach in site.agent(agent).reaches if reach.provider == card.name]
    if not found:
        raise UsageError(f"agent {agent} has no reach of provider {card.name}")
    return found


def _policy(card: Card, purpose: str, reaches: Sequence[Reach], *, split: bool) -> list[JsonObject]:
    """Return the platform's own documents. Raises UsageError: this platform has none, or no such purpose."""
    from breakglass.errors import UsageError

    if card.policy is None:
        raise UsageError(f"{card.name} has no policy documents: its rights are {_RIGHTS}")
    if purpose not in {"stop", "restore"}:
        raise UsageError(f"--for {purpose!r}: there is stop and restore")
    return list(card.policy(purpose, reaches, split=split))


_LEFT_OUT = "breakglass.dev/left-out"


def show_role(here: Session, card: Card, purpose: str, agent: str, *, custom: bool) -> None:
    """Print one role, of RBAC or a custom one; what it leaves out, or what it needs beside it, is said.

    Raises:
        UsageError: this platform has no roles, or there is no such purpose or agent.
    """
    from breakglass.cli.session import show_json
    from breakglass.errors import UsageError

    is_role, words = (_is_custom_role, "custom roles") if custom else (_is_role, "RBAC roles")
    if card.policy is None or not is_role(card.policy("stop", (), split=False)[0]):
        raise UsageError(f"{card.name} has no {words}: its rights are {_RIGHTS}")
    if purpose not in {"", "stop", "restore"}:
        raise UsageError(f"--for {purpose!r}: there is stop and restore")
    role = card.policy(purpose, _reaches(here, card, agent), split=False)[0]
    _say_left_out(here, card, role)
    _say_beside(here, role)
    show_json(here.out, role)


def _is_role(document: JsonObject) -> bool:
    return str(document.get("apiVersion", "")).startswith("rbac.authorization.k8s.io/")


def _is_custom_role(document: JsonObject) -> bool:
    """Return whether a document is what `gcloud iam roles create --file` takes."""
    return "includedPermissions" in document


def _say_beside(here: Session, role: JsonObject) -> None:
    """Say what the role alone is not enough for: its description tells."""
    from breakglass.report.typeset import rows

    if _is_custom_role(role) and (more := str(role.get("description", "")).partition(". ")[2]):
        here.talk.show(rows(more, rest="  "))


def _say_left_out(here: Session, card: Card, document: JsonObject) -> None:
    from breakglass.report.typeset import rows

    about = document.get("metadata")
    notes = about.get("annotations") if isinstance(about, dict) else None
    if left := notes.get(_LEFT_OUT) if isinstance(notes, dict) else None:
        remedy = f"breakglass providers show {card.name} AGENT --rbac has them"
        here.talk.show(rows(f"left out, since no agent is named: {left}; {remedy}", rest="  "))
