"""Budgets a minute and project, as the IAM documentation names them and as settings add."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from breakglass_gcp.sandbox.call import Refusal
from breakglass_gcp.sandbox.record import is_read
from breakglass_gcp.sandbox.world import World

MINUTE_S = 60.0


@dataclass(slots=True)
class Quotas:
    """When each budget was spent in the last minute."""

    _spent: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    def spend(self, world: World, method: str, project: str) -> None:
        """Count one call against its budgets; the world's lock is held.

        Raises:
            Refusal: RESOURCE_EXHAUSTED: one budget of this minute is spent.
        """
        now_s = world.now_s()
        buckets = []
        for budget, most in _budgets(world, method):
            spent = self._spent.setdefault((budget, project), deque())
            # Of the future is what was spent before a test took the clock back.
            while spent and not now_s - MINUTE_S < spent[0] <= now_s:
                spent.popleft()
            if len(spent) >= most:
                raise Refusal(
                    "RESOURCE_EXHAUSTED",
                    f"Quota exceeded for quota metric '{budget}' and limit '{budget} per minute' "
                    f"of consumer 'project_number:{project}'.",
                    reason="RATE_LIMIT_EXCEEDED",
                    metadata={"quota_limit": f"{budget}PerMinutePerProject", "quota_limit_value": str(most)},
                )
            buckets.append(spent)
        for spent in buckets:
            spent.append(now_s)

    def clear(self) -> None:
        """Forget all."""
        self._spent.clear()


def _budgets(world: World, method: str) -> Iterator[tuple[str, int]]:
    settings = world.settings
    read = is_read(method)
    if method.startswith(("/google.iam.admin.v1.", "iam.projects.serviceAccounts")):
        yield (
            ("iam-reads", settings.iam_reads_per_min) if read else ("iam-writes", settings.iam_writes_per_min)
        )
    elif method.startswith(("/google.iam.v2.", "/google.iam.v3.")):
        version = method[12:14]
        yield (
            (f"iam-{version}-reads", settings.deny_reads_per_min)
            if read
            else (f"iam-{version}-writes", settings.deny_writes_per_min)
        )
    elif "workloadIdentityPools" in method and not read:
        yield "wif-writes", settings.wif_writes_per_min
    for pattern, most in settings.quotas.items():
        if fnmatchcase(method, pattern):
            yield pattern, most
