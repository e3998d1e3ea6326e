"""Cloud Tasks: what a queue of the sandbox is: its tasks, its tokens, the attempts that still run.

An attempt that was dispatched runs on whatever becomes of its queue: the control verb ``tasks.attempt_s``
says for how long, and as long as it does it marks ``attempt:QUEUE``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

DEFAULT_RATE = 500.0
DEFAULT_CONCURRENT = 1000
DEFAULT_ATTEMPTS = 100
LONGEST_S = 31 * 86_400
"""A task that is 31 days old is deleted, dispatched or not (CloudTasks.CreateQueue)."""


@dataclass(slots=True)
class Queue:
    """One queue, its tasks oldest first, its tokens, and the attempts that still run."""

    config: Any
    tokens: float = 0.0
    filled_s: float = 0.0
    tasks: dict[str, Any] = field(default_factory=dict)
    attempt_s: float = 0.0
    running: list[float] = field(default_factory=list)
    """When each attempt that still runs ends."""

    def refill(self, now_s: float) -> None:
        """Add the tokens of the time that passed (RateLimits.max_burst_size: a token bucket)."""
        limits = self.config.rate_limits
        gained = (now_s - self.filled_s) * limits.max_dispatches_per_second
        self.tokens = min(float(limits.max_burst_size), self.tokens + gained)
        self.filled_s = now_s


def queues(world: World) -> dict[str, Queue]:
    """Return every queue by name."""
    return world.table("tasks.queues")


def account_of(task: Any) -> str:  # noqa: ANN401 - a Task
    """Return whose token goes with a task; empty: nobody's."""
    request = task.http_request
    return str(request.oidc_token.service_account_email or request.oauth_token.service_account_email)
