"""Keeps the executor's credential alive: reads its file again, runs its plug-in again, within a deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable

from breakglass.clock import Clock
from breakglass.errors import Denied, ProviderError, Unreachable
from breakglass_kubernetes import lifetime
from breakglass_kubernetes.kubeconfig import Identity, read_file
from breakglass_kubernetes.plugin import Shown, run_plugin

__all__ = ["Credential", "Shown"]
RENEWAL_PAUSE_S = 1.0


class Credential:
    """The executor's own; never the agent's."""

    def __init__(
        self, identity: Identity, clock: Clock, *, where: str, again: Callable[[], Identity] | None = None
    ) -> None:
        """Obtain it once; `again` reads the kubeconfig anew, where that may have been renewed.

        Raises:
            Denied: it cannot be read, or the plug-in refuses.
            Unreachable: the plug-in hangs.
        """
        self._identity = identity
        self._again = again
        self._clock = clock
        self._where = where
        self._gate = threading.Lock()
        self._renewed_s = clock.monotonic_s()
        self._now = self._obtain()

    @property
    def now(self) -> Shown:
        """Return what to show now."""
        return self._now

    def renew(self) -> bool:
        """Obtain it again, at most once a second; return whether it is another one."""
        with self._gate:
            if self._clock.monotonic_s() - self._renewed_s < RENEWAL_PAUSE_S:
                return False
            try:
                self._identity = self._again() if self._again is not None else self._identity
                fresh = self._obtain()
            except (ProviderError, Unreachable):
                return False
            finally:
                # Whoever waited for a plug-in that hangs must not run it once more.
                self._renewed_s = self._clock.monotonic_s()
            changed, self._now = fresh != self._now, fresh
            return changed

    @property
    def ended(self) -> str:
        """Return since when it is over, in words, as far as it says so itself; empty where it does not."""
        return lifetime.ended(self._now.token, self._now.certificate, self._clock.now())

    def _obtain(self) -> Shown:
        identity = self._identity
        if identity.plugin is not None:
            return run_plugin(identity.plugin, where=self._where)
        token = identity.token
        if identity.token_file is not None:
            what = f"tokenFile {identity.token_file}"
            token = read_file(identity.token_file, what, where=self._where).decode("ascii", "replace").strip()
        if not token.isascii() or not token.isprintable():
            raise Denied("its token is no token: it has characters that none has", where=self._where)
        return Shown(token, identity.certificate, identity.key)
