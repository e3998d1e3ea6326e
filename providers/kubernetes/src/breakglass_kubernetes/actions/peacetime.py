"""Decides by which bindings a restore may bind the agent again: by those of peacetime; pure.

A binding that was made since the harm began may be the agent's own work, and stays without it. The server
itself writes ``creationTimestamp``, and nobody can change it; it is in whole seconds, so one that was made in
the second in which the harm began is not of peacetime either.

Of an older binding nobody can tell who was added since: `metadata.managedFields` has the last write of each
manager and not what was there before, any write of a manager moves its time, and whoever may change the
binding may rewrite all of that (Kubernetes documentation, "Server-Side Apply", "Field management"). Such a
binding comes back, and is named; that one is not named proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass.clock import Instant
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, bodies, is_since, name_of, namespace_of, text, uid_of
from breakglass_kubernetes.owners import owns
from breakglass_kubernetes.subjects import words
from breakglass_kubernetes.words import some

IsCut = Callable[[Body, str], bool]
"""Whether a subject of a binding in a namespace is taken out."""
BOUND = "bound"
"""The parameter that holds who is bound by what when the plan is made: only that is ever put back."""
MADE = "made_since"
"""The parameter that holds by which bindings the agent is not bound again."""
MOST_NAMED = 5
_NOT_AGAIN = "made since the harm began{}: a restore does not bind the agent by {} again"
_COMES_BACK = "who was added {} cannot be told, and all come back with a restore"


@dataclass(frozen=True, slots=True)
class Bindings:
    """What a plan says of the bindings that a step cuts."""

    bound: tuple[str, ...]
    made: tuple[str, ...]
    affects: tuple[str, ...]
    """Bindings that were made or changed since the harm began: a few, and how many more."""

    @property
    def params(self) -> dict[str, Json]:
        """Return what is signed."""
        return {BOUND: [*self.bound], MADE: [*self.made]}

    @property
    def count(self) -> str:
        """Return what the label of a step says behind its name."""
        return f"; {len(self.made)} made since the harm began: not bound again" if self.made else ""


def look(bindings: Iterable[tuple[Kind, Body]], is_cut: IsCut, since: Instant | None) -> Bindings:
    """Return who is bound when the plan is made, and by what that was made before the harm began.

    `since` None: nobody said when that was, and nothing is told apart.
    """
    bound: list[str] = []
    made: list[str] = []
    fresh: list[str] = []
    written: list[str] = []
    for kind, body in bindings:
        namespace = namespace_of(body)
        cut = [one for one in bodies(body, "subjects") if is_cut(one, namespace)]
        if not cut:
            continue
        key, uid = kind.key(namespace, name_of(body)), uid_of(body)
        born = text(body, "metadata", "creationTimestamp")
        if since is not None and is_since(born, since):
            made.append(made_mark(key, uid))
            fresh.append(f"{key}: {_NOT_AGAIN.format(f', at {born}', 'it')}")
            continue
        bound += [bound_mark(key, uid, one) for one in cut]
        if since is not None and (how := _written(body, since)):
            written.append(f"{key}: {how}")
    affects = _few(fresh, _NOT_AGAIN.format("", "them"))
    affects += _few(written, f"changed since the harm began: {_COMES_BACK.format('then')}")
    return Bindings(tuple(bound), tuple(made), affects)


def bound_mark(key: str, uid: str, subject: Body) -> str:
    """Return how a plan names one subject of one binding."""
    return f"{key} {uid} {words(subject)}"


def made_mark(key: str, uid: str) -> str:
    """Return how a plan names a binding: another one under the same name has another uid."""
    return f"{key} {uid}"


def _written(body: Body, since: Instant) -> str:
    """Say who owns the subjects and wrote since; empty: as far as anybody can tell, nobody."""
    owners = [one for one in bodies(body, "metadata", "managedFields") if owns(one, ("subjects",))]
    if not owners:
        how = _COMES_BACK.format("since the harm began")
        return f"it does not say who wrote its subjects, or when: {how}"
    late = {text(one, "manager") for one in owners if is_since(text(one, "time"), since)}
    return f"changed since the harm began by {some(late)}: {_COMES_BACK.format('then')}" if late else ""


def _few(lines: Sequence[str], what: str) -> tuple[str, ...]:
    """Return the first lines, and how many more there are."""
    more = len(lines) - MOST_NAMED
    told = sorted(lines)[:MOST_NAMED]
    return (*told, f"{more} more bindings: {what}") if more > 0 else tuple(told)
