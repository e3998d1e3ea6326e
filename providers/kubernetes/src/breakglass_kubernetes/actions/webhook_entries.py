"""Decides which entries of a webhook configuration are the agent's, and puts them back in order (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass_kubernetes.destinations import Destinations
from breakglass_kubernetes.objects import Body, bodies, labels_of, managers_of, part, text
from breakglass_kubernetes.scope import AGENT_LABEL, Scope


def cut_of(body: Body, scope: Scope, named: Destinations, *, whole: bool) -> tuple[str, ...]:
    """Return the names of the entries that lead to the agent; all of a configuration that is its own."""
    makers = managers_of(body)
    own = (
        whole
        or labels_of(body).get(AGENT_LABEL) == scope.agent
        or (bool(makers) and makers <= frozenset(scope.made_by))
    )
    return tuple(
        text(one, "name")
        for one in bodies(body, "webhooks")
        if own or named.service(part(one, "clientConfig", "service"))
    )


def cut_out(entries: Sequence[Body], cut: Sequence[str]) -> list[Body]:
    """Return what stays; names are unique in a configuration (the server validates it)."""
    return [one for one in entries if text(one, "name") not in cut]


def is_back(live: Sequence[Body], before: Sequence[Body], cut: Sequence[str]) -> bool:
    """Return whether every entry that was taken out is there as it was."""
    wanted = [one for one in before if text(one, "name") in cut]
    return all(one in live for one in wanted)


def put_back(live: Sequence[Body], before: Sequence[Body], cut: Sequence[str]) -> list[Body] | None:
    """Return the entries with those that were taken out at their places; None: somebody wrote one anew."""
    if any(text(one, "name") in cut and one not in before for one in live):
        return None
    found = list(live)
    names = [text(one, "name") for one in before]
    for place, entry in enumerate(before):
        if text(entry, "name") not in cut or entry in found:
            continue
        above = [n for n, one in enumerate(found) if text(one, "name") in names[:place]]
        found.insert(above[-1] + 1 if above else 0, entry)
    return found
