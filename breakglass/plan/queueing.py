"""Estimates how long the steps of a reach queue for the rates of its services; pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from breakglass.plan.findings import Findings
from breakglass.plan.order import Candidate

CALLS_A_STEP = 5
"""Observe, apply, observe, observe again after the settle time, probe."""
HEADROOM = 2
"""A step may take so many times its share of the queue before its deadline: services throttle below the rates
that they document, and an agent that fights back takes turns too."""

Queues = Mapping[tuple[int, str], float]
"""(Number of the reach, service) -> seconds until every step of it had all its turns."""


def queues(findings: Findings, chosen: Sequence[Candidate]) -> Queues:
    """Return how long each service of each reach takes for the steps of this plan."""
    counts = Counter[tuple[int, str]]()
    for one in chosen:
        own = one.proposal.calls
        counts[one.reach, one.spec.service] += CALLS_A_STEP if own is None else own
    found: dict[tuple[int, str], float] = {}
    for (reach, service), calls in counts.items():
        budget = findings.reaches[reach].budgets.get(service)
        if budget is not None:
            found[reach, service] = max(0.0, calls - budget.burst) / budget.per_s
    return found


def takes_s(reach: int, found: Queues, settles_s: Sequence[float]) -> int:
    """Return how long the steps of a reach take at its rates, when nobody fights back and nothing fails."""
    longest_s = max((seconds for (n, _), seconds in found.items() if n == reach), default=0.0)
    return math.ceil(longest_s + max(settles_s, default=0.0))
