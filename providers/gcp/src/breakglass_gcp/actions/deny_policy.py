"""Reads and writes one deny policy within five reads and five writes a minute (IAM documentation, "Quotas").

The engine looks at a step often while it settles; here most looks are answered from what was read. A look
is a read of its own before the first change, after each write, and at the end of the settle time: never is
an older read shown for a later one there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from breakglass.canon import JsonObject
from breakglass.errors import Gone
from breakglass_gcp.messages import as_json, of_json
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import translate

SERVICE = "iam_deny"
END_OF_SETTLE = 0.9
"""From so much of the settle time on no look is answered from memory."""
FRESH_S = 1.0
LAST_S = 5.0
"""What was read after the settle time is still the last look for so long."""
RECENT_S = 10.0
"""So old may be what a change starts from."""
LANDING_S = 1.0
"""An update is a long-running operation, and asking how it goes counts as reading: it gets this long."""


@dataclass(slots=True)
class _Held:
    policy: JsonObject | None
    read_s: float
    since_s: float
    """When the last change was made, else when it was first looked at."""


class DenyPolicies:
    """The deny policies of one connection."""

    def __init__(self, project: Project) -> None:
        """Read nothing yet."""
        self._project = project
        self._gate = threading.Lock()
        self._held: dict[str, _Held] = {}

    def look(
        self, name: str, settle_s: float, closed: Callable[[JsonObject | None], bool]
    ) -> JsonObject | None:
        """Return the policy, None where there is none; from memory where that is recent enough.

        `closed` tells whether a policy is as the stop wants it.

        Raises:
            ProviderError: it cannot be read.
        """
        now_s = self._project.connection.clock.monotonic_s()
        with self._gate:
            held = self._held.get(name)
            if held is not None and not _stale(held, now_s, settle_s, closed=closed(held.policy)):
                return held.policy
        return self.read(name)

    def remembered(self, name: str) -> JsonObject | None:
        """Return the policy as it was last seen, None where there is none; read where it never was.

        Raises:
            ProviderError: it cannot be read.
        """
        with self._gate:
            held = self._held.get(name)
            if held is not None and held.read_s >= held.since_s:
                return held.policy
        return self.read(name)

    def read(self, name: str) -> JsonObject | None:
        """Return the policy as it is now, None where there is none.

        Raises:
            ProviderError: it cannot be read.
        """
        began_s = self._project.connection.clock.monotonic_s()
        policy: JsonObject | None
        try:
            policy = as_json(self._project.call(SERVICE, "get_policy", {"name": name}))
            # IAM API v2 reference, Policy.deleteTime: it is still shown, and denies nobody any more.
            if policy.get("delete_time"):
                policy = None
        except Gone:
            policy = None
        with self._gate:
            held = self._held.get(name)
            self._held[name] = _Held(policy, began_s, held.since_s if held else began_s)
        return policy

    def write(self, name: str, policy: JsonObject, rules: Sequence[JsonObject]) -> None:
        """Replace the rules of exactly the policy that was read under this name; its own has the number.

        Raises:
            Conflict: somebody else wrote it meanwhile.
            ProviderError: refused.
        """
        from google.cloud import iam_v2

        clock = self._project.connection.clock
        kept = {key: policy[key] for key in ("name", "display_name", "etag", "annotations") if key in policy}
        asked = of_json(iam_v2.Policy, {**kept, "rules": [dict(one) for one in rules]})
        try:
            begun = self._project.call(SERVICE, "update_policy", {"policy": asked})
            if begun.operation.HasField("error"):
                failed = begun.exception()
                raise translate(failed, "update_policy", f"{SERVICE}.update_policy") from failed
            if not begun.operation.done:
                clock.sleep(LANDING_S)
        finally:
            # Also a write whose answer was lost may have been made: the next look is a read.
            with self._gate:
                self._held[name] = _Held(None, float("-inf"), clock.monotonic_s())


def _stale(held: _Held, now_s: float, settle_s: float, *, closed: bool) -> bool:
    """Return whether a look must be a read. What is to be written is guarded by its etag."""
    age_s = now_s - held.read_s
    if held.read_s < held.since_s:
        return True
    if not closed:
        return age_s > RECENT_S
    if held.read_s >= held.since_s + settle_s:
        return age_s > LAST_S
    if now_s >= held.since_s + END_OF_SETTLE * settle_s:
        return age_s > min(FRESH_S, settle_s / 20)
    return age_s > max(settle_s / 2, LAST_S)


_OF: WeakKeyDictionary[Project, DenyPolicies] = WeakKeyDictionary()
_MAKING = threading.Lock()


def policies_of(project: Project) -> DenyPolicies:
    """Return the deny policies of a connection: what planning read, its first look need not read again."""
    with _MAKING:
        if project not in _OF:
            _OF[project] = DenyPolicies(project)
        return _OF[project]
