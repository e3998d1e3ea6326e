"""One token bucket for each (reach, service): the documented rate is the limit, not the number of threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from breakglass.provider import Budget


class Buckets:
    """Says how long a call must wait for its turn."""

    def __init__(self, budgets: Mapping[str, Budget], now_s: float) -> None:
        """Start with every bucket full."""
        self._budgets = budgets
        self._lock = threading.Lock()
        self._ready_s = {name: now_s - budget.burst / budget.per_s for name, budget in budgets.items()}

    def limits(self, name: str) -> bool:
        """Return whether there is such a bucket at all."""
        return name in self._budgets

    def take(self, name: str, now_s: float) -> float:
        """Take a token if one is there (0), else return how long it is until one is; none is promised."""
        budget = self._budgets.get(name)
        if budget is None:
            return 0.0
        with self._lock:
            ready_s = max(self._ready_s[name], now_s - budget.burst / budget.per_s) + 1 / budget.per_s
            if ready_s <= now_s:
                self._ready_s[name] = ready_s
        return max(0.0, ready_s - now_s)

    def delay_s(self, name: str, now_s: float) -> float:
        """Take a token and return how long to wait before using it (0: at once).

        The bucket is kept as the moment at which it was last empty: each call moves that on by 1/rate.
        """
        budget = self._budgets.get(name)
        if budget is None:
            return 0.0
        with self._lock:
            ready_s = max(self._ready_s[name], now_s - budget.burst / budget.per_s) + 1 / budget.per_s
            self._ready_s[name] = ready_s
        return max(0.0, ready_s - now_s)
