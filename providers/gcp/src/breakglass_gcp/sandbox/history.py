"""Values that are read at once by those who ask for them, and seen later by the evaluator."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KEPT = 64


@dataclass(slots=True)
class History:
    """Values by key with the moment of each change.

    IAM documentation, "Access change propagation": IAM is eventually consistent; what decides about calls
    sees a change later than who reads the configuration.
    """

    now_s: Callable[[], float]
    delay_s: Callable[[], float]
    _written: bool = False
    _values: dict[Hashable, list[tuple[float, Any]]] = field(default_factory=dict)

    def put(self, key: Hashable, value: object, *, at_once: bool = False) -> None:
        """Set a value now; `at_once`: the evaluator sees it now, too."""
        entries = self._values.setdefault(key, [])
        if at_once:
            entries.clear()
        entries.append((0.0 if at_once else self.now_s(), value))
        del entries[:-KEPT]

    def get(self, key: Hashable, default: Any = None) -> Any:  # noqa: ANN401 - whatever was put
        """Return the newest value."""
        entries = self._values.get(key)
        return entries[-1][1] if entries else default

    def seen(self, key: Hashable, default: Any = None) -> Any:  # noqa: ANN401 - whatever was put
        """Return the value that the evaluator sees."""
        limit = self.now_s() - (0.0 if self._written else self.delay_s())
        for at_s, value in reversed(self._values.get(key, ())):
            if at_s <= limit:
                return value
        return default

    @contextmanager
    def as_written(self) -> Iterator[None]:
        """Let the evaluator see everything as it is now; the world's lock is held."""
        before, self._written = self._written, True
        try:
            yield
        finally:
            self._written = before

    def named(self, kind: str) -> list[Any]:
        """Return every key (kind, name) of a kind that was ever put."""
        return [key for key in self._values if isinstance(key, tuple) and key[0] == kind]

    def clear(self) -> None:
        """Forget all."""
        self._values.clear()
