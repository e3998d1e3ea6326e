"""Reads listings for discovery: one that fails is said, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from breakglass.errors import Gone, ProviderError
from breakglass_kubernetes.cluster import WORKERS, Cluster
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, name_of, namespace_of
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.refusals import set_aside

T = TypeVar("T")
LONGEST = 500


@dataclass(slots=True)
class Looking:
    """The executor's eyes, and what they could not see."""

    cluster: Cluster
    incomplete: list[str] = field(default_factory=list)

    def attempt(self, about: str, look: Callable[[], T], otherwise: T) -> T:
        """Return what was read; or else what is safe, with the failure noted."""
        try:
            return look()
        except ProviderError as error:
            self.incomplete.append(f"{about}: {error}"[:LONGEST])
            return otherwise

    def every(self, kind: Kind, *, labels: str = "") -> list[Body]:
        """Return every object of a kind in the whole cluster; nothing where the kind is not served.

        Raises:
            ProviderError: nothing else would be read either (`set_aside`); so for all listings here.
        """
        return self._listing(kind, lambda: self.cluster.every(kind, labels=labels))

    def all_of(self, kinds: Iterable[Kind], *, labels: str = "") -> Mapping[Kind, list[Body]]:
        """Return every object of several kinds, several listings at once."""
        return self._side_by_side(tuple(kinds), lambda kind: self.every(kind, labels=labels))

    def things_in(self, kinds: Iterable[Kind], namespaces: Sequence[str]) -> tuple[Thing, ...]:
        """Return what of several kinds lies in these namespaces, several listings at once."""

        def look(kind: Kind) -> list[Body]:
            return self._listing(kind, lambda: self.cluster.list_in(kind, namespaces))

        found = self._side_by_side(tuple(kinds), look)
        return tuple(Thing(kind, body) for kind, bodies in found.items() for body in bodies)

    def one(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """Return one object; None: there is none, or it could not be read, which is noted."""
        return self.attempt(
            kind.key(namespace, name), lambda: self.cluster.maybe(kind, namespace, name), None
        )

    def _listing(self, kind: Kind, look: Callable[[], list[Body]]) -> list[Body]:
        try:
            return look()
        except Gone:
            return []
        except ProviderError as error:
            set_aside(error, kind, self.incomplete, f"{kind.name} could not be listed: {error}"[:LONGEST])
            return []

    def _side_by_side(
        self, kinds: tuple[Kind, ...], look: Callable[[Kind], list[Body]]
    ) -> dict[Kind, list[Body]]:
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="kubernetes-look") as pool:
            return dict(zip(kinds, pool.map(look, kinds), strict=True))


def pair(body: Body) -> str:
    """Return ``NAMESPACE/NAME``."""
    return f"{namespace_of(body)}/{name_of(body)}"
